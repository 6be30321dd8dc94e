"""Figures of a human evaluation: which can be drawn from its results, and the preference bars.

Everything is drawn from the content of a study's `results.json`, so figures can be made again later without the
answers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from imagen_bench.report.style import (
    INK,
    MUTED,
    PAPER,
    WIDTH_INCHES,
    Drawing,
    Width,
    drawable,
    drawing_name,
    freeze_layout,
    legend_above,
    paper_style,
    series_style,
)

ALL, CATEGORY_AVERAGE = "all", "category average"
_INDIFFERENT = "#e4e8ec"
_HATCHES = ("", "////", "....", "\\\\\\\\", "xxxx", "++++")
_BAR, _ROW_INCHES = 0.86, 0.36
_TEXT_INCHES, _LABEL_INCHES = 0.31, 1.4
_LONGEST_LABEL = 22
_BAR_COLUMNS = (
    "arm_a", "arm_b", "question", "category", "n_prompts", "n_ratings", "share_a", "share_a_low", "share_a_high",
    "share_tie", "share_b", "share_b_low", "share_b_high", "method",
)  # fmt: skip

Row = dict[str, Any]
Results = dict[str, Any]


def overall_bars(results: Results, width: Width = "full") -> Drawing:
    """Draw the overall preference of every pair as one stacked bar a question (Imagen, figure 3).

    Args:
        results: Content of results.json, with preferences.
        width: Printed width; questions stand side by side, or above each other in a column.
    """
    rows = [row for row in results["preference"] if row["category"] == ALL]
    pairs = list(dict.fromkeys((row["arm_a"], row["arm_b"]) for row in rows))
    labels = [" vs ".join(drawable(arm, 16) for arm in pair) for pair in pairs]
    panels = [
        (question, [_find(rows, question, arm_a=a, arm_b=b) for a, b in pairs]) for question in question_names(results)
    ]
    return _bars(results, panels, labels, width, "preference", "Preference over all prompts")


def category_bars(results: Results, pair: tuple[str, str], name: str, width: Width = "full") -> Drawing:
    """Draw the preference of one pair in every category (Imagen, figure A.15): DrawBench's order, n prompts.

    Args:
        results: Content of results.json, with preferences.
        pair: Labels of the two arms.
        name: File stem at full width.
        width: Printed width.
    """
    rows = [row for row in results["preference"] if (row["arm_a"], row["arm_b"]) == pair]
    categories = [ALL, *results["categories"]]
    sizes = {row["category"]: row["n_prompts"] for row in rows}
    shown = [category for category in categories if category in sizes]
    labels = [category_label(category, sizes[category]) for category in shown]
    panels = [
        (question, [_find(rows, question, category=category) for category in shown])
        for question in question_names(results)
    ]
    title = f"Preference by category: {pair[0]} against {pair[1]}"
    return _bars(results, panels, labels, width, name, title, gap_after_first=True)


def question_names(results: Results) -> list[str]:
    """Return the questions that have results, in the order of asking."""
    rows = results.get("preference") or results.get("scores") or []
    answered = {row["question"] for row in rows}
    return [str(question["name"]) for question in results["questions"] if question["name"] in answered]


def category_label(category: str, prompts: int) -> str:
    """Return a row's label: the category and its number of prompts; a dagger marks fewer than ten."""
    name = {ALL: "all prompts", CATEGORY_AVERAGE: "mean of categories"}.get(category, category)
    return f"{drawable(name, _LONGEST_LABEL)} ({prompts}{'†' if prompts < 10 else ''})"


def panel_grid(width: Width, panels: int, rows: float, row_inches: float, extra: float) -> tuple[Figure, list[Axes]]:
    """Return a figure with a panel for each question: side by side, or above each other in a column.

    Args:
        width: Printed width.
        panels: Number of questions.
        rows: Rows in each panel.
        row_inches: Height of a row.
        extra: Inches of each panel that are no rows: title, axis.
    """
    stacked = width == "column"
    height = (rows * row_inches + extra) * (panels if stacked else 1) + 0.25
    figure = Figure(figsize=(WIDTH_INCHES[width], height), layout="constrained")
    FigureCanvasAgg(figure)
    grid = (
        figure.subplots(panels, 1, squeeze=False) if stacked else figure.subplots(1, panels, squeeze=False, sharey=True)
    )
    return figure, list(grid.ravel())


def arm_hatch(results: Results, arm: str) -> tuple[str, str]:
    """Return colour and hatch of an arm, the same in every figure."""
    place = results["arms"].index(arm)
    return series_style(place).color, _HATCHES[place % len(_HATCHES)]


def percent(value: float) -> str:
    """Return a share as whole per cent."""
    return f"{100 * value:.0f}\u2009%"


