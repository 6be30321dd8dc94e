"""Figures over the guidance weight: scores with their intervals, and the time an image took."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from imagen_bench.bench.pareto import best_index
from imagen_bench.errors import InputError
from imagen_bench.report.data import RunData, floats
from imagen_bench.report.metric_words import Metric, decimals_for, format_value, sample_count_words
from imagen_bench.report.published import Published
from imagen_bench.report.style import (
    INK,
    MUTED,
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

_LABEL_ROOM = 13.0


def score_figure(
    runs: Sequence[RunData],
    metrics: Sequence[Metric],
    width: Width = "full",
    name: str = "weights",
    published: Sequence[Published] = (),
) -> Drawing:
    """One panel a metric: score against guidance weight, with 95 % intervals as bands.

    Args:
        runs: Runs to draw, one line each.
        metrics: Metrics, one panel each; two side by side at full width, stacked in a column.
        width: Printed width.
        name: File stem at full width.
        published: Values from papers, the best of which is marked in the panel of the FID at its guidance weight.

    Returns:
        The figure; numbers have columns model, metric, guidance_weight, value, low, high, n.

    Raises:
        InputError: there is no score to draw.
    """
    numbers = _score_numbers(runs, metrics)
    if numbers.empty:
        raise InputError("no scores over guidance weights: score the run first")
    across = 1 if width == "column" or len(metrics) == 1 else 2
    grid = (-(-len(metrics) // across), across)
    height = (2.2 if width == "column" else 2.9 if grid[0] == 1 else 2.5) * grid[0]
    with paper_style():
        figure = Figure(figsize=(WIDTH_INCHES[width], height + 0.15), layout="constrained")
        FigureCanvasAgg(figure)
        every = figure.subplots(*grid, squeeze=False, sharex=across == 1).ravel()
        for spare in every[len(metrics) :]:
            spare.set_visible(False)
        panels = every[: len(metrics)]
        for axes, metric in zip(panels, metrics, strict=True):
            rows = numbers[numbers["metric"] == metric.name]
            _draw_scores(axes, rows, [run.label for run in runs], metric)
            if metric.name == "fid":
                _mark_published(axes, published, max(numbers["guidance_weight"]))
        for axes in panels[-across:]:
            axes.set_xlabel("guidance weight w")
        _model_legend(figure, [run.label for run in runs], width)
        freeze_layout(figure)
        for axes in panels:
            weights = sorted(set(numbers["guidance_weight"]))
            _weight_ticks(axes, weights, weights)
    title = f"{' and '.join(metric.label for metric in metrics)} by guidance weight"
    return Drawing(drawing_name(name, width), title, _describe_scores(numbers, metrics), figure, numbers)


def timing_figure(runs: Sequence[RunData], width: Width = "full") -> Drawing:
    """Median seconds an image took at each guidance weight, with the middle half of the images as a whisker.

    Args:
        runs: Runs with samples; the times of different hardware are drawn side by side, not compared.
        width: Printed width.

    Returns:
        The figure `timing`; numbers have columns model, guidance_weight, median, low, high
        (quartiles, in seconds), n.

    Raises:
        InputError: no run recorded times.
    """
    numbers = _timing_numbers(runs)
    if numbers.empty:
        raise InputError("no times of images: samples.parquet has no seconds above 0")
    weights = sorted(set(numbers["guidance_weight"]))
    with paper_style():
        figure = Figure(figsize=(WIDTH_INCHES[width], 2.1), layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.add_subplot()
        bar = 0.56 / len(runs)
        for place, run in enumerate(runs):
            rows = numbers[numbers["model"] == run.label]
            look, offset = series_style(place), (place - (len(runs) - 1) / 2) * bar
            positions = [weights.index(weight) + offset for weight in rows["guidance_weight"]]
            axes.bar(positions, rows["median"], width=bar * 0.92, color=look.color, alpha=0.82, hatch=_hatch(place))
            spans = [rows["median"] - rows["low"], rows["high"] - rows["median"]]
            axes.errorbar(positions, rows["median"], yerr=spans, fmt="none", ecolor=INK, elinewidth=0.8)
        axes.grid(False, axis="x")
        axes.set_xlabel("guidance weight w")
        axes.set_ylabel("seconds per image")
        _model_legend(figure, [run.label for run in runs], width)
        freeze_layout(figure)
        _weight_ticks(axes, weights, range(len(weights)))
    title = "Seconds per image by guidance weight"
    return Drawing(drawing_name("timing", width), title, _describe_times(numbers), figure, numbers)


def _score_numbers(runs: Sequence[RunData], metrics: Sequence[Metric]) -> pd.DataFrame:
    columns = ["model", "metric", "guidance_weight", "value", "low", "high", "n"]
    frames = [
        run.overall(metric.name).assign(model=run.label)[columns].dropna(subset=["value"])
        for metric in metrics
        for run in runs
    ]
    filled = [frame for frame in frames if len(frame)]
    return pd.concat(filled, ignore_index=True) if filled else pd.DataFrame(columns=columns)


def _draw_scores(axes: Axes, rows: pd.DataFrame, labels: Sequence[str], metric: Metric) -> None:
    for place, label in enumerate(labels):
        line = rows[rows["model"] == label]
        if line.empty:
            continue
        look = series_style(place)
        weights = line["guidance_weight"].to_numpy()
        axes.fill_between(
            weights,
            line["low"].to_numpy(),
            line["high"].to_numpy(),
            color=look.color,
            alpha=0.16,
            linewidth=0,
        )
        axes.plot(weights, line["value"].to_numpy(), linestyle=look.line, marker=look.marker, color=look.color)
        if len(labels) == 1:
            _mark_best(axes, line, metric)
    axes.margins(0.05, 0.16)
    axes.set_ylabel(_with_count(metric, rows))
    axes.set_title(metric.direction, loc="right", color=INK, fontweight="normal", fontstyle="italic")


def _mark_best(axes: Axes, line: pd.DataFrame, metric: Metric) -> None:
    place = best_index(line["value"].to_numpy(), metric.higher_is_better)
    best = line.iloc[place]
    end = float(best["high"] if metric.higher_is_better else best["low"])
    axes.annotate(
        format_value(float(best["value"]), decimals_for(line["value"])),
        (float(best["guidance_weight"]), end if end == end else float(best["value"])),
        xytext=(0, 4 if metric.higher_is_better else -4),
        textcoords="offset points",
        ha={0: "left", len(line) - 1: "right"}.get(place, "center") if len(line) > 1 else "center",
        va="bottom" if metric.higher_is_better else "top",
    )


def _mark_published(axes: Axes, published: Sequence[Published], highest: float) -> None:
    """A star with its name for the best published value that states its guidance weight, within the plotted ones."""
    stated = [(value.fid, value.guidance_weight, value.model) for value in published if value.guidance_weight]
    if not stated or min(stated)[1] > highest:
        return
    fid, weight, model = min(stated)
    axes.plot(weight, fid, marker="*", markersize=8, color=MUTED, linestyle="none", zorder=4)
    axes.annotate(
        f"{model} {fid:.2f} at w = {weight:g}",
        (weight, fid),
        xytext=(8, 48),
        textcoords="offset points",
        color=MUTED,
        arrowprops={"arrowstyle": "-", "color": MUTED, "linewidth": 0.5, "shrinkB": 4},
    )


def _with_count(metric: Metric, rows: pd.DataFrame) -> str:
    count = sample_count_words(rows["n"])
    return drawable(f"{metric.label}, {count}" if count and not metric.higher_is_better else metric.label)


def _weight_ticks(axes: Axes, weights: Sequence[float], places: Sequence[float]) -> None:
    """Label the weights at `places` on the axis, leaving out those that would touch the label before."""
    pixels = [float(axes.transData.transform((place, 0))[0]) for place in places]
    where = [pixel * 72.0 / figure_dpi(axes) for pixel in pixels]
    kept: list[int] = []
    for index, place in enumerate(where):
        if not kept or place - where[kept[-1]] >= _LABEL_ROOM + 2.6 * (len(f"{weights[index]:g}") - 1):
            kept.append(index)
    axes.set_xticks([places[index] for index in kept], [f"{weights[index]:g}" for index in kept])
    axes.set_xticks([place for index, place in enumerate(places) if index not in kept], minor=True)


def _model_legend(figure: Figure, labels: Sequence[str], width: Width) -> None:
    if len(labels) < 2:
        return
    handles = []
    for place, label in enumerate(labels):
        look, text = series_style(place), drawable(label, 24 if width == "column" else 40)
        handles.append(Line2D([], [], linestyle=look.line, marker=look.marker, color=look.color, label=text))
    legend_above(figure, handles)


def _timing_numbers(runs: Sequence[RunData]) -> pd.DataFrame:
    frames = []
    for run in runs:
        timed = run.samples[run.samples["seconds"] > 0]
        if timed.empty:
            continue
        groups = timed.groupby("guidance_weight")["seconds"]
        rows = groups.quantile(np.array([0.5, 0.25, 0.75])).unstack()
        rows.columns = pd.Index(["median", "low", "high"])
        rows["n"] = groups.size()
        frames.append(rows.reset_index().assign(model=run.label))
    columns = ["model", "guidance_weight", "median", "low", "high", "n"]
    return pd.concat(frames, ignore_index=True)[columns] if frames else pd.DataFrame(columns=columns)


def _hatch(place: int) -> str:
    return ("", "///", "...", "xxx", "---", "\\\\\\")[place % 6]


def _describe_scores(numbers: pd.DataFrame, metrics: Sequence[Metric]) -> str:
    parts = []
    for metric in metrics:
        rows = numbers[numbers["metric"] == metric.name]
        decimals = decimals_for(rows["value"])
        for model, line in rows.groupby("model", sort=False):
            told = ", ".join(
                f"{format_value(value, decimals)} at w = {weight:g}"
                for weight, value in floats(line, "guidance_weight", "value")
            )
            parts.append(f"{metric.label} ({metric.direction}) of {model}: {told}.")
    return "Line chart with one panel a metric. " + " ".join(parts)


def _describe_times(numbers: pd.DataFrame) -> str:
    decimals = decimals_for(numbers["median"])
    parts = []
    for model, line in numbers.groupby("model", sort=False):
        told = ", ".join(
            f"{format_value(median, decimals)} s at w = {weight:g}"
            for weight, median in floats(line, "guidance_weight", "median")
        )
        parts.append(f"{model}: {told}.")
    return "Bar chart of median seconds per image. " + " ".join(parts)
