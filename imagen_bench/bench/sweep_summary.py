"""What the guidance sweeps of some runs say in the plane of two scores, with intervals, from their folders alone.

For each run: its points and which of them another point dominates, with the probability that one does; the
hypervolume; the best vertical score and the weights that cannot be told from it; the knee; the vertical score at
given horizontal ones. For each pair of runs: the area between their curves. Runs of the same prompts are paired.

A probability here is the share of draws from the scores' joint Student's t distribution around what was measured.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from imagen_bench.bench.best_weights import best_set, best_shares
from imagen_bench.bench.curves import common_range, curve_at, mean_gap
from imagen_bench.bench.joint_scores import JointScores, drawn_interval
from imagen_bench.bench.pareto import best_index, dominated_shares, hypervolume, knee_index, non_dominated
from imagen_bench.bench.run_scores import RunScores, ScoreId, joint_scores
from imagen_bench.errors import InputError
from imagen_bench.metrics.base import FloatArray
from imagen_bench.metrics.intervals import LEVEL

DRAWS = 2000
_ROUNDING = 1e-9


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
        knees: Where else it may be: every weight that it has in some draws, None for no knee, with its probability,
            the likeliest first; empty without a joint distribution.
        at: Vertical score at each horizontal one that was asked for; None where the curve does not reach.
    """

    label: str
    points: tuple[SweepPoint, ...]
    hypervolume: Quantity | None
    best: Quantity | None
    best_weight: float
    best_weights: tuple[float, ...]
    knee_weight: float | None
    knees: tuple[tuple[float | None, float], ...]
    at: tuple[tuple[float, Quantity | None], ...]


def likely_knees(run: SweepSummary) -> tuple[tuple[float | None, float], ...]:
    """The fewest of a run's `knees` that hold it in 95 % of the draws."""
    held, kept = 0.0, []
    for weight, share in run.knees:
        if held >= LEVEL - _ROUNDING:
            break
        held += share
        kept.append((weight, share))
    return tuple(kept)


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
        self.joint = joint_scores(runs, self.ids, _seed(runs[0])) if all(self.rows) else None
        self.draws = None if self.joint is None else self.joint.draws(DRAWS)

    def xy(self, run: int | None = None) -> FloatArray:
        """Return the N x 2 points of a run, or of all."""
        points: FloatArray = self._points(self.estimate[None], run)[0]
        return points

    def drawn_xy(self, run: int | None = None) -> FloatArray | None:
        """Return T x N x 2 draws of them; None without a joint distribution."""
        return None if self.draws is None else self._points(self.draws, run)

    def quantities(self, of: Callable[..., Sequence[float]], *runs: int) -> list[Quantity | None]:
        """Return functions of the points of some runs with their intervals; None where one does not exist."""
        values = of(*(self.xy(run) for run in runs))
        drawn = [points for run in runs if (points := self.drawn_xy(run)) is not None]
        if not drawn:
            return [Quantity(value) if np.isfinite(value) else None for value in values]
        columns = np.array([of(*points) for points in zip(*drawn, strict=True)]).T
        return [
            Quantity(value, *drawn_interval(value, column)) if np.isfinite(value) else None
            for value, column in zip(values, columns, strict=True)
        ]

    def _points(self, scores: FloatArray, run: int | None) -> FloatArray:
        both: FloatArray = scores.reshape(len(scores), 2, -1).transpose(0, 2, 1)
        if run is not None:
            both = both[:, self.rows[run]]
        return both


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
    corner = reference_point or _worst(plane.xy(), plane.flags)
    every = plane.drawn_xy()
    dominated = None if every is None else dominated_shares(every, plane.flags)
    summaries = tuple(_summary(plane, number, label, dominated, at, corner) for number, label in enumerate(labels))
    comparisons = tuple(_comparison(plane, labels, pair) for pair in itertools.combinations(range(len(runs)), 2))
    return ParetoSummary(x, y, corner, summaries, comparisons, tuple(_notes(runs, labels, (x, y), plane.joint)))


def _summary(
    plane: _Plane,
    number: int,
    label: str,
    dominated: FloatArray | None,
    at: Sequence[float],
    corner: tuple[float, float],
) -> SweepSummary:
    flags, own = plane.flags, plane.xy(number)
    weights = [plane.points[row][1] for row in plane.rows[number]]
    best, knee = best_index(own[:, 1], flags[1]), knee_index(own, flags)

    def measure(xy: FloatArray) -> list[float]:
        found = [hypervolume(xy, flags, corner), float(xy[best_index(xy[:, 1], flags[1]), 1])]
        return [*found, *curve_at(xy[:, 0], xy[:, 1], at, flags[1]).tolist()] if len(at) else found

    area, lowest, *reached = plane.quantities(measure, number)
    return SweepSummary(
        label=label,
        points=_points(plane, number, dominated),
        hypervolume=area,
        best=lowest,
        best_weight=weights[best],
        best_weights=_may_be_best(plane, number, weights),
        knee_weight=None if knee is None else weights[knee],
        knees=_knees(plane, number, weights),
        at=tuple(zip(at, reached, strict=True)),
    )


def _points(plane: _Plane, number: int, dominated: FloatArray | None) -> tuple[SweepPoint, ...]:
    rows, own, drawn = plane.rows[number], plane.xy(number), plane.drawn_xy(number)
    front, own_front = non_dominated(plane.xy(), plane.flags)[rows], non_dominated(own, plane.flags)
    by_own = None if drawn is None else dominated_shares(drawn, plane.flags)
    best = None if drawn is None else best_shares(drawn[:, :, 1], plane.flags[1])
    return tuple(
        SweepPoint(
            guidance_weight=plane.points[row][1],
            x=float(own[place, 0]),
            y=float(own[place, 1]),
            on_front=bool(front[place]),
            on_own_front=bool(own_front[place]),
            p_dominated=None if dominated is None else float(dominated[row]),
            p_dominated_by_own=None if by_own is None else float(by_own[place]),
            p_best=None if best is None else float(best[place]),
        )
        for place, row in enumerate(rows)
    )


def _knees(plane: _Plane, number: int, weights: Sequence[float]) -> tuple[tuple[float | None, float], ...]:
    drawn = plane.drawn_xy(number)
    if drawn is None:
        return ()
    places = Counter(knee_index(points, plane.flags) for points in drawn)
    ranked = sorted(places.items(), key=lambda item: (-item[1], len(weights) if item[0] is None else item[0]))
    return tuple((None if place is None else weights[place], count / len(drawn)) for place, count in ranked)


def _may_be_best(plane: _Plane, number: int, weights: Sequence[float]) -> tuple[float, ...]:
    if plane.joint is None or plane.draws is None:
        return ()
    places = [len(plane.points) + row for row in plane.rows[number]]
    kept = best_set(plane.joint, places, plane.draws, plane.flags[1])
    return tuple(weights[places.index(place)] for place in kept)


def _comparison(plane: _Plane, labels: Sequence[str], pair: tuple[int, int]) -> CurveComparison:
    def measure(one: FloatArray, two: FloatArray) -> tuple[float, float]:
        return mean_gap(one[:, 0], one[:, 1], two[:, 0], two[:, 1], plane.flags[1])

    gap, area = plane.quantities(measure, *pair)
    return CurveComparison(
        first=labels[pair[0]],
        second=labels[pair[1]],
        paired=plane.joint is not None and len(plane.joint.parts) == 1,
        x_range=common_range(plane.xy(pair[0])[:, 0], plane.xy(pair[1])[:, 0]),
        mean_gap=gap,
        area=area,
    )


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
