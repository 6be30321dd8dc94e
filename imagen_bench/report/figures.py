"""The figures of a report: which can be drawn from what is there, and which cannot and why."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from imagen_bench.errors import InputError
from imagen_bench.report.category_figure import category_figure, category_limits
from imagen_bench.report.contact import changes_over_runs, changes_over_weights, pick_sheets, strip_grid
from imagen_bench.report.cost import memory_figure, peak_bytes
from imagen_bench.report.curve_figures import score_figure, timing_figure
from imagen_bench.report.data import RunData
from imagen_bench.report.gallery import Strip, pick_gallery, pick_strips
from imagen_bench.report.image_figures import contact_figure, grid_figure
from imagen_bench.report.metric_words import Metric, metrics_of, pareto_axes
from imagen_bench.report.pareto_figure import pareto_figure
from imagen_bench.report.published import drawn_values
from imagen_bench.report.style import Drawing, Width

MOST_STRIPS = 6
OTHERS = "weights_others"
_WIDTHS: tuple[Width, ...] = ("full", "column")


@dataclass(frozen=True)
class Figures:
    """Figures of a report by kind; a list is empty where there was nothing to draw.

    Attributes:
        charts: Kind ("pareto", "weights", "timing", "categories", "categories_2"...) to its drawings, full
            width first, column width second.
        images: Figures made of images, full width only.
        missing: Sentences about figures that could not be drawn.
    """

    charts: dict[str, tuple[Drawing, ...]]
    images: tuple[Drawing, ...]
    missing: tuple[str, ...]

    @property
    def all(self) -> tuple[Drawing, ...]:
        """Every drawing, in the order of the page."""
        return (*(drawing for pair in self.charts.values() for drawing in pair), *self.images)


def draw_figures(runs: Sequence[RunData], published: bool = False) -> Figures:
    """Draw all that the runs allow.

    Args:
        runs: Runs of one protocol, or of several if that was forced.
        published: Whether to draw published values although the protocols differ.

    Returns:
        The figures, and sentences about those that are missing.
    """
    metrics = metrics_of(runs)
    axes = pareto_axes(metrics)
    missing: list[str] = []
    charts: dict[str, tuple[Drawing, ...]] = {}
    known = drawn_values(runs, published)
    if axes is not None:
        _try(charts, missing, "pareto", lambda width: pareto_figure(runs, *axes, width, known))
    else:
        missing.append("The Pareto figure needs two scores, one where higher is better and one where lower is.")
    if metrics:
        main = shown_metrics(metrics)
        others = [metric for metric in metrics if metric not in main]
        _try(charts, missing, "weights", lambda width: score_figure(runs, main, width, published=known))
        if others:
            _try(charts, missing, OTHERS, lambda width: score_figure(runs, others, width, OTHERS, known))
        _draw_categories(charts, missing, runs, metrics)
    _try(charts, missing, "timing", lambda width: timing_figure(runs, width))
    if any(peak_bytes(run) for run in runs):
        _try(charts, missing, "memory", lambda width: memory_figure(runs, width))
    return Figures(charts, _draw_images(runs, metrics), tuple(missing))


def shown_metrics(metrics: Sequence[Metric]) -> list[Metric]:
    """The two metrics of the figure over guidance weights: the Pareto figure's, else the first two."""
    axes = pareto_axes(metrics)
    return list(axes) if axes is not None else list(metrics[:2])


def category_key(place: int) -> str:
    """Key and file stem of the heat map of the run at `place`."""
    return "categories" if place == 0 else f"categories_{place + 1}"


def figure_strips(run: RunData) -> list[Strip]:
    """The strips that the page and the figure show."""
    return pick_strips(run, 1, MOST_STRIPS)


def image_key(stem: str, place: int) -> str:
    """File stem of a figure of images of the run at `place`."""
    return stem if place == 0 else f"{stem}_{place + 1}"


def _try(
    charts: dict[str, tuple[Drawing, ...]], missing: list[str], key: str, draw: Callable[[Width], Drawing]
) -> None:
    try:
        charts[key] = tuple(draw(width) for width in _WIDTHS)
    except InputError as error:
        missing.append(f"Figure not drawn: {error}.")


def _draw_categories(
    charts: dict[str, tuple[Drawing, ...]],
    missing: list[str],
    runs: Sequence[RunData],
    metrics: Sequence[Metric],
) -> None:
    metric = next((m for m in metrics if any(len(run.per_category(m.name)) for run in runs)), None)
    if metric is None:
        missing.append("No score by category, so no heat map.")
        return
    limits = category_limits(runs, metric)
    for place, run in enumerate(runs):
        key = category_key(place)
        _try(charts, missing, key, partial(_heat_map, run, metric, key, limits))


def _heat_map(run: RunData, metric: Metric, key: str, limits: tuple[float, float] | None, width: Width) -> Drawing:
    return category_figure(run, metric, width, key, limits)


def _draw_images(runs: Sequence[RunData], metrics: Sequence[Metric]) -> tuple[Drawing, ...]:
    drawings = []
    for place, run in enumerate(runs):
        strips, tiles = figure_strips(run), pick_gallery(run)
        if strips:
            drawings.append(grid_figure(strip_grid(strips), image_key("strips", place)))
        if tiles:
            drawings.append(contact_figure(tiles, image_key("gallery", place)))
        for sheet in pick_sheets(run, metrics):
            name = image_key(f"contact_{sheet.key}", place)
            drawings.append(contact_figure(sheet.tiles, name, sheet.title, sheet.notes))
        changes = changes_over_weights(run, metrics)
        if changes is not None:
            drawings.append(grid_figure(changes, image_key("changed", place)))
    between = changes_over_runs(runs, metrics) if len(runs) > 1 else None
    if between is not None:
        drawings.append(grid_figure(between, "changed_runs"))
    return tuple(drawings)
