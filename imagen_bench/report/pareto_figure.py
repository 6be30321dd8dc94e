"""The Pareto figure: alignment against fidelity, one line a model, joined in guidance order.

After figures 4 and A.8 of Imagen (Saharia et al. 2022), with intervals and the front marked.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Text

from imagen_bench.errors import InputError
from imagen_bench.report.data import RunData, floats
from imagen_bench.report.labels import Box, Point, place_labels, spread
from imagen_bench.report.metric_words import (
    Metric,
    decimals_for,
    format_value,
    metrics_of,
    pareto_axes,
    pareto_points,
    sample_count_words,
)
from imagen_bench.report.published import Published
from imagen_bench.report.style import (
    INK,
    MUTED,
    PAPER,
    TEXT_POINTS,
    WIDTH_INCHES,
    Drawing,
    Width,
    drawable,
    drawing_name,
    figure_dpi,
    freeze_layout,
    legend_above,
    paper_style,
    series_style,
)

_HEIGHTS: dict[Width, float] = {"column": 3.0, "full": 4.1}
_PER_INCH = 72.0
_LABEL_GID = "weight-label"
_ROOM_GID = "room"
_LEADER_POINTS = 9.0


def pareto_figure(
    runs: Sequence[RunData], x: Metric, y: Metric, width: Width = "full", published: Sequence[Published] = ()
) -> Drawing:
    """Draw every run's sweep in the plane of two metrics.

    Args:
        runs: Runs whose scores share their protocols; each needs scores of both metrics to appear.
        x: Metric of the horizontal axis.
        y: Metric of the vertical axis.
        width: Printed width: a paper's column (3.4 in) or the whole page (7 in).
        published: FID from papers, drawn as dotted lines where `y` is FID: they come without a value of `x`.

    Returns:
        The figure `pareto`; its numbers are those of `pareto_points`.

    Raises:
        InputError: no run has both scores at any weight.
    """
    points = pareto_points(runs, x, y)
    if points.empty:
        raise InputError(f"no guidance weight has both {x.label} and {y.label}: score the run on both metrics first")
    with paper_style():
        figure = Figure(figsize=(WIDTH_INCHES[width], _HEIGHTS[width]), layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.add_subplot()
        models = list(dict.fromkeys(points["model"]))
        for place, model in enumerate(models):
            _draw_sweep(axes, points[points["model"] == model], place)
        axes.margins(0.09, 0.13)
        marked = _published_lines(axes, published if y.name == "fid" else ())
        axes.set_xlabel(drawable(x.label))
        axes.set_ylabel(drawable(", ".join(filter(None, (y.label, sample_count_words(points["n"]))))))
        _legend(figure, models, width)
        freeze_layout(figure)
        _name_lines(axes, marked)
        taken = _better_arrow(axes, points, x, y)
        _label_weights(axes, points, taken)
    return Drawing(drawing_name("pareto", width), _title(x, y), _describe(points, x, y, marked), figure, points)


def draw_pareto(runs: Sequence[RunData], width: Width = "full") -> Drawing:
    """Draw the runs in the plane of their own two main scores: CLIP score and FD where they have them.

    Raises:
        InputError: the runs do not have one score where higher is better and one where lower is.
    """
    axes = pareto_axes(metrics_of(runs))
    if axes is None:
        raise InputError(
            "a Pareto figure needs a score where higher is better and one where lower is, such as clip_score "
            "and fd: score the runs on both first"
        )
    return pareto_figure(runs, *axes, width)


def weight_labels(figure: Figure) -> list[Text]:
    """The weight labels that were placed, for checks of overlap."""
    return [text for axes in figure.axes for text in axes.texts if str(text.get_gid()).startswith(_LABEL_GID)]


def _draw_sweep(axes: Axes, rows: pd.DataFrame, place: int) -> None:
    look = series_style(place)
    xs, ys = rows["x"].to_numpy(), rows["y"].to_numpy()
    axes.plot(xs, ys, linestyle=look.line, color=look.color, zorder=2)
    spans = {
        "xerr": np.abs(np.array([xs - rows["x_low"], rows["x_high"] - xs], dtype=float)),
        "yerr": np.abs(np.array([ys - rows["y_low"], rows["y_high"] - ys], dtype=float)),
    }
    axes.errorbar(xs, ys, **spans, fmt="none", ecolor=look.color, elinewidth=0.6, alpha=0.65, zorder=1)
    for kept, group in rows.groupby("non_dominated"):
        face = look.color if kept else PAPER
        axes.plot(
            group["x"],
            group["y"],
            look.marker,
            color=look.color,
            markerfacecolor=face,
            linestyle="none",
            zorder=3,
        )


def _published_lines(axes: Axes, published: Sequence[Published]) -> list[Published]:
    """Draw the values near the plotted ones, and keep room for their names; returns those drawn, ascending."""
    if not published:
        return []
    low, high = axes.get_ylim()
    lowest = min(value.fid for value in published)
    low = min(low, lowest - 0.06 * (high - min(low, lowest)))
    marked = sorted((value for value in published if low <= value.fid <= high), key=lambda value: value.fid)
    axes.set_ylim(low, high)
    for value in marked:
        axes.axhline(value.fid, linestyle=(0, (1, 2)), color=MUTED, linewidth=0.9, zorder=0)
    longest = max((_line_name(value) for value in marked), key=len, default="")
    axes.annotate(
        longest, xy=(1, 0.5), xycoords="axes fraction", xytext=(_LEADER_POINTS, 0), textcoords="offset points",
        alpha=0, gid=_ROOM_GID, annotation_clip=False,
    )  # fmt: skip
    return marked


def _name_lines(axes: Axes, marked: Sequence[Published]) -> None:
    """Write the names right of the axes, pushed apart where lines lie close together."""
    for text in [text for text in axes.texts if text.get_gid() == _ROOM_GID]:
        text.remove()
    bounds, pitch = _axes_box(axes), TEXT_POINTS + 2.0
    scale = _PER_INCH / figure_dpi(axes)
    wanted = [float(axes.transData.transform((0, value.fid))[1]) * scale for value in marked]
    for value, at, place in zip(marked, wanted, spread(wanted, pitch, bounds[1], bounds[3]), strict=True):
        axes.annotate(
            _line_name(value),
            xy=_fraction(axes, bounds[2], at),
            xytext=_fraction(axes, bounds[2] + _LEADER_POINTS, place),
            xycoords="axes fraction",
            textcoords="axes fraction",
            va="center",
            color=MUTED,
            annotation_clip=False,
            arrowprops={"arrowstyle": "-", "color": MUTED, "linewidth": 0.5, "shrinkA": 0, "shrinkB": 0},
        )


def _line_name(value: Published) -> str:
    return f"{value.model.removesuffix(' (zero-shot)')} {value.fid:.2f}"


def _legend(figure: Figure, models: Sequence[str], width: Width) -> None:
    """Models first, then what filled and hollow mean."""
    longest = 24 if width == "column" else 40
    handles = []
    for place, model in enumerate(models):
        look, label = series_style(place), drawable(model, longest)
        handles.append(Line2D([], [], linestyle=look.line, marker=look.marker, color=look.color, label=label))
    for label, face in (("not dominated", MUTED), ("dominated", PAPER)):
        handles.append(Line2D([], [], linestyle="none", marker="o", color=MUTED, markerfacecolor=face, label=label))
    legend_above(figure, handles)


def _better_arrow(axes: Axes, points: pd.DataFrame, x: Metric, y: Metric) -> list[Box]:
    """Point to the better corner, drawn where there is most room; returns the box it takes."""
    right, up = (1 if x.higher_is_better else -1), (1 if y.higher_is_better else -1)
    bounds = _axes_box(axes)
    data = _to_points(axes, points, "x", "y")
    box_width, box_height = 62.0, 24.0
    corners = [(0, 0), (0, 1), (1, 0), (1, 1)]
    wanted = ((right + 1) // 2, (up + 1) // 2)

    def room(corner: tuple[int, int]) -> tuple[float, bool]:
        centre_x = bounds[corner[0] * 2] + (1 - 2 * corner[0]) * box_width / 2
        centre_y = bounds[corner[1] * 2 + 1] + (1 - 2 * corner[1]) * box_height / 2
        nearest = min(max(abs(px - centre_x) / box_width, abs(py - centre_y) / box_height) for px, py in data)
        return (min(nearest, 1.2), corner == wanted)

    column, row = max(corners, key=room)
    left = bounds[0] + 4 if column == 0 else bounds[2] - 4 - box_width
    bottom = bounds[1] + 4 if row == 0 else bounds[3] - 4 - box_height
    tip_x = left + (box_width if right > 0 else 0)
    tail_x = tip_x - right * 20
    tip_y, tail_y = (bottom + (box_height if s > 0 else 0) for s in (up, -up))
    axes.annotate(
        "",
        xy=_fraction(axes, tip_x, tip_y),
        xytext=_fraction(axes, tail_x, tail_y),
        xycoords="axes fraction",
        arrowprops={"arrowstyle": "-|>", "color": MUTED, "linewidth": 1.1, "shrinkA": 0, "shrinkB": 0},
    )
    axes.text(
        *_fraction(axes, tail_x - right * 4, (tip_y + tail_y) / 2),
        "better",
        transform=axes.transAxes,
        ha="right" if right > 0 else "left",
        va="center",
        color=MUTED,
        style="italic",
    )
    return [(left, bottom, left + box_width, bottom + box_height)]


def _label_weights(axes: Axes, points: pd.DataFrame, taken: list[Box]) -> None:
    """Write the weights beside the points: ends and best values choose their place first."""
    anchors = _to_points(axes, points, "x", "y")
    texts = [f"w = {weight:g}" if first else f"{weight:g}" for weight, first in _labelled(points)]
    sizes = [_text_size(axes, text) for text in texts]
    models = list(points["model"].unique())
    lines = [[anchors[int(row)] for row in np.flatnonzero(points["model"] == model)] for model in models]
    for low, high in ((("x_low", "y"), ("x_high", "y")), (("x", "y_low"), ("x", "y_high"))):
        lines += [
            list(pair) for pair in zip(_to_points(axes, points, *low), _to_points(axes, points, *high), strict=True)
        ]
    boxes = place_labels(anchors, sizes, _axes_box(axes), lines=lines, taken=taken, order=_importance(points))
    for place, (text, box, model) in enumerate(zip(texts, boxes, points["model"], strict=True)):
        if box is None:
            continue
        axes.text(
            *_fraction(axes, (box[0] + box[2]) / 2, (box[1] + box[3]) / 2),
            text,
            transform=axes.transAxes,
            ha="center",
            va="center",
            color=INK if len(models) == 1 else series_style(models.index(model)).text_color,
            gid=f"{_LABEL_GID}-{place}",
        )


def _labelled(points: pd.DataFrame) -> list[tuple[float, bool]]:
    """Weight of each point, and whether it is the first of its model (whose label spells out "w =")."""
    return list(zip(points["guidance_weight"], ~points["model"].duplicated(), strict=True))


def _importance(points: pd.DataFrame) -> list[int]:
    """Rows in the order in which they choose a place: ends of lines, extremes of scores, then the rest."""
    ends = ~points["model"].duplicated() | ~points["model"].duplicated(keep="last")
    extremes = [int(points[column].to_numpy().argmin()) for column in ("x", "y")]
    extremes += [int(points[column].to_numpy().argmax()) for column in ("x", "y")]
    first = [*np.flatnonzero(ends).tolist(), *extremes, *np.flatnonzero(points["non_dominated"]).tolist()]
    return list(dict.fromkeys([*first, *range(len(points))]))


def _to_points(axes: Axes, points: pd.DataFrame, x: str, y: str) -> list[Point]:
    """Two columns of data as places in pt; a missing end of an interval falls back to the value."""
    columns = [points[name].fillna(points[name[0]]).to_numpy(dtype=float) for name in (x, y)]
    pixels = axes.transData.transform(np.column_stack(columns))
    scale = _PER_INCH / figure_dpi(axes)
    return [(float(px * scale), float(py * scale)) for px, py in pixels]


def _axes_box(axes: Axes) -> Box:
    box, scale = axes.get_window_extent(), _PER_INCH / figure_dpi(axes)
    return (box.x0 * scale, box.y0 * scale, box.x1 * scale, box.y1 * scale)


def _fraction(axes: Axes, x: float, y: float) -> Point:
    left, bottom, right, top = _axes_box(axes)
    return ((x - left) / (right - left), (y - bottom) / (top - bottom))


def _text_size(axes: Axes, text: str) -> Point:
    probe = axes.text(0.5, 0.5, text, transform=axes.transAxes)
    box, scale = probe.get_window_extent(), _PER_INCH / figure_dpi(axes)
    probe.remove()
    return (box.width * scale + 1.0, max(box.height * scale, TEXT_POINTS) + 0.5)


def _title(x: Metric, y: Metric) -> str:
    return f"{y.label} against {x.label} by guidance weight"


def _describe(points: pd.DataFrame, x: Metric, y: Metric, marked: Sequence[Published]) -> str:
    """Alternative text: every point and line in words."""
    x_decimals, y_decimals = decimals_for(points["x"]), decimals_for(points["y"])
    parts = [f"Line chart of {x.label} ({x.direction}) against {y.label} ({y.direction})."]
    for model, rows in points.groupby("model", sort=False):
        told = "; ".join(
            f"w = {weight:g}: {format_value(at_x, x_decimals)} and {format_value(at_y, y_decimals)}"
            + ("" if kept else " (dominated)")
            for weight, at_x, at_y, kept in floats(rows, "guidance_weight", "x", "y", "non_dominated")
        )
        parts.append(f"{model}: {told}.")
    if marked:
        parts.append(f"Published values as dotted lines: {', '.join(map(_line_name, marked))}.")
    return " ".join(parts)
