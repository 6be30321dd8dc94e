"""Intervals: known formulas, and coverage in simulation of what they promise to cover."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest
import scipy.stats

from imagen_bench.metrics.base import FeatureBatch, MetricContext
from imagen_bench.metrics.frechet import FrechetDistance, frechet_distance
from imagen_bench.metrics.intervals import clusters_to_blocks, jackknife_interval, mean_interval
from imagen_bench.metrics.statistics import GaussianStatistics

Draw = Callable[[np.random.Generator], np.ndarray]


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


def test_jackknife_of_a_mean_is_the_textbook_interval() -> None:
    x = np.random.default_rng(2).normal(size=25)
    expected = scipy.stats.t.interval(0.95, 24, loc=x.mean(), scale=scipy.stats.sem(x))
    ours = jackknife_interval(float(x.mean()), lambda out: float(np.delete(x, out).mean()), 25, pairs=40)
    assert ours == pytest.approx(expected, rel=1e-6)


def test_correction_of_a_purely_quadratic_score() -> None:
    # |mean|^2 of centred data: Var = 2 tr(S^2) / n^2 = v; the jackknife gives V = 2 v, so C = v and V - C / 2 = 1.5 v.
    n, dim, ratios = 60, 400, []
    for seed in range(6):
        x = np.random.default_rng(seed).normal(size=(n, dim))
        total = x.sum(axis=0)

        def score(out: Sequence[int], x: np.ndarray = x, total: np.ndarray = total) -> float:
            mean = (total - x[list(out)].sum(axis=0)) / (n - len(out))
            return float(mean @ mean)

        low, high = jackknife_interval(score([]), score, n, pairs=300) or (np.nan, np.nan)
        half_width = scipy.stats.t.ppf(0.975, n - 1) * np.sqrt(2 * dim) / n
        ratios.append((high - low) / 2 / half_width)
    assert np.mean(ratios) == pytest.approx(np.sqrt(1.5), abs=0.1)


def test_blocks_keep_clusters_whole_and_even() -> None:
    clusters = [f"p{i % 50}" for i in range(150)]
    blocks = clusters_to_blocks(clusters, limit=20, seed=3)
    assert blocks.max() + 1 <= 20
    assert len({(c, b) for c, b in zip(clusters, blocks.tolist(), strict=True)}) == 50
    sizes = np.bincount(blocks) // 3
    assert sizes.max() - sizes.min() <= 1
    order = np.random.default_rng(0).permutation(150)
    shuffled = clusters_to_blocks([clusters[i] for i in order], limit=20, seed=3)
    np.testing.assert_array_equal(shuffled, blocks[order])
    assert clusters_to_blocks(["a", "b"], limit=20).tolist() in ([0, 1], [1, 0])


def test_too_few_clusters_give_none() -> None:
    assert mean_interval([0.1, 0.2], ["p", "p"]) is None
    assert jackknife_interval(1.0, lambda out: 1.0, 7, pairs=5) is None


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


def coverage(draw: Draw, clusters: list[str], dim: int, trials: int, seed: int) -> float:
    """How often the interval holds E[FD at this N], estimated from 10 times as many draws."""
    rng = np.random.default_rng(seed)
    reference = GaussianStatistics(np.zeros(dim), np.eye(dim), 10_000, "exact", "0" * 64, "known Gaussian")

    def distance(features: np.ndarray) -> float:
        return frechet_distance(
            features.mean(axis=0), np.cov(features, rowvar=False), reference.mean, reference.covariance
        )

    target = float(np.mean([distance(draw(rng)) for _ in range(10 * trials)]))
    hits = 0
    for _ in range(trials):
        metric = FrechetDistance(MetricContext("exact", reference))
        metric.update(FeatureBatch(image=draw(rng), clusters=clusters))
        result = metric.compute()
        hits += result.low is not None and result.high is not None and result.low <= target <= result.high
    return hits / trials


def gaussian(prompts: int, each: int, dim: int, shift: float, scale: float) -> tuple[Draw, list[str]]:
    """Samples of one prompt share half their variance."""

    def draw(rng: np.random.Generator) -> np.ndarray:
        shared, own = rng.normal(size=(prompts, 1, dim)), rng.normal(size=(prompts, each, dim))
        features = own if each == 1 else np.sqrt(0.5) * (shared + own)
        flat: np.ndarray = (features * scale + shift / np.sqrt(dim)).reshape(-1, dim)
        return flat

    return draw, np.repeat([f"p{i}" for i in range(prompts)], each).tolist()


def test_fd_interval_covers_the_expected_fd() -> None:
    draw, clusters = gaussian(prompts=100, each=2, dim=8, shift=0.5, scale=0.8)
    assert 0.9 <= coverage(draw, clusters, dim=8, trials=120, seed=5) <= 0.99


@pytest.mark.slow
@pytest.mark.parametrize("dim", [8, 16])
@pytest.mark.parametrize(("prompts", "each"), [(200, 1), (50, 4)])
@pytest.mark.parametrize(("shift", "scale"), [(0, 1), (0.2, 1.1), (1, 0.6)], ids=["same", "near", "far"])
def test_fd_interval_covers_in_every_regime(dim: int, prompts: int, each: int, shift: float, scale: float) -> None:
    draw, clusters = gaussian(prompts, each, dim, shift, scale)
    # Where the samples follow the reference itself, FD is all bias and the interval is on the wide side.
    most = 0.99 if (shift, scale) == (0, 1) else 0.985
    assert 0.92 <= coverage(draw, clusters, dim, trials=500, seed=6) <= most
