"""Preference of one arm over another: shares, net preference, win rate, tests; and means of absolute scores.

For each prompt the shares of its ratings come first, then their mean over prompts. Net preference, the tested
quantity, is p_A - p_B; it does not change when answers move from "indifferent" to both sides alike. The win rate
counts ties as half: (1 + net) / 2.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from imagen_bench.human.statistics.intervals import (
    CLUSTER_T,
    DRAWS,
    FEW_PROMPTS,
    NO_INTERVAL,
    TWO_WAY,
    category_average,
    cluster_t_interval,
    is_crossed,
    percentile_interval,
    two_way_replicates,
)
from imagen_bench.human.statistics.ratings import Ratings
from imagen_bench.human.statistics.significance import ALPHA, cluster_t_p, sign_flip_p
from imagen_bench.metrics.base import FloatArray
from imagen_bench.metrics.intervals import Interval
from imagen_bench.metrics.multiple_tests import holm

ALL, CATEGORY_AVERAGE = "all", "category average"
OUTCOMES = ("a", "tie", "b")


@dataclass(frozen=True)
class Estimate:
    """A value with its 95 % interval; None where there is no interval."""

    value: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Preference:
    """Preference within one category, or over all.

    Attributes:
        category: Its name, `ALL` (prompts weigh alike) or `CATEGORY_AVERAGE` (categories weigh alike).
        shares: Share of each of `OUTCOMES`.
        net: p_A - p_B, in [-1, 1].
        win_rate: Ties as half, in [0, 1].
        p: Two-sided p of net = 0, cluster-t; where the prompts do not vary, that of the sign flips.
        p_sign_flip: Check by permutation.
        p_holm: p corrected over the categories; None outside that family.
        method: How the intervals were made.
    """

    category: str
    n_prompts: int
    n_ratings: int
    n_raters: int
    shares: dict[str, Estimate]
    net: Estimate
    win_rate: Estimate
    p: float | None
    p_sign_flip: float | None
    p_holm: float | None
    method: str

    @property
    def different(self) -> bool:
        """True if the arms differ: the test rejects (in a category, after Holm) and the interval excludes 0.

        Both are asked for, since an interval that draws raters anew can hold 0 where the test, which holds them
        fixed, rejects.
        """
        p = self.p if self.category == ALL else self.p_holm
        outside = self.net.low is None or self.net.high is None or not self.net.low <= 0 <= self.net.high
        return p is not None and p < ALPHA and outside

    @property
    def few_prompts(self) -> bool:
        """True if the category has fewer prompts than an interval should rest on."""
        return self.n_prompts < FEW_PROMPTS


@dataclass(frozen=True)
class Score:
    """Mean of an absolute scale within one category, or over all (`category` as in `Preference`)."""

    category: str
    n_prompts: int
    n_ratings: int
    n_raters: int
    mean: Estimate
    method: str


def preferences(ratings: Ratings, categories: Sequence[str], seed: int) -> list[Preference]:
    """Return the preference over all prompts, averaged over categories, and in each category.

    Args:
        ratings: Three quantities: indicators of `OUTCOMES`.
        categories: Categories in the order of the result; those without ratings are left out.
        seed: Seed of bootstrap and permutation.
    """
    present = [name for name in categories if name in ratings.categories]
    parts = [_preference(ratings.of_category(name), name, seed) for name in present]
    for place, p in enumerate(holm([part.p for part in parts])):
        parts[place] = replace(parts[place], p_holm=p)
    averaged = [_averaged(ratings)] if len(present) > 1 else []
    return [_preference(ratings, ALL, seed), *averaged, *parts]


def scores(ratings: Ratings, categories: Sequence[str], ends: Interval, seed: int) -> list[Score]:
    """Return means of one quantity over all prompts, averaged over categories, and in each category.

    Args:
        ratings: One quantity.
        categories: Categories in the order of the result; those without ratings are left out.
        ends: Lowest and highest value of the scale; intervals are cut there.
        seed: Seed of the bootstrap.
    """
    present = [name for name in categories if name in ratings.categories]
    found = [score(ratings, ALL, ends, seed)]
    if len(present) > 1:
        value, interval = category_average(ratings.means[0], ratings.categories, ratings.clusters)
        counts = (ratings.n_prompts, ratings.n_ratings, ratings.n_raters)
        found.append(
            Score(CATEGORY_AVERAGE, *counts, _clipped(_estimate(value, interval), *ends), _t_or_none(interval))
        )
    return [*found, *(score(ratings.of_category(name), name, ends, seed) for name in present)]


def score(ratings: Ratings, category: str, ends: Interval, seed: int) -> Score:
    """Return the mean of one quantity over the prompts, on a scale with these ends."""
    (estimate,), method = mean_estimates(ratings, np.eye(1), seed)
    return Score(category, ratings.n_prompts, ratings.n_ratings, ratings.n_raters, _clipped(estimate, *ends), method)


def mean_estimates(ratings: Ratings, contrasts: FloatArray, seed: int) -> tuple[list[Estimate], str]:
    """Return means over prompts of linear combinations of the K quantities, with intervals by one method.

    Args:
        ratings: The ratings.
        contrasts: M x K coefficients.
        seed: Seed of the bootstrap.

    Returns:
        M estimates and the name of the method.
    """
    means = contrasts @ ratings.means
    if is_crossed(ratings):
        replicates = two_way_replicates(ratings, DRAWS, seed) @ contrasts.T
        intervals = [percentile_interval(column) for column in replicates.T]
        method = TWO_WAY
    else:
        intervals = [cluster_t_interval(row, ratings.clusters) for row in means]
        method = CLUSTER_T
    if all(interval is None for interval in intervals):
        method = NO_INTERVAL
    return [_estimate(float(row.mean()), interval) for row, interval in zip(means, intervals, strict=True)], method


_CONTRASTS = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [1.0, 0.0, -1.0]])
_BOUNDS = ((0.0, 1.0), (0.0, 1.0), (0.0, 1.0), (-1.0, 1.0))


def _preference(ratings: Ratings, category: str, seed: int) -> Preference:
    estimates, method = mean_estimates(ratings, _CONTRASTS, seed)
    net = ratings.means[0] - ratings.means[2]
    flips = sign_flip_p(net, ratings.clusters, seed)
    p = cluster_t_p(float(net.mean()), cluster_t_interval(net, ratings.clusters), ratings.n_clusters - 1)
    if p is None and ratings.n_clusters > 1:
        p = flips
    return _assemble(ratings, category, estimates, p, flips if ratings.n_clusters > 1 else None, method)


def _averaged(ratings: Ratings) -> Preference:
    """Preference with categories weighing alike; not tested, since the overall test is that of all prompts."""
    made = [category_average(row, ratings.categories, ratings.clusters) for row in _CONTRASTS @ ratings.means]
    estimates = [_estimate(value, interval) for value, interval in made]
    return _assemble(ratings, CATEGORY_AVERAGE, estimates, None, None, _t_or_none(made[-1][1]))


def _assemble(
    ratings: Ratings, category: str, raw: Sequence[Estimate], p: float | None, flips: float | None, method: str
) -> Preference:
    estimates = [_clipped(estimate, *bounds) for estimate, bounds in zip(raw, _BOUNDS, strict=True)]
    net = estimates[3]
    halved = [None if edge is None else (1 + edge) / 2 for edge in (net.low, net.high)]
    return Preference(
        category, ratings.n_prompts, ratings.n_ratings, ratings.n_raters,
        dict(zip(OUTCOMES, estimates[:3], strict=True)), net, Estimate((1 + net.value) / 2, *halved),
        p, flips, None, method,
    )  # fmt: skip


def _estimate(value: float, interval: Interval | None) -> Estimate:
    return Estimate(value, None, None) if interval is None else Estimate(value, *interval)


def _clipped(estimate: Estimate, lowest: float, highest: float) -> Estimate:
    """Cut an interval at the ends of the scale: a share is no less than 0."""
    if estimate.low is None or estimate.high is None:
        return estimate
    return Estimate(estimate.value, max(lowest, estimate.low), min(highest, estimate.high))


def _t_or_none(interval: Interval | None) -> str:
    return NO_INTERVAL if interval is None else CLUSTER_T
