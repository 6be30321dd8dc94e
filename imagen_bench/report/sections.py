"""What the page says, section by section, worked out from the runs: words, numbers, pictures, links."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markupsafe import Markup

from imagen_bench.report.cost import cost_facts
from imagen_bench.report.data import RunData
from imagen_bench.report.figures import Figures, category_key
from imagen_bench.report.metric_facts import FACTS
from imagen_bench.report.metric_words import Metric, interval_words, metrics_of
from imagen_bench.report.page_images import run_images, runs_images
from imagen_bench.report.page_words import caption_of, findings, lead_of, title_of
from imagen_bench.report.style import SUFFIXES, Drawing
from imagen_bench.report.summary import cards, cite_lines, warnings_of
from imagen_bench.report.svg import inline_svg
from imagen_bench.report.tables import FORMATS, Table

Link = Callable[[str], str]
"""From a file of the report, such as "tables/headline.csv", to the address in the page; empty to leave it out."""
Files = tuple[tuple[str, str], ...]
"""Kind and address of files."""


@dataclass(frozen=True)
class Chart:
    """A chart on the page: both widths as inline SVG, words, and the files to download."""

    key: str
    wide: Markup
    narrow: Markup
    caption: str
    files: Files


@dataclass(frozen=True)
class Shown:
    """What was made of the runs and is shown on the page.

    Attributes:
        conflicts: Metrics shown in spite of different protocols.
        published: What has to be said about published values beside the runs'; empty where there are none.
        figures: Drawn figures.
        tables: Tables.
        missing: Sentences about tables that could not be made.
    """

    conflicts: dict[str, tuple[str, ...]]
    published: str
    figures: Figures
    tables: Sequence[Table]
    missing: Sequence[str] = ()


def page_context(runs: Sequence[RunData], shown: Shown, out: Path, link: Link = str) -> dict[str, Any]:
    """Everything that the template shows, except the samples browser.

    Args:
        runs: The runs.
        shown: Figures and tables.
        out: Folder of the report; its figures and tables are written already.
        link: Addresses of the report's files.

    Returns:
        Variables of the template.
    """
    metrics, figures = metrics_of(runs), shown.figures
    by_name = {table.name: table for table in shown.tables}
    charts = {
        key: make_chart(key, pair, caption_of(key, runs, metrics), out, link) for key, pair in figures.charts.items()
    }
    several = len(runs) > 1
    return {
        "title": title_of(runs),
        "lead": lead_of(runs),
        "several": several,
        "runs": [_run_context(run, place, metrics, charts, several) for place, run in enumerate(runs)],
        "cards": cards(runs, metrics),
        "findings": findings(runs, metrics),
        "conflicts": shown.conflicts,
        "published_words": shown.published,
        "warnings": warnings_of(runs, metrics),
        "missing": [*_missing(runs, figures), *shown.missing],
        "metrics": [_metric_context(runs, metric) for metric in metrics],
        "by_name": by_name,
        "headline": by_name.get("headline"),
        "cite": cite_lines(runs, metrics),
        "charts": charts,
        "category_tables": [table for table in shown.tables if table.name.startswith("categories")],
        "table_files": [(table.name, _linked(_table_files(table), link)) for table in shown.tables],
        "figure_files": [(drawing.name, _linked(_figure_files(drawing), link)) for drawing in figures.all],
        "between": runs_images(runs, metrics),
    }


def make_chart(key: str, pair: Sequence[Drawing], caption: str, out: Path, link: Link = str) -> Chart:
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
    return Chart(key, wide, narrow, caption, _linked(_figure_files(pair[0]), link))


def sheets_link(run: RunData, out: Path) -> str:
    """Relative link to the blind rating sheets, or empty; raters' files only, never the key."""
    folder = run.path / "sheets" / "public"
    return Path(os.path.relpath(folder.resolve(), out.resolve())).as_posix() if folder.is_dir() else ""


def run_link(run: RunData, out: Path) -> str:
    """Relative link from a report inside a run folder to that folder, such as "../"; empty for one elsewhere."""
    inside = out.resolve() != run.path.resolve() and out.resolve().is_relative_to(run.path.resolve())
    return Path(os.path.relpath(run.path.resolve(), out.resolve())).as_posix() + "/" if inside else ""


def _run_context(
    run: RunData, place: int, metrics: Sequence[Metric], charts: dict[str, Chart], several: bool
) -> dict[str, Any]:
    return {
        "label": run.label,
        "key": f"run{place + 1}",
        "suffix": f" of {run.label}" if several else "",
        "record": run.record,
        "section": run.section,
        "created": str(run.record.get("created", "")),
        "weights": run.weights,
        "heat_map": charts.get(category_key(place)),
        "images": run_images(run, metrics, several),
        "config": json.dumps(run.section("config"), indent=2, ensure_ascii=False),
        "cost": cost_facts(run),
    }


def _metric_context(runs: Sequence[RunData], metric: Metric) -> dict[str, Any]:
    """What a metric is, and the protocol words of its scores, each different one once."""
    stated = [run.section("protocols").get(metric.name) or {} for run in runs]
    protocols = list(dict.fromkeys((str(p.get("id", "")), str(p.get("words", ""))) for p in stated if p))
    return {
        "label": metric.label,
        "direction": metric.direction,
        "protocols": protocols,
        "facts": FACTS.get(metric.name),
        "interval": interval_words(runs, metric),
    }


def _figure_files(drawing: Drawing) -> Files:
    suffixes = (*sorted(SUFFIXES), "csv")
    return tuple((suffix.upper(), f"figures/{drawing.name}.{suffix}") for suffix in suffixes)


def _table_files(table: Table) -> Files:
    return tuple((kind, f"tables/{table.name}.{suffix}") for suffix, kind in FORMATS.items())


def _linked(files: Files, link: Link) -> Files:
    addresses = ((kind, link(path)) for kind, path in files)
    return tuple((kind, address) for kind, address in addresses if address)


def _missing(runs: Sequence[RunData], figures: Figures) -> list[str]:
    several = len(runs) > 1
    own = [f"{run.label}: {sentence}" if several else sentence for run in runs for sentence in run.missing]
    return [*own, *figures.missing]
