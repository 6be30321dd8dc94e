"""Agreement between raters: Krippendorff's alpha and the share of agreeing pairs.

alpha = 1 - D_observed / D_expected (Krippendorff 2018, Content Analysis, chapter 12), from the coincidence
matrix, with any number of raters a unit. Sides must be un-blinded before: "left" and "right" are drawn at
random, so coding them would make agreement look like noise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from imagen_bench.human.statistics.intervals import percentile_interval
from imagen_bench.metrics.base import FloatArray

Scale = Literal["nominal", "ordinal"]
BOOTSTRAP_DRAWS = 1000


@dataclass(frozen=True)
class Agreement:
    """Agreement on U units with two or more ratings.

    Attributes:
        n_units: U.
        n_ratings: Ratings of these units.
        alpha: Krippendorff's alpha, at most 1; None where all ratings are the same or none can be paired.
        low: Lower end of its 95 % interval, bootstrap over units.
        high: Upper end.
        percent: Share of agreeing pairs of ratings of a unit, mean over units; None without pairs.
    """

    n_units: int
    n_ratings: int
    alpha: float | None
    low: float | None
    high: float | None
    percent: float | None


def count_matrix(units: Sequence[str], values: Sequence[str], order: Sequence[str]) -> FloatArray:
    """Count how often each unit got each value.

    Args:
        units: N unit names.
        values: N values, each one of `order`.
        order: V values; for an ordinal scale from low to high.

    Returns:
        U x V counts.
    """
    names, row = np.unique(np.asarray(units, dtype=str), return_inverse=True)
    place = {value: column for column, value in enumerate(order)}
    counts = np.zeros((len(names), len(order)))
    np.add.at(counts, (row, np.array([place[value] for value in values], dtype=np.intp)), 1.0)
    return counts


def agreement(counts: FloatArray, scale: Scale, seed: int) -> Agreement:
    """Return alpha with its bootstrap interval, and percent agreement.

    Args:
        counts: U x V, from `count_matrix`.
        scale: Nominal, or ordinal over the columns.
        seed: Seed of the bootstrap.
    """
    paired = counts[counts.sum(axis=1) > 1]
    if not len(paired):
        return Agreement(0, 0, None, None, None, None)
    sizes = paired.sum(axis=1)
    percent = float(np.mean((paired * (paired - 1)).sum(axis=1) / (sizes * (sizes - 1))))
    coincidences = _coincidences(paired)
    whole = _alpha(coincidences.sum(axis=0)[None], scale)[0]
    if np.isnan(whole):
        return Agreement(len(paired), int(sizes.sum()), None, None, None, percent)
    rng = np.random.default_rng(seed)
    weights = rng.multinomial(len(paired), np.full(len(paired), 1 / len(paired)), size=BOOTSTRAP_DRAWS)
    replicates = _alpha(np.einsum("bu,uvw->bvw", weights, coincidences, optimize=True), scale)
    interval = percentile_interval(replicates[~np.isnan(replicates)])
    low, high = interval if interval is not None else (None, None)
    return Agreement(len(paired), int(sizes.sum()), float(whole), low, high, percent)


def _coincidences(counts: FloatArray) -> FloatArray:
    """U x V x V: the pairs of values within each unit, each rating with total weight 1."""
    pairs = counts[:, :, None] * counts[:, None, :]
    values = np.arange(counts.shape[1])
    pairs[:, values, values] -= counts
    weighted: FloatArray = pairs / (counts.sum(axis=1) - 1)[:, None, None]
    return weighted


def _alpha(coincidences: FloatArray, scale: Scale) -> FloatArray:
    """Alpha of B x V x V coincidence matrices; NaN where all ratings are the same."""
    totals = coincidences.sum(axis=2)
    n = totals.sum(axis=1)
    distance = _squared_distance(totals, scale)
    observed = (coincidences * distance).sum(axis=(1, 2))
    expected = (totals[:, :, None] * totals[:, None, :] * distance).sum(axis=(1, 2))
    with np.errstate(divide="ignore", invalid="ignore"):
        alpha: FloatArray = np.where(expected > 0, 1 - (n - 1) * observed / expected, np.nan)
    return alpha


def _squared_distance(totals: FloatArray, scale: Scale) -> FloatArray:
    """B x V x V squared distances; ordinal: (sum of ratings from one value to the other, ends as half)^2."""
    size = totals.shape[1]
    if scale == "nominal":
        return np.broadcast_to(1.0 - np.eye(size), (len(totals), size, size))
    middle = np.cumsum(totals, axis=1) - totals / 2
    squared: FloatArray = (middle[:, :, None] - middle[:, None, :]) ** 2
    return squared
