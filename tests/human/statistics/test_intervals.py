"""Intervals against closed forms, and their coverage in simulated studies."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from imagen_bench.human.statistics.intervals import (
    CLUSTER_T,
    NO_INTERVAL,
    TWO_WAY,
    category_average,
    cluster_t_interval,
    is_crossed,
    percentile_interval,
    two_way_replicates,
)
from imagen_bench.human.statistics.preferences import mean_estimates
from imagen_bench.human.statistics.ratings import Ratings

NET = np.array([[1.0]])


def crossed(votes: np.ndarray, categories: list[str] | None = None) -> Ratings:
    """Ratings of prompts x raters votes; NaN is a missing one."""
    prompts, _ = votes.shape
    names = tuple(f"p{number:03d}" for number in range(prompts))
    seen = ~np.isnan(votes)
    sums = np.where(seen, votes, 0.0)[None]
    return Ratings(sums, seen.astype(float), names, names, tuple(categories or ["c"] * prompts))


def test_cluster_t_of_single_prompts_is_the_t_interval() -> None:
    values = np.random.default_rng(0).normal(0.2, 0.5, size=31)
    expected = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert cluster_t_interval(values, [str(n) for n in range(31)]) == pytest.approx((expected.low, expected.high))


def test_near_copies_widen_the_interval() -> None:
    values = np.random.default_rng(1).normal(size=20)
    alone = cluster_t_interval(np.repeat(values, 2), [str(n) for n in range(40)])
    paired = cluster_t_interval(np.repeat(values, 2), [str(n // 2) for n in range(40)])
    single = cluster_t_interval(values, [str(n) for n in range(20)])
    assert alone is not None
    assert paired is not None
    assert paired[1] - paired[0] > 1.3 * (alone[1] - alone[0])
    assert paired == pytest.approx(single)


def test_no_interval_where_nothing_varies() -> None:
    assert cluster_t_interval(np.ones(8), list("abcdefgh")) is None
    assert cluster_t_interval(np.array([0.3]), ["a"]) is None
    ratings = crossed(np.ones((12, 4)))
    (estimate,), method = mean_estimates(ratings, NET, 0)
    assert (estimate.value, estimate.low, estimate.high, method) == (1.0, None, None, NO_INTERVAL)


def test_variance_of_the_two_way_bootstrap_is_owens() -> None:
    # Owen (2007), theorem 1: with no interaction the bootstrap variance of a balanced mean is the sum of the two
    # naive ones, var(rows) / P + var(columns) / R, in population variances.
    rng = np.random.default_rng(2)
    rows, columns = rng.normal(size=(60, 1)), rng.normal(size=(1, 8))
    replicates = two_way_replicates(crossed(rows + columns), 40_000, 3)[:, 0]
    assert replicates.mean() == pytest.approx((rows + columns).mean(), abs=0.01)
    assert replicates.var() == pytest.approx(rows.var() / 60 + columns.var() / 8, rel=0.03)


def test_two_way_bootstrap_survives_missing_ratings() -> None:
    votes = np.random.default_rng(3).normal(size=(30, 4))
    votes[np.random.default_rng(4).random(votes.shape) < 0.3] = np.nan
    votes = votes[~np.isnan(votes).all(axis=1)]
    replicates = two_way_replicates(crossed(votes), 500, 0)
    assert np.isfinite(replicates).all()
    assert replicates.mean() == pytest.approx(np.nanmean(votes, axis=1).mean(), abs=0.03)


def test_method_follows_the_design() -> None:
    votes = np.random.default_rng(5).choice([-1.0, 0.0, 1.0], size=(40, 5))
    assert is_crossed(crossed(votes))
    assert mean_estimates(crossed(votes), NET, 0)[1] == TWO_WAY
    assert mean_estimates(crossed(votes[:9]), NET, 0)[1] == CLUSTER_T
    assert mean_estimates(crossed(votes[:, :2]), NET, 0)[1] == CLUSTER_T
    sparse = np.full((40, 40), np.nan)
    sparse[np.arange(40), np.arange(40)] = votes[:, 0]
    assert mean_estimates(crossed(sparse), NET, 0)[1] == CLUSTER_T


def test_category_average_against_the_sum_of_variances() -> None:
    rng = np.random.default_rng(6)
    parts = [rng.normal(size=size) for size in (25, 7, 12)]
    values, names = np.concatenate(parts), [name for name, part in zip("xyz", parts, strict=True) for _ in part]
    value, interval = category_average(values, names, [str(n) for n in range(44)])
    error = np.sqrt(sum(part.var(ddof=1) / len(part) for part in parts)) / 3
    half = stats.t.ppf(0.975, 44 - 3) * error
    assert value == pytest.approx(np.mean([part.mean() for part in parts]))
    assert interval == pytest.approx((value - half, value + half))


@pytest.mark.slow
def test_coverage_at_200_prompts_and_5_raters() -> None:
    """The truth is a net of 0 for new prompts and raters; a vote-level interval covers it far too seldom."""
    from toy_study import draw_votes

    votes = draw_votes(np.random.default_rng(7), 600, 200, 5).astype(float)
    hits = np.zeros(2)
    for study in votes:
        interval = percentile_interval(two_way_replicates(crossed(study), 400, 0)[:, 0])
        assert interval is not None
        error = study.std(ddof=1) / np.sqrt(study.size)
        hits += [interval[0] <= 0 <= interval[1], abs(study.mean()) <= 1.96 * error]
    two_way, vote_level = hits / len(votes)
    assert 0.92 <= two_way <= 0.98
    assert vote_level < 0.8


@pytest.mark.slow
@pytest.mark.parametrize("prompts", [7, 38, 200])
def test_coverage_of_cluster_t_without_rater_effects(prompts: int) -> None:
    from toy_study import draw_votes

    votes = draw_votes(np.random.default_rng(8), 2000, prompts, 5, rater_sd=0.0)
    labels = [str(n) for n in range(prompts)]
    intervals = [cluster_t_interval(study.mean(axis=1), labels) for study in votes]
    covered = [interval is not None and interval[0] <= 0 <= interval[1] for interval in intervals]
    assert 0.92 <= np.mean(covered) <= 0.98
