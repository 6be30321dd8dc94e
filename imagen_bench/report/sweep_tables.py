"""The sweeps in numbers: best distance, knee, hypervolume, how sure the front is, and areas between curves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from imagen_bench.bench.run_scores import RunScores
from imagen_bench.bench.sweep_summary import Axis, ParetoSummary, Quantity, SweepSummary, likely_knees, summarize_sweeps
from imagen_bench.errors import ImagenBenchError
from imagen_bench.report.data import RunData
from imagen_bench.report.metric_words import Metric, pareto_axes, pareto_points, weights_words
from imagen_bench.report.tables import Cell, Table

MOST_NUMBERS = 50_000_000
"""Features (images times weights times dimensions) up to which a report computes the joint distribution itself."""


def sweep_tables(runs: Sequence[RunData], metrics: Sequence[Metric]) -> tuple[list[Table], list[str]]:
    """Tables of what the sweeps show in the plane of their two main scores.

    Args:
        runs: The runs; those without both scores at two weights are left out.
        metrics: Metrics of the report.

    Returns:
        The tables "sweeps", "front" and, for several runs, "curves", and sentences about what is missing.
    """
    axes = pareto_axes(metrics)
    if axes is None:
        return [], []
    filled = [run for run in runs if len(pareto_points([run], *axes)) > 1]
    if not filled:
        return [], []
    scores = [RunScores(run.folder, number) for number, run in enumerate(filled)]
    if _numbers(filled, scores, axes) > MOST_NUMBERS:
        return [], [
            "Front probabilities and areas between curves: their computation takes long for so many features; "
            "`imagen-bench pareto` prints them."
        ]
    x, y = (Axis(metric.name, metric.label, metric.higher_is_better) for metric in axes)
    try:
        summary = summarize_sweeps(scores, [run.label for run in filled], x, y)
    except ImagenBenchError as error:
        return [], [f"The sweeps in numbers: {error}."]
    several = len(runs) > 1
    tables = [_sweeps(summary, several), _front(summary, several)]
    if summary.comparisons:
        tables.append(_curves(summary))
    notes = [f"In the sweeps' numbers, {note}." for note in summary.notes]
    return tables, notes


def _numbers(runs: Sequence[RunData], scores: Sequence[RunScores], axes: tuple[Metric, Metric]) -> int:
    dims = [max(of.dim(metric.name) or 0 for metric in axes) for of in scores]
    return sum(len(run.samples) * dim for run, dim in zip(runs, dims, strict=True))


def _sweeps(summary: ParetoSummary, several: bool) -> Table:
    x, y = summary.x.label, summary.y.label
    rows, data = [], []
    for run in summary.runs:
        cells = [Cell(run.label)] if several else []
        knee = "–" if run.knee_weight is None else f"w = {run.knee_weight:g}"
        likely = [("none" if w is None else f"{w:g}", share) for w, share in likely_knees(run)]
        sure = ", ".join(f"{weight} ({share:.2f})" for weight, share in likely)
        cells += [
            Cell(f"w = {run.best_weight:g}"),
            _cell(run.best),
            Cell(_others(run)),
            Cell(knee, sure),
            _cell(run.hypervolume),
        ]
        rows.append(tuple(cells))
        ends = [*_ends(run.best), *_ends(run.hypervolume)]
        knees = " ".join(f"{'none' if w is None else f'{w:g}'}:{share:g}" for w, share in run.knees)
        may_be_best = " ".join(f"{weight:g}" for weight in run.best_weights)
        data.append([run.label, run.best_weight, *ends[:3], may_be_best, run.knee_weight, knees, *ends[3:]])
    best = f"Best {y}"
    columns = ["run", "best_weight", "best", "best_low", "best_high", "may_be_best", "knee_weight", "knee_shares"]
    columns += ["hypervolume", "hypervolume_low", "hypervolume_high"]
    corner = " and ".join(f"{name} {value:.4g}" for name, value in zip((x, y), summary.reference_point, strict=True))
    caption = (
        "What each sweep shows, with 95 % intervals. May be best: weights that cannot be told from the best one. "
        "Knee: the point of the front that lies furthest beyond the line through its ends; a dash where there is none; "
        "below it the weights that have it in 95 % of the draws, with the probability of each. "
        f"Hypervolume: the area that the front beats, from {corner}."
    )
    head = (*(["Run"] if several else []), "At", best, "May be best", "Knee", "Hypervolume")
    return Table("sweeps", caption, head, tuple(rows), 2 if several else 1, pd.DataFrame(data, columns=columns))


def _front(summary: ParetoSummary, several: bool) -> Table:
    rows, data = [], []
    for run in summary.runs:
        for point in run.points:
            naming = [Cell(run.label)] if several else []
            shares = [Cell("–" if share is None else f"{share:.2f}") for share in (point.p_dominated, point.p_best)]
            rows.append((*naming, Cell(f"{point.guidance_weight:g}"), Cell("yes" if point.on_front else "no"), *shares))
            data.append([run.label, point.guidance_weight, point.on_front, point.p_dominated, point.p_best])
    columns = ["run", "guidance_weight", "on_front", "p_dominated", "p_best"]
    caption = (
        f"How sure the front is. P(dominated): probability that another point is better on both scores. P(best): that "
        f"this weight has the run's best {summary.y.label}."
    )
    head = (*(["Run"] if several else []), "w", "Pareto front", "P(dominated)", "P(best)")
    return Table("front", caption, head, tuple(rows), 2 if several else 1, pd.DataFrame(data, columns=columns))


def _curves(summary: ParetoSummary) -> Table:
    x, y = summary.x.label, summary.y.label
    rows, data = [], []
    for pair in summary.comparisons:
        span = "none shared" if pair.x_range is None else f"{pair.x_range[0]:.4g} to {pair.x_range[1]:.4g}"
        paired = Cell("yes" if pair.paired else "no")
        rows.append(
            (Cell(f"{pair.second} against {pair.first}"), Cell(span), _cell(pair.mean_gap), _cell(pair.area), paired)
        )
        ends = pair.x_range or (None, None)
        data.append([pair.first, pair.second, *ends, *_ends(pair.mean_gap), *_ends(pair.area), pair.paired])
    columns = ["first", "second", "x_low", "x_high", "mean_gap", "mean_gap_low", "mean_gap_high"]
    columns += ["area", "area_low", "area_high", "paired"]
    better = "above" if summary.y.higher_is_better else "below"
    caption = (
        f"One curve against another over the range of {x} that both reach, with 95 % intervals: the mean difference in "
        f"{y} ({better} 0: the first named is better) and the area between the curves. Paired: by prompt."
    )
    head = ("Curves", "Range", "Mean difference", "Area", "Paired")
    return Table("curves", caption, head, tuple(rows), 1, pd.DataFrame(data, columns=columns))


def _others(run: SweepSummary) -> str:
    return weights_words(list(run.best_weights)) if run.best_weights else "–"


def _cell(value: Quantity | None) -> Cell:
    if value is None:
        return Cell("–")
    if value.low is None and value.high is None:
        return Cell(f"{value.value:.4g}")
    low, high = ("open" if end is None else f"{end:.4g}" for end in (value.low, value.high))
    return Cell(f"{value.value:.4g}", f"[{low}, {high}]")


def _ends(value: Quantity | None) -> list[Any]:
    return [None] * 3 if value is None else [value.value, value.low, value.high]
