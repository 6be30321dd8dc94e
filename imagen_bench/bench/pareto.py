"""Pareto fronts of a guidance sweep: which points no other point beats on every score.

A point dominates another when it is at least as good on every score and better on one
(Deb et al. 2002, "A fast and elitist multiobjective genetic algorithm: NSGA-II", section III.A).
The front of Imagen's figures (Saharia et al. 2022, figures 4 and A.8) has two scores, CLIP score (higher is
better) and FID (lower is better); nothing here depends on that choice or on the number of scores.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from imagen_bench.errors import InputError

# Rounding puts a point of a straight front this far off its line.
_ON_THE_LINE = 1e-9


def non_dominated(points: ArrayLike, higher_is_better: Sequence[bool]) -> NDArray[np.bool_]:
    """Mark the points that no other point dominates.

    Equal points do not dominate each other, so duplicates of a good point are all kept. A point with a value
    that is not finite (a score that could not be computed) neither dominates nor is kept.

    Args:
        points: N x K scores, one row a point, any unit.
        higher_is_better: K flags, one a score.

    Returns:
        N booleans, True for a point on the front.

    Raises:
        InputError: the number of flags is not the number of scores.
    """
    gains = _to_gains(points, higher_is_better)
    finite: NDArray[np.bool_] = np.asarray(np.isfinite(gains).all(axis=1))
    comparable = np.where(finite[:, None], gains, -np.inf)
    at_least = (comparable[:, None, :] >= comparable[None, :, :]).all(axis=2)
    better = (comparable[:, None, :] > comparable[None, :, :]).any(axis=2)
    dominated = (at_least & better & finite[:, None]).any(axis=0)
    return np.asarray(finite & ~dominated, dtype=np.bool_)


def dominated_shares(draws: ArrayLike, higher_is_better: Sequence[bool]) -> NDArray[np.float64]:
    """Share of draws in which each of N points is dominated.

    Args:
        draws: T x N x K finite scores.
        higher_is_better: K flags.

    Returns:
        N shares.
    """
    gains = np.asarray(draws, dtype=np.float64) * np.where(np.asarray(higher_is_better, dtype=np.bool_), 1.0, -1.0)
    dominated = np.zeros(gains.shape[:2], dtype=np.bool_)
    for other in range(gains.shape[1]):
        rival = gains[:, [other]]
        dominated |= (rival >= gains).all(axis=2) & (rival > gains).any(axis=2)
    return np.asarray(dominated.mean(axis=0), dtype=np.float64)


def best_index(values: ArrayLike, higher_is_better: bool) -> int:
    """Position of the best value; the first one when several are equal.

    Args:
        values: N scores; values that are not finite are passed over.
        higher_is_better: direction of the score.

    Returns:
        Index into `values`.

    Raises:
        InputError: no value is finite.
    """
    gains = np.asarray(values, dtype=np.float64) * (1.0 if higher_is_better else -1.0)
    if not np.isfinite(gains).any():
        raise InputError("no finite value to choose the best from: found only missing scores, expected at least one")
    return int(np.argmax(np.where(np.isfinite(gains), gains, -np.inf)))


def hypervolume(points: ArrayLike, higher_is_better: Sequence[bool], reference: Sequence[float]) -> float:
    """Area that a two-score front dominates, bounded by a stated reference point.

    Source: Zitzler and Thiele 1998, "Multiobjective optimization using evolutionary algorithms", section 3
    (size of the space covered). The number has the product of the two units and means nothing without its
    reference point: print both together, and compare only areas that share it.

    Args:
        points: N x 2 scores.
        higher_is_better: two flags.
        reference: the two worst acceptable scores; points that do not beat it on both add nothing.

    Returns:
        The dominated area, at least 0.

    Raises:
        InputError: the points do not have exactly two scores, or the reference is not finite.
    """
    gains = _to_gains(points, higher_is_better)
    origin = _to_gains([list(reference)], higher_is_better)[0]
    if gains.shape[1] != 2 or not np.isfinite(origin).all():
        raise InputError(
            f"hypervolume found {gains.shape[1]} scores a point and reference {list(reference)}: expected "
            "two scores and a finite reference point"
        )
    inside = gains[np.isfinite(gains).all(axis=1) & (gains > origin).all(axis=1)]
    area, ceiling = 0.0, float(origin[1])
    for first, second in sorted(inside.tolist(), reverse=True):
        if second > ceiling:
            area += (first - float(origin[0])) * (second - ceiling)
            ceiling = second
    return area


def knee_index(points: ArrayLike, higher_is_better: Sequence[bool]) -> int | None:
    """Position of the knee of a two-score front: where giving up either score starts to cost most of the other.

    Source: Das 1999, "On characterizing the 'knee' of the Pareto curve based on normal-boundary intersection"
    (Structural Optimization 18): the point of the front that lies furthest, towards the better side, from the line
    through the front's two ends. Both scores are first scaled so that the front's ends are 0 and 1 apart; in other
    units of either score the knee is the same point.

    Args:
        points: N x 2 scores.
        higher_is_better: two flags.

    Returns:
        Index into `points`, the first of equals; None where the front has fewer than three points or none of them
        lies on the better side of that line.
    """
    gains = _to_gains(points, higher_is_better)
    front = np.flatnonzero(non_dominated(points, higher_is_better))
    low, high = (edge(gains[front], axis=0) if len(front) else np.zeros(2) for edge in (np.min, np.max))
    if len(front) < 3 or (high <= low).any():
        return None
    above = ((gains[front] - low) / (high - low)).sum(axis=1) - 1
    best = int(np.argmax(above))
    return int(front[best]) if above[best] > _ON_THE_LINE else None


def _to_gains(points: ArrayLike, higher_is_better: Sequence[bool]) -> NDArray[np.float64]:
    """Scores with the sign turned so that higher is better everywhere; N x K float64."""
    scores = np.asarray(points, dtype=np.float64)
    if scores.size == 0:
        return np.empty((0, len(higher_is_better)), dtype=np.float64)
    if scores.ndim != 2 or scores.shape[1] != len(higher_is_better):
        raise InputError(
            f"points have shape {scores.shape}, expected N x {len(higher_is_better)}: give one direction flag a score"
        )
    return scores * np.where(np.asarray(higher_is_better, dtype=np.bool_), 1.0, -1.0)
