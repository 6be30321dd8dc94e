"""The quality of raters in one figure: controls, repeats, sides and time of each rater; agreement of all."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from imagen_bench.report.human_figures import Results, Row
from imagen_bench.report.style import (
    INK,
    MUTED,
    PAPER,
    WIDTH_INCHES,
    Drawing,
    drawable,
    freeze_layout,
    legend_above,
    paper_style,
    series_style,
)

_MOST_NAMED = 40
_PANELS = (
    ("control_share", "controls passed"),
    ("repeat_share", "repeats alike"),
    ("left_share", "left picked"),
    ("answered_share", "answered"),
    ("seconds", "median seconds"),
)
_COLUMNS = (
    "rater", "answered", "assigned", "controls", "controls_passed", "control_share", "repeats", "repeats_same",
    "repeat_share", "sided", "left", "left_share", "answered_share", "seconds", "straight",
)  # fmt: skip


def quality_figure(results: Results) -> Drawing:
    """Draw one row a rater and one panel a measure, and agreement by question below.

    Args:
        results: Content of results.json.
    """
    quality = results["quality"]
    raters = sorted(quality["raters"], key=lambda rater: (bool(rater["excluded"]), rater["rater"]))
    panels = [(key, name) for key, name in _PANELS if any(rater[key] is not None for rater in raters)]
    named = len(raters) <= _MOST_NAMED
    height = (0.2 * len(raters) if named else 5.5) + 0.75
    agreements = [row for row in results["agreement"] if row["alpha"] is not None]
    below = 0.22 * len(agreements) + 0.65 if agreements else 0.0
    with paper_style():
        figure = Figure(figsize=(WIDTH_INCHES["full"], height + below + 0.3), layout="constrained")
        FigureCanvasAgg(figure)
        grid = figure.add_gridspec(
            2 if agreements else 1, len(panels), height_ratios=[height, below] if below else None
        )
        first: Axes | None = None
        for column, (key, name) in enumerate(panels):
            axis = figure.add_subplot(grid[0, column], sharey=first)
            first = first or axis
            _draw_panel(axis, raters, key, name, quality)
            _name_rows(axis, raters, labelled=column == 0 and named)
        if agreements:
            _draw_alpha(figure.add_subplot(grid[1, :]), agreements)
        legend_above(figure, _handles(raters))
        freeze_layout(figure)
    numbers = pd.DataFrame([{column: rater[column] for column in _COLUMNS} for rater in raters])
    numbers["flags"] = [" ".join(rater["flags"]) for rater in raters]
    numbers["excluded"] = ["; ".join(rater["excluded"]) for rater in raters]
    return Drawing("quality", "Quality of raters", _describe(results), figure, numbers)


def _draw_panel(axis: Axes, raters: Sequence[Row], key: str, name: str, quality: Row) -> None:
    for looks in (("used", False), ("used", True), ("excluded", False)):
        shown = [(rater[key], y) for y, rater in enumerate(raters) if rater[key] is not None and _looks(rater) == looks]
        if shown:
            _draw_raters(axis, shown, *looks)
    line = _line(key, raters, quality)
    if line is not None:
        axis.axvline(line, color=INK, linewidth=0.9, linestyle=(0, (4, 2)), zorder=1)
    if key == "left_share" and quality["sides"] and quality["sides"]["left_share_low"] is not None:
        axis.axvspan(quality["sides"]["left_share_low"], quality["sides"]["left_share_high"], color=MUTED, alpha=0.18)
    axis.set_xlabel(name)
    if key == "seconds":
        axis.set_xlim(0, 1.15 * max(rater[key] or 0.0 for rater in raters))
    else:
        axis.set_xlim(-0.05, 1.05)
        axis.set_xticks([0, 0.5, 1], ["0", "50", "100\u2009%"])


def _looks(rater: Row) -> tuple[str, bool]:
    """Return how a rater is drawn: excluded or used, and whether open because of a flag."""
    return ("excluded", False) if rater["excluded"] else ("used", bool(rater["flags"]))


def _draw_raters(axis: Axes, points: Sequence[tuple[float, int]], kind: str, flagged: bool) -> None:
    look = series_style(1 if kind == "excluded" else 0)
    marker, size = ("X", 5.5) if kind == "excluded" else ("o", 4.5)
    values, places = zip(*points, strict=True)
    axis.plot(
        values, places, marker=marker, linestyle="none", color=look.color, markersize=size, markeredgewidth=1.1,
        markerfacecolor=PAPER if flagged else look.color, zorder=3,
    )  # fmt: skip


def _line(key: str, raters: Sequence[Row], quality: Row) -> float | None:
    """The value that a panel is held against: the study's limits, or half for sides."""
    if key == "left_share":
        return 0.5
    if key == "seconds":
        seconds = sorted(rater["seconds"] for rater in raters if rater["seconds"] is not None)
        return float(pd.Series(seconds).median() * quality["speed_fraction"])
    limits = {"control_share": quality["min_control_pass"], "answered_share": quality["min_answered"]}
    return limits.get(key)


