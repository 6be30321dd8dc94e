"""Guidance curves as lines: the value at a score in between, and the area between two of them.

A curve joins the points of a sweep in guidance order in the plane of two scores, as Imagen's figures do (Saharia et
al. 2022, figures 4, A.8, A.11, A.13), straight from point to point. A curve may turn back, so that it passes one
horizontal value several times; what counts there is its best vertical value.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from imagen_bench.metrics.base import FloatArray

STEPS = 200
"""Points at which the area between two curves is summed (midpoints of equal steps)."""


def curve_at(x: ArrayLike, y: ArrayLike, at: ArrayLike, higher_is_better: bool) -> FloatArray:
    """Return the best vertical value of a curve at some horizontal values, by linear interpolation.

    Args:
        x: Horizontal scores of K points in guidance order.
        y: Vertical scores.
        at: T horizontal values.
        higher_is_better: Direction of the vertical score.

    Returns:
        T values; NaN where the curve does not reach.
    """
    xs, ys, wanted = (np.atleast_1d(np.asarray(values, dtype=np.float64)) for values in (x, y, at))
    sign = 1.0 if higher_is_better else -1.0
    gains = sign * ys
    # Each point by itself, so that a sweep of one weight and a vertical piece are no special cases.
    on_point = np.where(wanted[:, None] == xs[None, :], gains[None, :], -np.inf)
    left, right = xs[:-1], xs[1:]
    run = np.where(right == left, 1.0, right - left)
    share = (wanted[:, None] - left[None, :]) / run
    between = (share >= 0) & (share <= 1) & (right != left)
    crossing = gains[:-1] + share * (gains[1:] - gains[:-1])
    found = np.concatenate([on_point, np.where(between, crossing, -np.inf)], axis=1).max(axis=1)
    return np.where(np.isfinite(found), sign * found, np.nan)


def common_range(x: ArrayLike, other_x: ArrayLike) -> tuple[float, float] | None:
    """Return the horizontal range that two curves share; None if there is none."""
    low = max(float(np.min(x)), float(np.min(other_x)))
    high = min(float(np.max(x)), float(np.max(other_x)))
    return (low, high) if high > low else None


def mean_gap(
    x: ArrayLike, y: ArrayLike, other_x: ArrayLike, other_y: ArrayLike, higher_is_better: bool
) -> tuple[float, float]:
    """Return the mean vertical distance of two curves over the range they share, and the area between them.

    Args:
        x: Horizontal scores of the first curve, in guidance order.
        y: Its vertical scores.
        other_x: Horizontal scores of the second curve.
        other_y: Its vertical scores.
        higher_is_better: Direction of the vertical score.

    Returns:
        (mean of second less first, in units of the vertical score; that times the width of the range). NaN twice
        where the curves share no range.
    """
    shared = common_range(x, other_x)
    if shared is None:
        return float("nan"), float("nan")
    low, high = shared
    at = low + (np.arange(STEPS) + 0.5) / STEPS * (high - low)
    gap = float(np.mean(curve_at(other_x, other_y, at, higher_is_better) - curve_at(x, y, at, higher_is_better)))
    return gap, gap * (high - low)
