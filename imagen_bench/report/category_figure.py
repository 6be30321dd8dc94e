"""Heat map of a score over prompt categories and guidance weights, with every value written in its cell."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import Colormap, ListedColormap, Normalize, to_rgb
from matplotlib.figure import Figure
from numpy.typing import NDArray

from imagen_bench.errors import InputError
from imagen_bench.report.color import contrast_ratio
from imagen_bench.report.data import OVERALL, RunData
from imagen_bench.report.metric_words import Metric, decimals_for, format_value
from imagen_bench.report.style import (
    PAPER,
    WIDTH_INCHES,
    Drawing,
    Width,
    drawable,
    drawing_name,
    figure_dpi,
    freeze_layout,
    paper_style,
)

_ROW_INCHES, _TALL_ROW_INCHES, _LABEL_INCHES = 0.27, 0.4, 1.15
_CELL_POINTS = 21.0
_MAX_ROWS = 40
_DARK, _LIGHT = "#101317", "#ffffff"
_NO_VALUE = "#e6eaee"
_DIGIT_POINTS = 5.1


def category_figure(
    run: RunData,
    metric: Metric,
    width: Width = "full",
    name: str = "categories",
    limits: tuple[float, float] | None = None,
) -> Drawing:
    """Draw the score of each category at each weight; the last row is the whole prompt set.

    Args:
        run: One run.
        metric: A metric that was scored per category.
        width: Printed width.
        name: File stem at full width.
        limits: Values of the lightest and the darkest colour, for heat maps that stand side by side; default the
            run's own.

    Returns:
        The figure; its numbers have columns category, guidance_weight, value, low, high, n.

    Raises:
        InputError: the metric was not scored per category.
    """
    numbers = category_numbers(run, metric)
    if numbers.empty:
        raise InputError(f"{metric.label} was not scored per category: nothing to draw")
    table = numbers.pivot_table(index="category", columns="guidance_weight", values="value", sort=False)
    table = table.reindex(columns=sorted(table.columns))
    if len(table) > _MAX_ROWS + 1:
        table = pd.concat([table.iloc[:_MAX_ROWS], table.loc[[OVERALL]] if OVERALL in table.index else table.iloc[:0]])
    with paper_style():
        upright = table.shape[1] * _CELL_POINTS > (WIDTH_INCHES[width] - _LABEL_INCHES) * 72.0
        height = (_TALL_ROW_INCHES if upright else _ROW_INCHES) * len(table) + 0.62
        figure = Figure(figsize=(WIDTH_INCHES[width], height), layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.add_subplot()
        colors = _draw_cells(axes, table, metric, limits or _limits(numbers))
        _label_axes(axes, table, numbers, width)
        if upright:
            axes.tick_params(axis="x", labelrotation=90)
        freeze_layout(figure)
        _write_values(axes, table, colors, upright)
    title = f"{metric.label} by prompt category and guidance weight"
    return Drawing(drawing_name(name, width), title, _describe(run, metric, table), figure, numbers)


def category_numbers(run: RunData, metric: Metric) -> pd.DataFrame:
    """Scores per category and, if there are any, of all categories together at the end."""
    columns = ["category", "guidance_weight", "value", "low", "high", "n"]
    parts = run.per_category(metric.name).dropna(subset=["value"])
    if parts.empty:
        return parts[columns]
    return pd.concat([parts, run.overall(metric.name)], ignore_index=True)[columns]


def category_limits(runs: Sequence[RunData], metric: Metric) -> tuple[float, float] | None:
    """Lowest and highest value of all runs' categories; None without values."""
    numbers = [category_numbers(run, metric) for run in runs]
    filled = [table for table in numbers if len(table)]
    return _limits(pd.concat(filled)) if filled else None


def _limits(numbers: pd.DataFrame) -> tuple[float, float]:
    return float(numbers["value"].min()), float(numbers["value"].max())