def _name_rows(axis: Axes, raters: Sequence[Row], labelled: bool) -> None:
    axis.set_ylim(len(raters) - 0.4, -0.6)
    axis.tick_params(axis="y", length=0, labelleft=labelled)
    axis.spines["left"].set_visible(False)
    if labelled:
        axis.set_yticks(range(len(raters)), [drawable(rater["rater"], 18) for rater in raters])
    elif len(raters) > _MOST_NAMED:
        axis.set_yticks([])


def _draw_alpha(axis: Axes, rows: Sequence[Row]) -> None:
    for y, row in enumerate(rows):
        if row["low"] is not None:
            axis.plot((row["low"], row["high"]), (y, y), color=INK, linewidth=1.4)
        axis.plot(row["alpha"], y, marker="D", color=INK, markersize=4.5)
    axis.set_yticks(range(len(rows)), [drawable(row["question"], 22) for row in rows])
    axis.set_ylim(len(rows) - 0.4, -0.6)
    axis.set_xlim(min(-0.05, *(row["low"] or 0.0 for row in rows)), 1.0)
    axis.tick_params(axis="y", length=0)
    axis.set_xlabel(f"Krippendorff's alpha ({rows[0]['scale']}); 0: as by chance, 1: full agreement")


def _handles(raters: Sequence[Row]) -> list[Line2D]:
    used, out = series_style(0), series_style(1)
    handles = [Line2D([], [], color=used.color, marker="o", linestyle="none", markersize=4.5, label="rater")]
    if any(rater["flags"] for rater in raters):
        handles.append(Line2D([], [], color=used.color, marker="o", markerfacecolor=PAPER, linestyle="none",
                              markeredgewidth=1.1, markersize=4.5, label="open: flagged"))  # fmt: skip
    if any(rater["excluded"] for rater in raters):
        handles.append(Line2D([], [], color=out.color, marker="X", linestyle="none", label="excluded"))
    handles.append(Line2D([], [], color=INK, linewidth=0.9, linestyle=(0, (4, 2)), label="limit, or half"))
    return handles


def _describe(results: Results) -> str:
    counts, quality = results["counts"], results["quality"]
    told = [f"{counts['raters']} raters, {counts['raters_excluded']} excluded"]
    if quality["controls"]:
        told.append(f"controls passed {quality['controls_passed']} of {quality['controls']}")
    if quality["repeats"]:
        told.append(f"repeats alike {quality['repeats_same']} of {quality['repeats']}")
    sides = quality["sides"]
    if sides and sides["left_share"] is not None:
        told.append(f"left picked {100 * sides['left_share']:.0f} %")
    told += [
        f"alpha of {row['question']} {row['alpha']:.2f}" for row in results["agreement"] if row["alpha"] is not None
    ]
    return f"Quality of raters, one row a rater. {'; '.join(told)}."
