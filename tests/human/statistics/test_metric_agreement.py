"""Kendall's tau-b and pairwise accuracy against scipy and by hand."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from imagen_bench.human.statistics.metric_agreement import metric_agreement, weighted_tau_b


def labels(count: int) -> list[str]:
    return [str(number) for number in range(count)]


def test_tau_b_with_ties_is_scipys() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 6, 50).astype(float), rng.integers(0, 4, 50).astype(float)
    result = metric_agreement(x - 2.5, y - 1.5, labels(50), 0)
    assert result.tau_b is not None
    assert result.tau_b.value == pytest.approx(stats.kendalltau(x, y).statistic)
    assert result.tau_b.low is not None
    assert result.tau_b.high is not None
    assert result.tau_b.low < result.tau_b.value < result.tau_b.high


def test_whole_weights_are_repetitions() -> None:
    rng = np.random.default_rng(1)
    x, y, weights = rng.normal(size=12), rng.normal(size=12), rng.integers(0, 4, 12)
    expected = stats.kendalltau(np.repeat(x, weights), np.repeat(y, weights)).statistic
    assert weighted_tau_b(x, y, weights[None].astype(float))[0] == pytest.approx(expected)


def test_accuracy_by_hand() -> None:
    metric = np.array([0.2, -0.1, 0.0, 0.3, 0.4])
    human = np.array([1.0, -0.5, 0.5, -1.0, 0.0])
    result = metric_agreement(metric, human, labels(5), 0)
    assert result.n_decided == 4
    assert result.accuracy is not None
    assert result.accuracy.value == pytest.approx((1 + 1 + 0.5 + 0) / 4)
    assert result.accuracy.low is None


def test_a_side_that_does_not_vary_has_no_tau() -> None:
    result = metric_agreement(np.ones(12), np.zeros(12), labels(12), 0)
    assert (result.tau_b, result.accuracy, result.n_decided) == (None, None, 0)
