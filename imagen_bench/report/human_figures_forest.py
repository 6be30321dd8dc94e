"""Forest plots of a human evaluation: net preference, scores of single images, Bradley-Terry strengths."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from imagen_bench.errors import InputError
from imagen_bench.report.human_figures import (
    ALL,
    CATEGORY_AVERAGE,
    Results,
    Row,
    category_label,
    panel_grid,
    question_names,
)
from imagen_bench.report.style import (
    INK,
    MUTED,
    PAPER,
    WIDTH_INCHES,
    Drawing,
    Series,
    Width,
    drawable,
    drawing_name,
    freeze_layout,
    legend_above,
    paper_style,
    series_style,
)

_UNTESTED = Series(MUTED, MUTED, "D", "-")
_ROW_INCHES = 0.24
_NET_COLUMNS = (
    "arm_a", "arm_b", "question", "category", "n_prompts", "n_ratings", "net", "net_low", "net_high", "p",
    "p_sign_flip", "p_holm", "different", "method",
)  # fmt: skip


@dataclass(frozen=True)
class Point:
    """A value with its interval in a row of a forest plot; `filled` marks what was found different."""

    y: float
    value: float
    low: float | None
    high: float | None
    filled: bool = True


def net_forest(results: Results, pair: tuple[str, str], name: str, width: Width = "full") -> Drawing:
    """Draw the net preference of one pair overall and in each category; Holm-significant ones are filled.

    Args:
        results: Content of results.json, with preferences.
        pair: Labels of the two arms.
        name: File stem at full width.
        width: Printed width.
    """
    rows = [row for row in results["preference"] if (row["arm_a"], row["arm_b"]) == pair]
    sizes = {row["category"]: row["n_prompts"] for row in rows}
    shown = [c for c in (ALL, CATEGORY_AVERAGE, *results["categories"]) if c in sizes]
    gap = sum(c in shown for c in (ALL, CATEGORY_AVERAGE))
    places = {c: number + (0.4 if number >= gap else 0.0) for number, c in enumerate(shown)}
    questions = question_names(results)
    reach = _reach(rows)
    with paper_style():
        figure, axes = panel_grid(width, len(questions), len(shown) + 0.4, _ROW_INCHES, 0.72)
        for number, (axis, question) in enumerate(zip(axes, questions, strict=True)):
            own = [row for row in rows if row["question"] == question]
            tested = [row for row in own if row["category"] != CATEGORY_AVERAGE]
            _draw_points(axis, [_net_point(row, places) for row in tested], series_style(0))
            _draw_points(axis, [_net_point(row, places) for row in own if row not in tested], _UNTESTED)
            _rows_axis(axis, places, sizes, width == "column" or number == 0)
            axis.axvline(0, color=INK, linewidth=0.9, linestyle=(0, (4, 2)), zorder=1)
            axis.set_xlim(-reach, reach)
            axis.set_title(drawable(question), loc="left")
            longest = 10 if width == "column" else 16
            axis.set_xlabel(f"← {drawable(pair[1], longest)}   net preference   {drawable(pair[0], longest)} →")
            axis.locator_params(axis="x", nbins=6)
        legend_above(figure, _mark_legend(CATEGORY_AVERAGE in shown))
        freeze_layout(figure)
    numbers = pd.DataFrame([{column: row[column] for column in _NET_COLUMNS} for row in rows])
    title = f"Net preference by category: {pair[0]} against {pair[1]}"
    return Drawing(drawing_name(name, width), title, _describe_net(title, rows), figure, numbers)


def score_forest(results: Results, width: Width = "full") -> Drawing:
    """Draw the mean score of every arm overall and in each category.

    Args:
        results: Content of results.json, of a study of single images.
        width: Printed width.
    """
    rows = results["scores"]
    sizes = {row["category"]: row["n_prompts"] for row in rows}
    shown = [c for c in (ALL, CATEGORY_AVERAGE, *results["categories"]) if c in sizes]
    arms = [arm for arm in results["arms"] if any(row["arm"] == arm for row in rows)]
    gap = sum(c in shown for c in (ALL, CATEGORY_AVERAGE))
    places = {c: number + (0.4 if number >= gap else 0.0) for number, c in enumerate(shown)}
    shift = {arm: 0.5 * ((number + 0.5) / len(arms) - 0.5) for number, arm in enumerate(arms)}
    questions = question_names(results)
    with paper_style():
        figure, axes = panel_grid(width, len(questions), len(shown) + 0.4, max(_ROW_INCHES, 0.13 * len(arms)), 0.72)
        for number, (axis, question) in enumerate(zip(axes, questions, strict=True)):
            for arm in arms:
                own = [row for row in rows if (row["question"], row["arm"]) == (question, arm)]
                points = [_score_point(row, places[row["category"]] + shift[arm]) for row in own]
                _draw_points(axis, points, series_style(results["arms"].index(arm)))
            _rows_axis(axis, places, sizes, width == "column" or number == 0)
            axis.set_title(drawable(question), loc="left")
            axis.set_xlabel("score, 0 to 100" if results["mode"] == "alignment" else "mean rating, 1 to 5")
        legend_above(figure, [_arm_handle(results, arm) for arm in arms])
        freeze_layout(figure)
    title = "Mean score of each arm by category"
    told = [f"{r['question']}, {r['arm']} {r['mean']:.2f}" for r in rows if r["category"] == ALL]
    desc = f"{title}, with 95 % intervals. Over all prompts: {'; '.join(told)}."
    return Drawing(drawing_name("scores", width), title, desc, figure, pd.DataFrame(rows))


def strength_figure(results: Results, width: Width = "full") -> Drawing:
    """Draw Bradley-Terry strengths with an Elo axis, and beside them the raw win rates.

    Args:
        results: Content of results.json, of three arms or more.
        width: Printed width.

    Raises:
        InputError: There are no strengths, since arms are not connected.
    """
    fits = [row for row in results.get("bradley_terry") or [] if not row["refused"]]
    if not fits:
        raise InputError("no question has Bradley-Terry strengths")
    arms = results["arms"]
    columns, stacked = (1, 2) if width == "column" else (2, 1)
    height = len(fits) * stacked * (0.3 * len(arms) + 1.0)
    with paper_style():
        figure = Figure(figsize=(WIDTH_INCHES[width], height), layout="constrained")
        FigureCanvasAgg(figure)
        grid = figure.subplots(len(fits) * stacked, columns, squeeze=False).reshape(len(fits), 2)
        for (left, right), fit in zip(grid, fits, strict=True):
            _draw_strengths(left, fit)
            _draw_wins(right, fit, width)
        freeze_layout(figure)
    numbers = pd.DataFrame([line for fit in fits for line in _strength_rows(fit)])
    told = [f"{line['question']}: {line['arm']} {line['elo']:.0f}" for line in _sorted(numbers)]
    title = "Bradley-Terry strengths and win rates"
    desc = f"{title}. Elo-scaled strengths, mean 1000: {'; '.join(told)}."
    return Drawing(drawing_name("strengths", width), title, desc, figure, numbers)


def _net_point(row: Row, places: dict[str, float]) -> Point:
    filled = row["different"] or row["category"] == CATEGORY_AVERAGE
    return Point(places[row["category"]], row["net"], row["net_low"], row["net_high"], filled)


def _score_point(row: Row, y: float) -> Point:
    return Point(y, row["mean"], row["mean_low"], row["mean_high"])


def _draw_points(axis: Axes, points: Sequence[Point], look: Series) -> None:
    for point in points:
        if point.low is not None and point.high is not None:
            axis.plot((point.low, point.high), (point.y, point.y), color=look.color, linewidth=1.4, zorder=2)
        face = look.color if point.filled else PAPER
        axis.plot(
            point.value,
            point.y,
            marker=look.marker,
            color=look.color,
            markerfacecolor=face,
            markeredgewidth=1.2,
            zorder=3,
        )


def _rows_axis(axis: Axes, places: dict[str, float], sizes: dict[str, int], labelled: bool) -> None:
    labels = [category_label(category, sizes[category]) for category in places] if labelled else None
    axis.set_yticks(list(places.values()), labels)
    axis.set_ylim(max(places.values()) + 0.6, -0.6)
    axis.tick_params(axis="y", length=0)
    axis.spines["left"].set_visible(False)
    if not labelled:
        axis.tick_params(axis="y", labelleft=False)


def _reach(rows: Sequence[Row]) -> float:
    """Half of a symmetric axis that holds every interval."""
    edges = [abs(row[key]) for row in rows for key in ("net", "net_low", "net_high") if row[key] is not None]
    return min(1.05, math.ceil(10 * max(edges, default=1.0) + 0.5) / 10)


def _mark_legend(untested: bool) -> list[Line2D]:
    look = series_style(0)
    common: dict[str, Any] = {"color": look.color, "marker": look.marker, "linestyle": "none", "markeredgewidth": 1.2}
    handles = [
        Line2D([], [], label="different (categories: after Holm)", **common),
        Line2D([], [], label="not shown to differ", markerfacecolor=PAPER, **common),
    ]
    if untested:
        handles.append(Line2D([], [], label="not tested", color=MUTED, marker="D", linestyle="none"))
    return handles


def _arm_handle(results: Results, arm: str) -> Line2D:
    look = series_style(results["arms"].index(arm))
    return Line2D([], [], color=look.color, marker=look.marker, label=drawable(arm, 24))


def _draw_strengths(axis: Axes, fit: Row) -> None:
    order = np.argsort(fit["theta"])[::-1]
    has_interval = fit["theta_low"] is not None
    for y, place in enumerate(order):
        low = fit["theta_low"][place] if has_interval else None
        high = fit["theta_high"][place] if has_interval else None
        _draw_points(axis, [Point(float(y), fit["theta"][place], low, high)], series_style(int(place)))
    axis.set_yticks(range(len(order)), [drawable(fit["arms"][place], 22) for place in order])
    axis.set_ylim(len(order) - 0.4, -0.6)
    axis.tick_params(axis="y", length=0)
    axis.set_title(f"{drawable(fit['question'])}: strength", loc="left")
    axis.set_xlabel("log-odds")
    elo = axis.secondary_xaxis("top", functions=(_to_elo, _from_elo))
    elo.set_xlabel("Elo scale")


_ELO_SCALE = 400 / math.log(10)


def _to_elo(theta: Any) -> Any:
    """Elo points of log-odds, mean 1000: 400 points are odds of 10 to 1."""
    return 1000 + _ELO_SCALE * theta


def _from_elo(elo: Any) -> Any:
    return (elo - 1000) / _ELO_SCALE


def _draw_wins(axis: Axes, fit: Row, width: Width) -> None:
    """Draw the share of comparisons that the row's arm wins against the column's; ties as half."""
    rates = np.array([[np.nan if rate is None else rate for rate in line] for line in fit["win_rates"]])
    axis.imshow(rates, cmap=colormaps["PuOr_r"].with_extremes(bad=PAPER), vmin=0, vmax=1, alpha=0.55, aspect="auto")
    for (row, column), rate in np.ndenumerate(rates):
        text = "–" if np.isnan(rate) else f"{100 * rate:.0f}\u2009%"
        axis.text(column, row, text, ha="center", va="center_baseline", color=INK if not np.isnan(rate) else MUTED)
    longest = 10 if width == "column" else 16
    names = [drawable(arm, longest) for arm in fit["arms"]]
    axis.set_xticks(range(len(names)), names)
    axis.set_yticks(range(len(names)), names)
    axis.xaxis.tick_top()
    axis.tick_params(length=0)
    axis.grid(False)
    axis.set_title(f"{drawable(fit['question'])}: row wins against column", loc="left")
    for spine in axis.spines.values():
        spine.set_visible(False)


def _strength_rows(fit: Row) -> list[Row]:
    has_interval = fit["theta_low"] is not None
    return [
        {
            "question": fit["question"],
            "arm": arm,
            "theta": fit["theta"][place],
            "theta_low": fit["theta_low"][place] if has_interval else None,
            "theta_high": fit["theta_high"][place] if has_interval else None,
            "elo": fit["elo"][place],
            "n_prompts": fit["n_prompts"],
            **{f"wins_against_{other}": fit["win_rates"][place][n] for n, other in enumerate(fit["arms"])},
        }
        for place, arm in enumerate(fit["arms"])
    ]


def _sorted(numbers: pd.DataFrame) -> list[dict[Any, Any]]:
    ordered: list[dict[Any, Any]] = numbers.sort_values("elo", ascending=False, kind="stable").to_dict("records")
    return sorted(ordered, key=lambda line: str(line["question"]))


def _describe_net(title: str, rows: Sequence[Row]) -> str:
    told = []
    for row in rows:
        mark = ", different" if row["different"] else ""
        told.append(f"{row['question']}, {row['category']} {row['net']:+.2f}{mark}")
    return f"{title}, with 95 % intervals. {'; '.join(told)}."
