"""The figures of a report: which can be drawn from what is there, and which cannot and why."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from imagen_bench.errors import InputError
from imagen_bench.report.category_figure import category_figure
from imagen_bench.report.curve_figures import score_figure, timing_figure
from imagen_bench.report.data import RunData
from imagen_bench.report.gallery import Strip, pick_gallery, pick_strips
from imagen_bench.report.image_figures import contact_figure, strip_figure
from imagen_bench.report.metric_words import Metric, metrics_of, pareto_axes
from imagen_bench.report.pareto_figure import pareto_figure
from imagen_bench.report.style import Drawing, Width

MOST_STRIPS = 6
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


def draw_figures(runs: Sequence[RunData]) -> Figures:
    """Draw all that the runs allow.

    Args:
        runs: Runs of one protocol, or of several if that was forced.

    Returns:
        The figures, and sentences about those that are missing.
    """
    metrics = metrics_of(runs)
    axes = pareto_axes(metrics)
    missing: list[str] = []
    charts: dict[str, tuple[Drawing, ...]] = {}
    if axes is not None:
        _try(charts, missing, "pareto", lambda width: pareto_figure(runs, *axes, width))
    else:
        missing.append("The Pareto figure needs two scores, one where higher is better and one where lower is.")
    if metrics:
        _try(charts, missing, "weights", lambda width: score_figure(runs, shown_metrics(metrics), width))
        _draw_categories(charts, missing, runs, metrics)
    _try(charts, missing, "timing", lambda width: timing_figure(runs, width))
    return Figures(charts, _draw_images(runs), tuple(missing))


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
    for place, run in enumerate(runs):
        key = category_key(place)
        _try(charts, missing, key, lambda width, run=run, key=key: category_figure(run, metric, width, key))  # type: ignore[misc]


def _draw_images(runs: Sequence[RunData]) -> tuple[Drawing, ...]:
    drawings = []
    for place, run in enumerate(runs):
        strips, tiles = figure_strips(run), pick_gallery(run)
        if strips:
            drawings.append(strip_figure(strips, image_key("strips", place)))
        if tiles:
            drawings.append(contact_figure(tiles, image_key("gallery", place)))
    return tuple(drawings)
