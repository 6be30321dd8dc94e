"""The images on the page: strips, contact sheets and the gallery, each with words instead of the picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from imagen_bench.bench.gallery import best_scored_weight
from imagen_bench.report.browser import RULE, Browser
from imagen_bench.report.contact import Grid, Sheet, changes_over_runs, changes_over_weights, pick_sheets, strip_grid
from imagen_bench.report.data import RunData
from imagen_bench.report.figures import figure_strips
from imagen_bench.report.gallery import Tile, data_uri, pick_gallery, read_picture
from imagen_bench.report.metric_words import Metric, weights_words

_STRIP_PIXELS, _SHEET_PIXELS, _GALLERY_PIXELS = 128, 112, 320


@dataclass(frozen=True)
class Picture:
    """An image on the page: data URI (empty if the file cannot be read), words instead of it, its prompt and note."""

    uri: str
    alt: str
    prompt: str
    note: str = ""


@dataclass(frozen=True)
class PageRow:
    """A row of a grid on the page."""

    text: str
    detail: str
    pictures: tuple[Picture, ...]


@dataclass(frozen=True)
class PageGrid:
    """A grid on the page."""

    title: str
    rule: str
    heads: tuple[str, ...]
    rows: tuple[PageRow, ...]


@dataclass(frozen=True)
class PageSheet:
    """A contact sheet on the page."""

    title: str
    rule: str
    pictures: tuple[Picture, ...]


def run_images(run: RunData, metrics: Sequence[Metric], several: bool) -> dict[str, Any]:
    """Everything that the page shows of one run's images except the samples browser.

    Args:
        run: The run.
        metrics: Metrics of the report.
        several: Whether other runs share the page: each then shows half of its contact sheets.
    """
    gallery = pick_gallery(run)
    strips = figure_strips(run)
    changed = changes_over_weights(run, metrics)
    return {
        "strips": _page_grid(strip_grid(strips), _STRIP_PIXELS) if strips else None,
        "changed": _page_grid(changed, _SHEET_PIXELS) if changed is not None else None,
        "sheets": [_page_sheet(sheet, several) for sheet in pick_sheets(run, metrics)],
        "gallery": [_picture(tile, _GALLERY_PIXELS) for tile in gallery],
        "gallery_words": _gallery_words(run, gallery, metrics),
    }


def _gallery_words(run: RunData, gallery: Sequence[Tile], metrics: Sequence[Metric]) -> str:
    """Weight of the gallery's images, and why it is that one."""
    if not gallery:
        return ""
    weights = sorted({tile.guidance_weight for tile in gallery})
    words, best = weights_words(weights), best_scored_weight(run.scores)
    configured = (run.section("config").get("gallery") or {}).get("guidance_weight")
    if configured is not None:
        return f"{words}, as the run's configuration says"
    if best is None or [best[1]] != weights:
        return words
    label = next((metric.label for metric in metrics if metric.name == best[0]), best[0])
    return f"{words}, the weight of the best {label}"


def runs_images(runs: Sequence[RunData], metrics: Sequence[Metric]) -> PageGrid | None:
    """The same prompts in several runs; None for one run or where they share no images."""
    between = changes_over_runs(runs, metrics) if len(runs) > 1 else None
    return _page_grid(between, _STRIP_PIXELS) if between is not None else None


def browser_words(browser: Browser) -> str:
    """What the samples browser holds, in one or two sentences."""
    if browser.shown == browser.total:
        held = f"All {browser.total:,} images."
    else:
        held = f"{browser.shown:,} of {browser.total:,} images: {RULE}."
    beside = browser.shown - browser.inside
    return f"{held} {beside:,} of the thumbnails lie in files beside this page." if beside else held


def _page_grid(grid: Grid, pixels: int) -> PageGrid:
    rows = []
    for row in grid.rows:
        notes = row.notes or ("",) * len(row.tiles)
        pictures = tuple(
            _picture(tile, pixels, note, head) if tile is not None else Picture("", f"{row.text} ({head})", row.text)
            for tile, note, head in zip(row.tiles, notes, grid.heads, strict=True)
        )
        rows.append(PageRow(row.text, row.detail, pictures))
    return PageGrid(grid.title, grid.rule, grid.heads, tuple(rows))


def _page_sheet(sheet: Sheet, several: bool) -> PageSheet:
    shown = sheet.tiles[: len(sheet.tiles) // 2] if several else sheet.tiles
    notes = sheet.notes or ("",) * len(sheet.tiles)
    pictures = tuple(_picture(tile, _SHEET_PIXELS, note) for tile, note in zip(shown, notes, strict=False))
    rule = f"{sheet.rule} Half of them are shown here." if several else sheet.rule
    return PageSheet(sheet.title, rule, pictures)


def _picture(tile: Tile, pixels: int, note: str = "", head: str = "") -> Picture:
    image = read_picture(tile.file)
    alt = f"{tile.prompt} ({head or f'w = {tile.guidance_weight:g}'})"
    return Picture(data_uri(image, pixels) if image is not None else "", alt, tile.prompt, note)
