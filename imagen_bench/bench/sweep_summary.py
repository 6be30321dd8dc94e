"""What the guidance sweeps of some runs say in the plane of two scores, with intervals, from their folders alone.

For each run: its points and which of them another point dominates, with the probability that one does; the
hypervolume; the best vertical score and the weights that cannot be told from it; the knee; the vertical score at
given horizontal ones. For each pair of runs: the area between their curves. Runs of the same prompts are paired.

A probability here is the share of draws from the scores' joint Student's t distribution around what was measured.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from imagen_bench.bench.best_weights import best_set, best_shares
from imagen_bench.bench.curves import common_range, curve_at, mean_gap
from imagen_bench.bench.joint_scores import DRAWS, JointScores, drawn_interval
from imagen_bench.bench.pareto import best_index, hypervolume, knee_index, non_dominated
from imagen_bench.bench.run_scores import RunScores, ScoreId, joint_scores
from imagen_bench.errors import InputError
from imagen_bench.metrics.base import FloatArray


@dataclass(frozen=True)
class Axis:
    """A score as an axis: registry name, label, direction."""

    metric: str
    label: str
    higher_is_better: bool


@dataclass(frozen=True)
class Quantity:
    """A value with its 95 % interval; an end is None where it is open or nothing can be said."""

    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class SweepPoint:
    """One guidance weight of a run.

    Attributes:
        guidance_weight: w.
        x: Horizontal score.
        y: Vertical score.
        on_front: No point of any run dominates it.
        on_own_front: No other weight of its run does.
        p_dominated: Probability that a point of some run dominates it; None without a joint distribution.
        p_dominated_by_own: The same for its own run.
        p_best: Probability that its vertical score is the best of its run.
    """

    guidance_weight: float
    x: float
    y: float
    on_front: bool
    on_own_front: bool
    p_dominated: float | None
    p_dominated_by_own: float | None
    p_best: float | None


@dataclass(frozen=True)
class SweepSummary:
    """One run's curve.

    Attributes:
        label: Name of the run.
        points: Its points in guidance order.
        hypervolume: Area that it dominates within the reference point.
        best: Best vertical score.
        best_weight: Where it is.
        best_weights: Weights that may be the best, with 95 % confidence; empty without a joint distribution.
        knee_weight: Weight of the knee; None if there is none.
        p_knee: Probability that the knee is at that weight.
        at: Vertical score at each horizontal one that was asked for; None where the curve does not reach.
    """

    label: str
    points: tuple[SweepPoint, ...]
    hypervolume: Quantity | None
    best: Quantity | None
    best_weight: float
    best_weights: tuple[float, ...]
    knee_weight: float | None
    p_knee: float | None
    at: tuple[tuple[float, Quantity | None], ...]


@dataclass(frozen=True)
class CurveComparison:
    """Second curve against first, over the horizontal range that they share; None where there is none."""

    first: str
    second: str
    paired: bool
    x_range: tuple[float, float] | None
    mean_gap: Quantity | None
    area: Quantity | None


@dataclass(frozen=True)
class ParetoSummary:
    """All of it; `notes` say what is missing and why."""

    x: Axis
    y: Axis
    reference_point: tuple[float, float]
    runs: tuple[SweepSummary, ...]
    comparisons: tuple[CurveComparison, ...]
    notes: tuple[str, ...]


class _Plane:
    """The points of all runs in one vector of scores: x of every point, then y."""

    def __init__(self, runs: Sequence[RunScores], x: Axis, y: Axis) -> None:
        self.flags = (x.higher_is_better, y.higher_is_better)
        weights = [run.weights(x.metric, y.metric) for run in runs]
        self.points = [(number, weight) for number, own in enumerate(weights) for weight in own]
        self.ids = [ScoreId(number, axis.metric, weight) for axis in (x, y) for number, weight in self.points]
        self.estimate = np.array([runs[score.run].value(score.metric, score.guidance_weight) for score in self.ids])
        self.rows = [[row for row, (number, _) in enumerate(self.points) if number == own] for own in range(len(runs))]

    def xy(self, scores: FloatArray, run: int | None = None) -> FloatArray:
        """Return the N x 2 points of a run, or of all, in a vector of scores."""
        both = scores.reshape(2, -1).T
        return both if run is None else both[self.rows[run]]


def summarize_sweeps(
    runs: Sequence[RunScores],
    labels: Sequence[str],
    x: Axis,
    y: Axis,
    at: Sequence[float] = (),
    reference_point: tuple[float, float] | None = None,
) -> ParetoSummary:
    """Say what the sweeps of some runs show.

    Args:
        runs: Runs with scores; their number is their place here.
        labels: A name for each.
        x: Horizontal score.
        y: Vertical score.
        at: Horizontal scores at which to give the vertical one.
        reference_point: Worst acceptable x and y of the hypervolume; by default the worst of all points shown.

    Raises:
        InputError: A run has no weight with both scores, or the reference point is not finite.
    """
    plane = _Plane(runs, x, y)
    for label, rows in zip(labels, plane.rows, strict=True):
        if not rows:
            raise InputError(f"{label} has no guidance weight with both {x.metric} and {y.metric}: score it on both")
    corner = reference_point or _worst(plane.xy(plane.estimate), plane.flags)
    joint = joint_scores(runs, plane.ids, _seed(runs[0]))
    draws = joint.draws(DRAWS) if joint is not None else None
    dominated = _dominated_shares(plane, draws)
    summaries = tuple(
        _summary(plane, number, label, joint, draws, dominated, at, corner) for number, label in enumerate(labels)
    )
    comparisons = tuple(
        _comparison(plane, labels, pair, joint, draws) for pair in itertools.combinations(range(len(runs)), 2)
    )
    return ParetoSummary(x, y, corner, summaries, comparisons, tuple(_notes(runs, labels, (x, y), joint)))


def _summary(
    plane: _Plane,
    number: int,
    label: str,
    joint: JointScores | None,
    draws: FloatArray | None,
    dominated: tuple[FloatArray, FloatArray] | None,
    at: Sequence[float],
    corner: tuple[float, float],
) -> SweepSummary:
    rows, own = plane.rows[number], plane.xy(plane.estimate, number)
    weights = [plane.points[row][1] for row in rows]
    y_places = [len(plane.points) + row for row in rows]
    higher = plane.flags[1]
    best = best_index(own[:, 1], higher)
    shares = None if draws is None else best_shares(draws[:, y_places], higher)
    kept = [] if joint is None or draws is None else best_set(joint, y_places, draws, higher)
    front, own_front = non_dominated(plane.xy(plane.estimate), plane.flags)[rows], non_dominated(own, plane.flags)
    points = tuple(
        SweepPoint(
            weight,
            float(own[place, 0]),
            float(own[place, 1]),
            bool(front[place]),
            bool(own_front[place]),
            None if dominated is None else float(dominated[0][row]),
            None if dominated is None else float(dominated[1][row]),
            None if shares is None else float(shares[place]),
        )
        for place, (weight, row) in enumerate(zip(weights, rows, strict=True))
    )

    def quantity(of: Callable[[FloatArray], float]) -> Quantity | None:
        return _quantity(plane, lambda scores: of(plane.xy(scores, number)), joint, draws)

    knee = knee_index(own, plane.flags)
    reached = [(value, quantity(lambda xy, v=value: float(curve_at(xy[:, 0], xy[:, 1], v, higher)[0]))) for value in at]
    return SweepSummary(
        label,
        points,
        quantity(lambda xy: hypervolume(xy, plane.flags, corner)),
        quantity(lambda xy: float(xy[best_index(xy[:, 1], higher), 1])),
        weights[best],
        tuple(weights[y_places.index(place)] for place in kept),
        None if knee is None else weights[knee],
        None if knee is None or draws is None else _knee_share(plane, number, knee, draws),
        tuple(reached),
    )


def _comparison(
    plane: _Plane, labels: Sequence[str], pair: tuple[int, int], joint: JointScores | None, draws: FloatArray | None
) -> CurveComparison:
    def gap(scores: FloatArray, which: int) -> float:
        one, two = (plane.xy(scores, number) for number in pair)
        return mean_gap(one[:, 0], one[:, 1], two[:, 0], two[:, 1], plane.flags[1])[which]

    one, two = (plane.xy(plane.estimate, number)[:, 0] for number in pair)
    return CurveComparison(
        labels[pair[0]],
        labels[pair[1]],
        joint is not None and len(joint.parts) == 1,
        common_range(one, two),
        _quantity(plane, lambda scores: gap(scores, 0), joint, draws),
        _quantity(plane, lambda scores: gap(scores, 1), joint, draws),
    )


def _quantity(
    plane: _Plane, of: Callable[[FloatArray], float], joint: JointScores | None, draws: FloatArray | None
) -> Quantity | None:
    """A function of all scores with its interval; None where it does not exist."""
    value = of(plane.estimate)
    if not np.isfinite(value):
        return None
    if joint is None or draws is None:
        return Quantity(value)
    low, high = drawn_interval(of, joint, draws) or (None, None)
    return Quantity(value, low, high)


def _dominated_shares(plane: _Plane, draws: FloatArray | None) -> tuple[FloatArray, FloatArray] | None:
    """Shares of draws in which each point is dominated: by any point, and by one of its own run."""
    if draws is None:
        return None
    by_any, by_own = np.zeros(len(plane.points)), np.zeros(len(plane.points))
    for scores in draws:
        by_any += ~non_dominated(plane.xy(scores), plane.flags)
        for rows in plane.rows:
            by_own[rows] += ~non_dominated(plane.xy(scores)[rows], plane.flags)
    return by_any / len(draws), by_own / len(draws)


def _knee_share(plane: _Plane, number: int, knee: int, draws: FloatArray) -> float:
    return float(np.mean([knee_index(plane.xy(scores, number), plane.flags) == knee for scores in draws]))


def _worst(points: FloatArray, flags: tuple[bool, bool]) -> tuple[float, float]:
    x, y = ((np.min if up else np.max)(points[:, axis]) for axis, up in enumerate(flags))
    return float(x), float(y)


def _notes(
    runs: Sequence[RunScores], labels: Sequence[str], axes: tuple[Axis, Axis], joint: JointScores | None
) -> list[str]:
    if joint is not None:
        return [] if len(joint.parts) == 1 else ["the runs do not share all prompts and samples: they are not paired"]
    missing = [
        f"{label}: neither scores of single samples nor features that give {axis.label}"
        for run, label in zip(runs, labels, strict=True)
        for axis in axes
        if run.dim(axis.metric) is None
    ]
    return [f"no intervals: {'; '.join(missing) or 'too few prompts'}"]


def _seed(run: RunScores) -> int:
    config: Any = run.folder.run.get("config")
    return int(config.get("seed", 0)) if isinstance(config, dict) else 0
