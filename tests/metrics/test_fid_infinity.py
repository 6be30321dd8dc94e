from __future__ import annotations

import numpy as np
import pytest

from imagen_bench.errors import ConfigError, InputError
from imagen_bench.metrics.base import FeatureBatch, Metric, MetricContext, metrics
from imagen_bench.metrics.fid_infinity import line_at_zero
from imagen_bench.metrics.frechet import frechet_distance
from imagen_bench.metrics.statistics import GaussianStatistics


def gaussian(dim: int, mean: float, scale: float) -> GaussianStatistics:
    return GaussianStatistics(np.full(dim, mean), scale**2 * np.eye(dim), 0, "exact", "0" * 64, "known")


def fed(features: np.ndarray, reference: GaussianStatistics, **options: object) -> Metric:
    metric = metrics.get("fid_infinity")(MetricContext("tiny", reference, options=options))
    metric.update(FeatureBatch(features, [f"p{i}" for i in range(len(features))]))
    return metric


def test_line_is_numpys() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.uniform(1, 2, size=15), rng.normal(size=15)
    slope, intercept = np.polyfit(x, y, 1)
    assert [float(part) for part in line_at_zero(x, y)] == pytest.approx([intercept, slope], rel=1e-9)


def test_is_nearer_the_true_distance_than_the_fid() -> None:
    dim, reference = 30, gaussian(30, 0.0, 1.0)
    true = dim * (0.3**2 + 0.2**2)
    errors, biases = [], []
    for seed in range(6):
        features = np.random.default_rng(seed).normal(size=(400, dim)) * 1.2 + 0.3
        result = fed(features, reference, points=6).compute()
        errors.append(result.value - true)
        biases.append(result.details["fid"] - true)
        assert result.details["smallest"] == 200
        mean, cov = features.mean(axis=0), np.cov(features, rowvar=False)
        fid = frechet_distance(mean, cov, reference.mean, reference.covariance)
        assert result.details["fid"] == pytest.approx(fid, rel=1e-9)
    assert abs(np.mean(errors)) < 0.4 * np.mean(biases)


def test_interval_holds_the_estimate() -> None:
    features = np.random.default_rng(1).normal(size=(120, 5)) + 0.5
    result = fed(features, gaussian(5, 0.0, 1.0), points=4).compute()
    assert result.low is not None
    assert result.high is not None
    assert result.low < result.value < result.high
    assert (result.label, result.n) == ("FID-infinity", 120)


def test_options_and_refusals() -> None:
    features, reference = np.random.default_rng(2).normal(size=(59, 3)), gaussian(3, 0.0, 1.0)
    assert fed(features, reference).options() == {"points": 15, "smallest": 5000, "seed": 0}
    with pytest.raises(InputError, match="needs at least 60 images, found 59"):
        fed(features, reference).compute()
    with pytest.raises(ConfigError, match="'points' is 2"):
        fed(features, reference, points=2)
    with pytest.raises(InputError, match="needs a reference set"):
        metrics.get("fid_infinity")(MetricContext("tiny"))