def _bars(
    results: Results,
    panels: Sequence[tuple[str, Sequence[Row | None]]],
    labels: Sequence[str],
    width: Width,
    name: str,
    title: str,
    gap_after_first: bool = False,
) -> Drawing:
    places = [float(row + (0.35 if gap_after_first and row else 0.0)) for row in range(len(labels))]
    shown = [row for _, rows in panels for row in rows if row is not None]
    with paper_style():
        figure, axes = panel_grid(width, len(panels), places[-1] + 1, _ROW_INCHES, 0.62)
        beside = 1 if width == "column" else len(panels)
        least = _TEXT_INCHES / ((WIDTH_INCHES[width] - _LABEL_INCHES) / beside)
        for place, (axis, (question, rows)) in enumerate(zip(axes, panels, strict=True)):
            for y, row in zip(places, rows, strict=True):
                if row is not None:
                    _draw_bar(axis, y, row, results, least)
            _finish_axis(axis, places, labels if width == "column" or place == 0 else None)
            axis.set_title(drawable(question), loc="left")
        _legend(figure, results, shown)
        freeze_layout(figure)
    numbers = pd.DataFrame([{column: row[column] for column in _BAR_COLUMNS} for row in shown])
    return Drawing(drawing_name(name, width), title, _describe(title, shown), figure, numbers)


def _draw_bar(axis: Axes, y: float, row: Row, results: Results, least: float) -> None:
    """Draw A | indifferent | B: shares in the upper half of the bar, a whisker at each cut in the lower."""
    cuts = (0.0, row["share_a"], 1 - row["share_b"], 1.0)
    (color_a, hatch_a), (color_b, hatch_b) = (arm_hatch(results, row[arm]) for arm in ("arm_a", "arm_b"))
    looks = ((color_a, hatch_a), (_INDIFFERENT, ""), (color_b, hatch_b))
    for left, right, (color, hatch) in zip(cuts, cuts[1:], looks, strict=False):
        axis.barh(y, right - left, left=left, height=_BAR, color=color, hatch=hatch, edgecolor=PAPER, linewidth=0.6)
        if right - left >= least:
            axis.text(
                (left + right) / 2, y - 0.14, percent(right - left), ha="center", va="center_baseline", color=INK,
                zorder=6, bbox={"boxstyle": "round,pad=0.1", "facecolor": PAPER, "edgecolor": "none"},
            )  # fmt: skip
    lower_cut, upper_cut = _whisker(row, "share_a"), _whisker(row, "share_b")
    if lower_cut is not None:
        _draw_whisker(axis, y + 0.19, cuts[1], lower_cut)
    if upper_cut is not None:
        _draw_whisker(axis, y + 0.33, cuts[2], (1 - upper_cut[1], 1 - upper_cut[0]))


def _whisker(row: Row, name: str) -> tuple[float, float] | None:
    low, high = row[f"{name}_low"], row[f"{name}_high"]
    return None if low is None or high is None else (low, high)


def _draw_whisker(axis: Axes, y: float, cut: float, ends: tuple[float, float]) -> None:
    # A light line under the dark one keeps the whisker visible on every colour and hatch.
    for color, wide in ((PAPER, 2.8), (INK, 1.1)):
        axis.plot(ends, (y, y), color=color, linewidth=wide, solid_capstyle="butt", zorder=4)
    axis.plot(cut, y, marker="d", color=INK, markersize=4.2, markeredgecolor=PAPER, markeredgewidth=0.5, zorder=5)


def _finish_axis(axis: Axes, places: Sequence[float], labels: Sequence[str] | None) -> None:
    axis.set_xlim(0, 1)
    axis.set_ylim(places[-1] + 0.55, -0.55)
    axis.axvline(0.5, color=INK, linewidth=0.9, linestyle=(0, (4, 2)), zorder=2.5)
    axis.set_xticks([0, 0.25, 0.5, 0.75, 1.0], ["0", "25", "50", "75", "100\u2009%"])
    axis.set_yticks(places, labels)
    axis.tick_params(axis="y", length=0)
    axis.grid(False)
    for side in ("left", "bottom"):
        axis.spines[side].set_visible(False)


def _legend(figure: Figure, results: Results, rows: Sequence[Row]) -> None:
    arms = [arm for arm in results["arms"] if any(arm in (row["arm_a"], row["arm_b"]) for row in rows)]
    handles = [_patch(results, arm) for arm in arms]
    if any(row["share_tie"] for row in rows):
        handles.insert(1, Patch(facecolor=_INDIFFERENT, edgecolor=MUTED, linewidth=0.4, label="indifferent"))
    legend_above(figure, handles)


def _patch(results: Results, arm: str) -> Patch:
    color, hatch = arm_hatch(results, arm)
    return Patch(facecolor=color, hatch=hatch, edgecolor=PAPER, linewidth=0.4, label=f"prefer {drawable(arm, 24)}")


def _find(rows: Sequence[Row], question: str, **wanted: str) -> Row | None:
    for row in rows:
        if row["question"] == question and all(row[key] == value for key, value in wanted.items()):
            return row
    return None


def _describe(title: str, rows: Sequence[Row]) -> str:
    told = []
    for row in rows:
        what = "" if row["category"] == ALL else f" {row['category']},"
        told.append(
            f"{row['question']},{what} {row['arm_a']} {100 * row['share_a']:.0f} %, indifferent "
            f"{100 * row['share_tie']:.0f} %, {row['arm_b']} {100 * row['share_b']:.0f} %"
        )
    return f"{title}. Stacked bars with 95 % intervals at both cuts. {'; '.join(told)}."
