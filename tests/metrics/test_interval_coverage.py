"""How often 95 % intervals hold the expected score at this number of images, in simulation.

Generated sets equal to the reference, near it and far from it, of one or three images a prompt (three share half of
their variance), the reference set held fixed. The expected score is the mean over all trials of a case.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pytest

from imagen_bench.metrics.base import FeatureBatch, MetricContext, metrics
from imagen_bench.metrics.statistics import GaussianStatistics, RunningMoments

# (distance of the means, ratio of the deviations)
REGIMES = ((0.0, 1.0), (0.3, 1.1), (1.0, 0.6))
SHAPES = ((200, 1), (70, 3))
NOTHING: Mapping[str, object] = {}


@dataclass(frozen=True)
class Found:
    covered: int
    intervals: int

    @property
    def share(self) -> float:
        return self.covered / self.intervals


def draws(prompts: int, each: int, shift: float, scale: float, dim: int, trials: int) -> Iterator[np.ndarray]:
    rng = np.random.default_rng(prompts)
    for _ in range(trials):
        features = rng.normal(size=(prompts, each, dim))
        if each > 1:
            features = np.sqrt(0.5) * (features + rng.normal(size=(prompts, 1, dim)))
        yield (features * scale + shift / np.sqrt(dim)).reshape(-1, dim)


def simulate(
    name: str, shape: tuple[int, int], regime: tuple[float, float], dim: int, trials: int, options: Mapping[str, object]
) -> Found:
    reference = np.random.default_rng(dim).normal(size=(300, dim)).astype(np.float32)
    moments = RunningMoments(dim)
    moments.update(reference)
    statistics = GaussianStatistics(moments.mean, moments.covariance, 300, "e", "0" * 64, "r")
    labels = [f"p{i // shape[1]}" for i in range(shape[0] * shape[1])]
    results = []
    for trial, features in enumerate(draws(*shape, *regime, dim, trials)):
        drawn = {**options, "seed": trial} if "seed" in options else options
        metric = metrics.get(name)(MetricContext("t", statistics, 0, reference, drawn))
        metric.update(FeatureBatch(features, labels))
        results.append(metric.compute())
    expected = float(np.mean([result.value for result in results]))
    known = [(r.low, r.high) for r in results if r.low is not None and r.high is not None]
    return Found(sum(low <= expected <= high for low, high in known), len(known))


def pooled(name: str, dim: int, trials: int, options: Mapping[str, object] = NOTHING) -> tuple[float, list[float]]:
    found = [simulate(name, shape, regime, dim, trials, options) for shape in SHAPES for regime in REGIMES]
    return sum(f.covered for f in found) / sum(f.intervals for f in found), [f.share for f in found]


def test_fd_covers() -> None:
    found = simulate("fd", (100, 1), (0.3, 1.1), dim=6, trials=60, options=NOTHING)
    assert found.intervals == 60
    assert 0.9 <= found.share <= 0.99


CASES = [
    ("fd", 16, 60, NOTHING),
    ("fid_infinity", 6, 25, {"points": 5, "seed": 0}),
    ("kid", 16, 60, {"subsets": 10, "subset_size": 100, "seed": 0}),
    ("kid", 16, 60, {"estimator": "full"}),
    ("cmmd", 16, 60, NOTHING),
    ("inception_score", 16, 60, {"splits": 2, "seed": 0}),
    ("precision", 6, 60, NOTHING),
    ("recall", 6, 60, NOTHING),
    ("density", 6, 60, NOTHING),
    ("coverage", 6, 60, NOTHING),
]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "dim", "trials", "options"), CASES)
def test_intervals_cover(name: str, dim: int, trials: int, options: Mapping[str, object]) -> None:
    share, by_case = pooled(name, dim, trials, options)
    assert 0.92 <= share <= 0.98
    assert min(by_case) >= 0.85
