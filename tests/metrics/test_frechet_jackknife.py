"""Distances without some images: each equal to the distance computed anew from the images that are left."""

from __future__ import annotations

import numpy as np
import pytest

from imagen_bench.metrics.frechet import FrechetFit, frechet_distance
from imagen_bench.metrics.statistics import GaussianStatistics, RunningMoments


def moments_of(features: np.ndarray) -> RunningMoments:
    moments = RunningMoments(features.shape[1])
    moments.update(features)
    return moments


def reference(dim: int, rank: int | None = None) -> GaussianStatistics:
    rng = np.random.default_rng(dim)
    scales = 1 / np.arange(1, dim + 1)
    factor = rng.normal(size=(dim, rank or 3 * dim)) * scales[:, None]
    return GaussianStatistics(rng.normal(size=dim) / 4, factor @ factor.T / 3, 99, "e", "0" * 64, "r")


@pytest.mark.parametrize(("n", "dim"), [(60, 5), (60, 40), (30, 50)], ids=["many", "barely", "fewer-than-dimensions"])
@pytest.mark.parametrize("size", [0, 1, 2, 5])
def test_equals_the_distance_of_what_is_left(n: int, dim: int, size: int) -> None:
    rng = np.random.default_rng(n + dim)
    features, target = rng.normal(size=(n, dim)) / np.arange(1, dim + 1), reference(dim)
    fit = FrechetFit(moments_of(features), target, features)
    groups = [rng.choice(n, size, replace=False) for _ in range(4)]
    expected = []
    for group in groups:
        left = moments_of(np.delete(features, group, axis=0))
        expected.append(frechet_distance(left.mean, left.covariance, target.mean, target.covariance))
    np.testing.assert_allclose(fit.without(groups), expected, rtol=2e-6)


def test_large_groups_and_groups_of_several_sizes() -> None:
    rng = np.random.default_rng(1)
    features, target = rng.normal(size=(200, 12)), reference(12)
    fit = FrechetFit(moments_of(features), target, features[:150])
    groups = [np.arange(5), np.arange(10, 80), np.array([3]), np.arange(40, 110)]
    expected = []
    for group in groups:
        left = moments_of(np.delete(features, group, axis=0))
        expected.append(frechet_distance(left.mean, left.covariance, target.mean, target.covariance))
    np.testing.assert_allclose(fit.without(groups), expected, rtol=2e-6)


def test_reference_of_low_rank() -> None:
    rng = np.random.default_rng(2)
    features, target = rng.normal(size=(80, 10)), reference(10, rank=4)
    fit = FrechetFit(moments_of(features), target, features)
    left = moments_of(features[1:])
    expected = frechet_distance(left.mean, left.covariance, target.mean, target.covariance)
    assert fit.without([np.array([0])])[0] == pytest.approx(expected, rel=2e-6)
