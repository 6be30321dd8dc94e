"""What the page says, section by section, worked out from the runs: words, numbers, pictures, links."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markupsafe import Markup

from imagen_bench.report.data import RunData
from imagen_bench.report.figures import Figures, category_key, figure_strips
from imagen_bench.report.gallery import (
    BROWSER_RULE,
    STRIP_RULE,
    Strip,
    Tile,
    data_uri,
    pick_browser_strips,
    pick_gallery,
    read_picture,
)
from imagen_bench.report.metric_words import (
    Metric,
    best_sentence,
    decimals_for,
    describe_metric,
    format_value,
    front_sentence,
    interval_words,
    metrics_of,
    pareto_axes,
    pareto_points,
    weights_words,
)
from imagen_bench.report.style import SUFFIXES, Drawing
from imagen_bench.report.summary import cards, cite_lines, warnings_of
from imagen_bench.report.svg import inline_svg
from imagen_bench.report.tables import Table

BROWSER_IMAGES = 900
_STRIP_PIXELS, _BROWSER_PIXELS, _GALLERY_PIXELS = 128, 96, 320


@dataclass(frozen=True)
class Picture:
    """An image on the page: data URI (empty if the file cannot be read), alternative text, what it is."""

    uri: str
    alt: str
    tile: Tile


@dataclass(frozen=True)
class Row:
    """A strip on the page."""

    strip: Strip
    pictures: tuple[Picture, ...]


@dataclass(frozen=True)
class Chart:
    """A chart on the page: both widths as inline SVG, words, and the files to download."""

    key: str
    wide: Markup
    narrow: Markup
    caption: str
    files: tuple[tuple[str, str], ...]


def page_context(
    runs: Sequence[RunData],
    out: Path,
    conflicts: dict[str, tuple[str, ...]],
    figures: Figures,
    tables: Sequence[Table],
) -> dict[str, Any]:
    """Everything that the template shows.

    Args:
        runs: The runs.
        out: Folder of the report; its figures are written already.
        conflicts: Metrics shown in spite of different protocols.
        figures: Drawn figures.
        tables: Tables; the one named "headline" is the first on the page.

    Returns:
        Variables of the template.
    """
    metrics = metrics_of(runs)
    by_name = {table.name: table for table in tables}
    charts = {key: make_chart(key, pair, _caption(key, runs, metrics), out) for key, pair in figures.charts.items()}
    several = len(runs) > 1
    return {
        "title": _title(runs),
        "lead": _lead(runs),
        "several": several,
        "runs": [_run_context(run, place, out, charts, several) for place, run in enumerate(runs)],
        "cards": cards(runs, metrics),
        "findings": findings(runs, metrics),
        "conflicts": conflicts,
        "warnings": warnings_of(runs, metrics),
        "missing": _missing(runs, figures),
        "metrics": [_metric_context(runs, metric) for metric in metrics],
        "headline": by_name.get("headline"),
        "cite": cite_lines(runs, metrics),
        "charts": charts,
        "category_tables": [table for table in tables if table.name.startswith("categories")],
        "tables": tables,
        "downloads": [(drawing.name, drawing.title, _files(drawing)) for drawing in figures.all],
        "strip_rule": STRIP_RULE,
        "browser_rule": BROWSER_RULE,
    }


def findings(runs: Sequence[RunData], metrics: Sequence[Metric]) -> list[str]:
    """Sentences that state what was found: the best of each score, and the weights that no other beats."""
    several = len(runs) > 1
    axes = pareto_axes(metrics)
    points = pareto_points(runs, *axes) if axes else None
    told = []
    for run in runs:
        told += [best_sentence(run, metric, several) for metric in metrics if len(run.overall(metric.name))]
        if points is not None and len(points):
            told.append(front_sentence(points, run.label, several))
    return [_unbroken(sentence) for sentence in told if sentence]


def overall_front(runs: Sequence[RunData], metrics: Sequence[Metric]) -> str:
    """Which points of several models no other point beats: "Not dominated: A at w = 2; B at w = 3 and 5."."""
    axes = pareto_axes(metrics)
    if axes is None:
        return ""
    points = pareto_points(runs, *axes)
    kept = points[points["non_dominated"]].groupby("model", sort=False)["guidance_weight"]
    told = [f"{model} at {weights_words(weights.tolist())}" for model, weights in kept]
    return _unbroken(f"Not dominated: {'; '.join(told)}.")


def _unbroken(sentence: str) -> str:
    """The sentence with no line break inside "w = 2" or "95 %"."""
    return sentence.replace("w = ", "w\u00a0=\u00a0").replace("95 %", "95\u00a0%")


def _title(runs: Sequence[RunData]) -> str:
    if len(runs) == 1:
        return f"{runs[0].label}: guidance sweep on {runs[0].section('prompts').get('id', 'its prompts')}"
    return "Comparison of " + ", ".join(run.label for run in runs[:-1]) + f" and {runs[-1].label}"


def _lead(runs: Sequence[RunData]) -> str:
    parts = []
    for run in runs:
        count, weights = len(run.samples), len(run.weights)
        prompts = run.section("prompts")
        name = f"{run.label}: " if len(runs) > 1 else ""
        plural = "weight" if weights == 1 else "weights"
        source = f"{prompts.get('n', '?'):,}" if isinstance(prompts.get("n"), int) else "?"
        parts.append(f"{name}{count:,} images from {source} prompts at {weights} guidance {plural}.")
    return " ".join(parts)


def _run_context(run: RunData, place: int, out: Path, charts: dict[str, Chart], several: bool) -> dict[str, Any]:
    gallery = pick_gallery(run)
    browser = pick_browser_strips(run, BROWSER_IMAGES)
    return {
        "label": run.label,
        "key": f"run{place + 1}",
        "suffix": f" of {run.label}" if several else "",
        "record": run.record,
        "section": run.section,
        "created": str(run.record.get("created", "")),
        "weights": run.weights,
        "heat_map": charts.get(category_key(place)),
        "strips": [_row(strip, _STRIP_PIXELS) for strip in figure_strips(run)],
        "gallery": [_picture(tile, _GALLERY_PIXELS) for tile in gallery],
        "browser": _grouped([_row(strip, _BROWSER_PIXELS) for strip in browser]),
        "browser_shown": sum(len(strip.tiles) for strip in browser),
        "browser_total": len(run.samples),
        "sheets": _sheets_link(run, out),
        "config": json.dumps(run.section("config"), indent=2, ensure_ascii=False),
        "timing": _timing(run),
    }


def _metric_context(runs: Sequence[RunData], metric: Metric) -> dict[str, Any]:
    """Protocol words of a metric, each different one once."""
    stated = [run.section("protocols").get(metric.name) or {} for run in runs]
    protocols = list(dict.fromkeys((str(p.get("id", "")), str(p.get("words", ""))) for p in stated if p))
    return {
        "label": metric.label,
        "direction": metric.direction,
        "protocols": protocols,
        "interval": interval_words(describe_metric(runs[0], metric.name)),
    }


def _caption(key: str, runs: Sequence[RunData], metrics: Sequence[Metric]) -> str:
    if key == "pareto":
        head = "Each line joins one model's guidance weights in order. Filled points: no other plotted point is "
        head += "better on both scores. Thin bars: 95 % intervals. "
        return head + (overall_front(runs, metrics) if len(runs) > 1 else " ".join(findings(runs, metrics)))
    if key == "weights":
        return "Scores against guidance weight; bands are 95 % intervals."
    if key == "timing":
        return "Median time of an image; the thin bar spans the middle half of the images."
    return "Darker is better. In brackets: the number of images per weight."


def make_chart(key: str, pair: Sequence[Drawing], caption: str, out: Path) -> Chart:
    """Turn a drawing at full and at column width, whose files lie in `out/figures`, into a chart of the page."""
    wide, narrow = (
        inline_svg(
            (out / "figures" / f"{drawing.name}.svg").read_bytes(),
            drawing.name.replace("_", "-"),
            drawing.title,
            drawing.desc,
        )
        for drawing in pair
    )
    return Chart(key, wide, narrow, caption, _files(pair[0]))


def _files(drawing: Drawing) -> tuple[tuple[str, str], ...]:
    return tuple((suffix.upper(), f"figures/{drawing.name}.{suffix}") for suffix in ("pdf", *SUFFIXES[:2], "csv"))


def _picture(tile: Tile, pixels: int) -> Picture:
    image = read_picture(tile.file)
    alt = f"{tile.prompt} (w = {tile.guidance_weight:g})"
    return Picture(data_uri(image, pixels) if image is not None else "", alt, tile)


def _row(strip: Strip, pixels: int) -> Row:
    return Row(strip, tuple(_picture(tile, pixels) for tile in strip.tiles))


def _grouped(rows: Sequence[Row]) -> list[tuple[str, list[Row]]]:
    names = list(dict.fromkeys(row.strip.category for row in rows))
    return [(name, [row for row in rows if row.strip.category == name]) for name in names]


def _missing(runs: Sequence[RunData], figures: Figures) -> list[str]:
    several = len(runs) > 1
    own = [f"{run.label}: {sentence}" if several else sentence for run in runs for sentence in run.missing]
    return [*own, *figures.missing]


def _sheets_link(run: RunData, out: Path) -> str:
    """Relative link to the blind rating sheets, or empty; raters' files only, never the key."""
    folder = run.path / "sheets" / "public"
    return Path(os.path.relpath(folder.resolve(), out.resolve())).as_posix() if folder.is_dir() else ""


def _timing(run: RunData) -> dict[str, str]:
    """Speed and totals in words, from run.json or else from the samples; empty if unknown."""
    timing = run.section("timing")
    seconds = timing.get("seconds_per_image")
    if not isinstance(seconds, int | float) and len(run.samples):
        seconds = float(run.samples["seconds"].mean())
    if not isinstance(seconds, int | float) or not seconds > 0:
        return {}
    known = {"seconds_per_image": float(seconds), "images_per_second": 1.0 / float(seconds)}
    known |= {key: float(timing[key]) for key in ("generate_seconds", "score_seconds") if key in timing}
    return {key: format_value(value, decimals_for([value])) for key, value in known.items()}
