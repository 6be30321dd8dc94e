"""Intervals against known formulas; how often each metric's interval covers is in test_interval_coverage."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import scipy.stats

from imagen_bench.metrics.intervals import (
    Expansion,
    LeaveOut,
    cluster_groups,
    expansion_interval,
    jackknife_interval,
    mean_interval,
    proportion_interval,
)


def test_single_samples_give_the_textbook_interval() -> None:
    x = np.random.default_rng(0).normal(size=30)
    expected = scipy.stats.t.interval(0.95, 29, loc=x.mean(), scale=scipy.stats.sem(x))
    assert mean_interval(x, [str(i) for i in range(30)]) == pytest.approx(expected, rel=1e-12)


def test_equal_clusters_give_the_interval_of_their_means() -> None:
    x = np.random.default_rng(1).normal(size=(12, 4)) + np.arange(12)[:, None]
    means = x.mean(axis=1)
    expected = scipy.stats.t.interval(0.95, 11, loc=means.mean(), scale=scipy.stats.sem(means))
    assert mean_interval(x.ravel(), np.repeat([f"p{i}" for i in range(12)], 4).tolist()) == pytest.approx(
        expected, rel=1e-12
    )


def mean_without(x: np.ndarray) -> LeaveOut:
    return lambda groups: np.array([np.delete(x, group, axis=0).mean() for group in groups])


def test_jackknife_of_a_mean_is_the_textbook_interval() -> None:
    x = np.random.default_rng(2).normal(size=25)
    expected = scipy.stats.t.interval(0.95, 24, loc=x.mean(), scale=scipy.stats.sem(x))
    labels = [str(i) for i in range(25)]
    assert jackknife_interval(float(x.mean()), mean_without(x), labels) == pytest.approx(expected, rel=1e-6)
    linear = Expansion((x - x.mean()) / 25)
    assert expansion_interval(float(x.mean()), linear, labels) == pytest.approx(expected, rel=1e-12)


def test_both_jackknives_of_equal_clusters_are_the_mean_interval() -> None:
    x = np.random.default_rng(1).normal(size=(12, 4)) + np.arange(12)[:, None]
    labels = np.repeat([f"p{i}" for i in range(12)], 4).tolist()
    expected = mean_interval(x.ravel(), labels)
    flat = x.ravel()
    assert jackknife_interval(float(x.mean()), mean_without(flat), labels) == pytest.approx(expected, rel=1e-9)
    linear = Expansion((flat - flat.mean()) / 48)
    assert expansion_interval(float(x.mean()), linear, labels) == pytest.approx(expected, rel=1e-12)


def test_a_share_of_the_clusters_gives_the_error_of_all() -> None:
    x = np.random.default_rng(3).normal(size=4000)
    labels = [str(i) for i in range(400)]
    whole = scipy.stats.sem(x) * 1.96
    part = Expansion((x[:400] - x.mean()) / 4000, share=0.1)
    low, high = expansion_interval(0.0, part, labels) or (np.nan, np.nan)
    assert (high - low) / 2 == pytest.approx(whole, rel=0.1)

    def without(groups: Sequence[np.ndarray]) -> np.ndarray:
        return np.array([(x.sum() - x[group].sum()) / (4000 - len(group)) for group in groups])

    low, high = jackknife_interval(float(x.mean()), without, labels, share=0.1) or (np.nan, np.nan)
    assert (high - low) / 2 == pytest.approx(whole, rel=0.1)


def test_correction_of_a_purely_quadratic_score() -> None:
    # |mean|^2 of centred data: Var = 2 tr(S^2) / n^2 = v; both methods give V = 2 v, so C = v and V - C / 2 = 1.5 v.
    n, dim = 60, 400
    ratios: dict[str, list[float]] = {"exact": [], "expansion": []}
    labels = [str(i) for i in range(n)]
    for seed in range(6):
        x = np.random.default_rng(seed).normal(size=(n, dim))
        mean, total = x.mean(axis=0), x.sum(axis=0)
        score = float(mean @ mean)

        def without(groups: Sequence[np.ndarray], x: np.ndarray = x, total: np.ndarray = total) -> np.ndarray:
            rest = [(total - x[group].sum(axis=0)) / (len(x) - len(group)) for group in groups]
            return np.array([each @ each for each in rest])

        def second(i: np.ndarray, j: np.ndarray, z: np.ndarray = x - mean) -> np.ndarray:
            return 2 * np.sum(z[i] * z[j], axis=1) / n**2

        half_width = scipy.stats.t.ppf(0.975, n - 1) * np.sqrt(2 * dim) / n
        expansion = Expansion(2 * (x - mean) @ mean / n, second)
        for name, interval in (
            ("exact", jackknife_interval(score, without, labels)),
            ("expansion", expansion_interval(score, expansion, labels)),
        ):
            low, high = interval or (np.nan, np.nan)
            ratios[name].append((high - low) / 2 / half_width)
    assert np.mean(ratios["exact"]) == pytest.approx(np.sqrt(1.5), abs=0.1)
    assert np.mean(ratios["expansion"]) == pytest.approx(np.sqrt(1.5), abs=0.1)


def test_groups_are_the_clusters() -> None:
    groups = cluster_groups(["b", "a", "b", "c", "a"])
    assert [group.tolist() for group in groups] == [[1, 4], [0, 2], [3]]


def test_too_few_clusters_give_none() -> None:
    labels = [str(i) for i in range(7)]
    assert mean_interval([0.1, 0.2], ["p", "p"]) is None
    assert proportion_interval([1, 1], ["p", "p"]) is None
    assert jackknife_interval(1.0, lambda groups: np.ones(len(groups)), labels) is None
    assert expansion_interval(1.0, Expansion(np.zeros(7)), labels) is None


def test_proportion_of_single_samples_is_wilson() -> None:
    hits = np.repeat([1.0, 0.0], [9000, 1000])
    expected = scipy.stats.binomtest(9000, 10_000).proportion_ci(method="wilson")
    ours = proportion_interval(hits, [str(i) for i in range(10_000)])
    assert ours == pytest.approx((expected.low, expected.high), abs=2e-5)


def test_proportion_where_all_agree_has_width() -> None:
    low, high = proportion_interval(np.ones(40), [f"p{i // 4}" for i in range(40)]) or (np.nan, np.nan)
    assert high == pytest.approx(1.0)
    # Wilson with 10 clusters and t of 9 degrees: n / (n + t^2).
    assert low == pytest.approx(10 / (10 + scipy.stats.t.ppf(0.975, 9) ** 2))


@pytest.mark.parametrize(("prompts", "each"), [(5, 1), (24, 2)])
def test_mean_interval_covers(prompts: int, each: int) -> None:
    rng = np.random.default_rng(4)
    clusters = np.repeat([f"p{i}" for i in range(prompts)], each).tolist()
    hits = 0
    for _ in range(1500):
        x = (rng.gamma(2, 1, size=(prompts, 1)) - 2) * 0.02 + rng.normal(size=(prompts, each)) * 0.02
        low, high = mean_interval(x.ravel(), clusters) or (np.nan, np.nan)
        hits += low <= 0 <= high
    assert 0.92 <= hits / 1500 <= 0.98