def _draw_cells(axes: Axes, table: pd.DataFrame, metric: Metric, limits: tuple[float, float]) -> NDArray[np.float64]:
    """Fill the cells; returns their colours, rows x columns x RGB in 0-1."""
    values = table.to_numpy(dtype=float)
    cmap = _colormap(metric)
    norm = Normalize(limits[0], limits[1] or 1.0)
    rows, columns = values.shape
    gap = 0.14 if OVERALL in table.index and rows > 1 else 0.0
    tops = [row + (gap if table.index[row] == OVERALL else 0.0) for row in range(rows)]
    for row, top in enumerate(tops):
        axes.pcolormesh(
            np.arange(columns + 1), [top, top + 1], values[row : row + 1], cmap=cmap, norm=norm,
            edgecolors=PAPER, linewidth=1.2,
        )  # fmt: skip
    axes.set_xlim(0, columns)
    axes.set_ylim(rows + gap, 0)
    axes.set_yticks([top + 0.5 for top in tops])
    colors: NDArray[np.float64] = np.asarray(cmap(norm(values)), dtype=np.float64)[..., :3]
    return colors


def _colormap(metric: Metric) -> Colormap:
    """Light to dark blue, darker is better: one hue, so the order survives a grey printer."""
    shades = colormaps["Blues" if metric.higher_is_better else "Blues_r"](np.linspace(0.08, 0.95, 256))
    return ListedColormap(shades).with_extremes(bad=_NO_VALUE)


def _label_axes(axes: Axes, table: pd.DataFrame, numbers: pd.DataFrame, width: Width) -> None:
    counts = numbers.groupby("category")["n"].max()
    longest = 15 if width == "column" else 34
    labels = []
    for category in table.index:
        count = counts.get(category, float("nan"))
        name = "all prompts" if category == OVERALL else drawable(str(category), longest)
        labels.append(f"{name} ({count:,.0f})" if np.isfinite(count) else name)
    axes.set_yticks(axes.get_yticks(), labels)
    axes.set_xticks(np.arange(table.shape[1]) + 0.5, [f"{weight:g}" for weight in table.columns])
    axes.xaxis.set_label_position("top")
    axes.xaxis.tick_top()
    axes.set_xlabel("guidance weight w")
    axes.tick_params(length=0)
    axes.grid(False)
    for spine in axes.spines.values():
        spine.set_visible(False)


def _write_values(axes: Axes, table: pd.DataFrame, colors: NDArray[np.float64], upright: bool) -> None:
    """Write the values; `upright` turns them by 90 degrees, for many weights in a narrow figure."""
    values = table.to_numpy(dtype=float)
    box, count = axes.get_window_extent(), values.shape
    room = (box.height / count[0] if upright else box.width / count[1]) * 72.0 / figure_dpi(axes)
    texts = cell_texts(values.ravel().tolist(), room)
    for place, text in enumerate(texts):
        row, column = divmod(place, values.shape[1])
        color = _readable_on(colors[row, column])
        align = "center" if upright else "center_baseline"
        turn = 90 if upright else 0
        axes.text(column + 0.5, axes.get_yticks()[row], text, ha="center", va=align, color=color, rotation=turn)


def cell_texts(values: Sequence[float], room: float) -> list[str]:
    """Values as short as the cell asks for: all three significant digits if they fit, else fewer.

    Args:
        values: The numbers of one heat map.
        room: Width of a cell in pt.

    Returns:
        One text a value, all with the same decimals; a leading "0" is dropped where room is short.
    """
    decimals = decimals_for(values)
    for places in range(decimals, -1, -1):
        texts = [format_value(value, places) for value in values]
        if max(map(len, texts)) * _DIGIT_POINTS <= room:
            return texts
        shorter = [text.removeprefix("0") if text.startswith("0.") else text for text in texts]
        if max(map(len, shorter)) * _DIGIT_POINTS <= room and places > 0:
            return shorter
    return ["" for _ in values]


def _readable_on(color: NDArray[np.float64]) -> str:
    """Black or white, whichever contrasts more (WCAG 2.2, relative luminance)."""
    ground = to_rgb(tuple(color.tolist()))
    light = contrast_ratio(ground, to_rgb(_LIGHT))
    return _LIGHT if light > contrast_ratio(ground, to_rgb(_DARK)) else _DARK


def _describe(run: RunData, metric: Metric, table: pd.DataFrame) -> str:
    decimals = decimals_for(table.to_numpy(dtype=float).ravel().tolist())
    told = []
    for category, row in zip(table.index, table.to_numpy(dtype=float), strict=True):
        cells = ", ".join(format_value(value, decimals) for value in row)
        told.append(f"{'all prompts' if category == OVERALL else category}: {cells}")
    weights = ", ".join(f"{weight:g}" for weight in table.columns)
    return f"Heat map of {metric.label} ({metric.direction}) of {run.label} at w = {weights}. {'; '.join(told)}."
