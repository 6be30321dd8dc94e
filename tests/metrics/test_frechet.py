from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
import scipy.linalg
from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric

from imagen_bench.errors import InputError, ModelError
from imagen_bench.metrics.base import FeatureBatch, MetricContext, metrics
from imagen_bench.metrics.frechet import FrechetDistance, covariance_factor, frechet_distance, symmetric_root
from imagen_bench.metrics.statistics import GaussianStatistics, RunningMoments


def covariance(dim: int, seed: int, rank: int | None = None) -> np.ndarray:
    factor = np.random.default_rng(seed).normal(size=(dim, rank or 2 * dim))
    matrix: np.ndarray = factor @ factor.T / factor.shape[1]
    return matrix


def statistics_of(features: np.ndarray) -> GaussianStatistics:
    moments = RunningMoments(features.shape[1])
    moments.update(features)
    return GaussianStatistics(moments.mean, moments.covariance, moments.n, "some-extractor", "0" * 64, "some set")


def torch_fidelity_fid(one: np.ndarray, other: np.ndarray) -> float:
    """FID by torch-fidelity's functions (complex eigenvalues of S1 S2), from features."""
    import torch

    stats = [fid_features_to_statistics(torch.from_numpy(x)) for x in (one, other)]
    return float(fid_statistics_to_metric(*stats, verbose=False)["frechet_inception_distance"])


@pytest.mark.parametrize("dim", [1, 5, 64, 300])
def test_equal_covariances_leave_the_squared_mean_distance(dim: int) -> None:
    cov = covariance(dim, seed=1)
    one, other = np.zeros(dim), np.linspace(-1, 2, dim)
    assert frechet_distance(one, cov, other, cov) == pytest.approx(float(other @ other), rel=1e-9)


def test_diagonal_gaussians() -> None:
    a, b = np.array([4.0, 9.0, 0.25]), np.array([1.0, 16.0, 0.0])
    expected = 5.0 + float(np.sum((np.sqrt(a) - np.sqrt(b)) ** 2))
    assert frechet_distance(np.zeros(3), np.diag(a), np.array([1.0, 0, 2]), np.diag(b)) == pytest.approx(expected)


def test_commuting_covariances() -> None:
    basis, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(20, 20)))
    a, b = np.linspace(0.1, 3, 20), np.linspace(5, 0.2, 20)
    one, other = basis * a @ basis.T, basis * b @ basis.T
    expected = float(np.sum((np.sqrt(a) - np.sqrt(b)) ** 2))
    assert frechet_distance(np.zeros(20), one, np.zeros(20), other) == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize(("dim", "n"), [(8, 100), (64, 100), (64, 20), (300, 50)])
def test_identical_sets_are_at_zero(dim: int, n: int) -> None:
    features = np.random.default_rng(2).normal(size=(n, dim))
    s = statistics_of(features)
    assert abs(frechet_distance(s.mean, s.covariance, s.mean, s.covariance)) < 1e-9


@pytest.mark.parametrize(("dim", "n", "m"), [(16, 200, 150), (64, 240, 400), (64, 30, 400), (128, 60, 40)])
def test_agrees_with_torch_fidelity(dim: int, n: int, m: int) -> None:
    rng = np.random.default_rng(dim + n)
    mixing = rng.normal(size=(dim, dim)) / np.sqrt(dim)
    one, other = rng.normal(size=(n, dim)) @ mixing + 0.2, rng.normal(size=(m, dim))
    a, b = statistics_of(one), statistics_of(other)
    ours = frechet_distance(a.mean, a.covariance, b.mean, b.covariance)
    assert ours == pytest.approx(torch_fidelity_fid(one, other), rel=1e-6)
    assert frechet_distance(b.mean, b.covariance, a.mean, a.covariance) == pytest.approx(ours, rel=1e-9)


def test_distance_of_large_features_keeps_its_digits() -> None:
    rng = np.random.default_rng(3)
    one, other = rng.normal(size=(100, 16)) + 1000, rng.normal(size=(100, 16)) + 1000.5
    a, b = statistics_of(one), statistics_of(other)
    ours = frechet_distance(a.mean, a.covariance, b.mean, b.covariance)
    assert ours == pytest.approx(torch_fidelity_fid(one, other), rel=1e-6)


def test_root_squares_to_the_matrix() -> None:
    for matrix in (covariance(30, 4), covariance(30, 4, rank=7)):
        root = symmetric_root(matrix)
        np.testing.assert_allclose(root @ root, matrix, atol=1e-12)
        np.testing.assert_allclose(root, root.T, atol=1e-12)


def test_different_dimensions_are_refused() -> None:
    with pytest.raises(InputError, match="features of 2 and 3 dimensions"):
        frechet_distance(np.zeros(2), np.eye(2), np.zeros(3), np.eye(3))


def feed(metric: FrechetDistance, features: np.ndarray, clusters: list[str], size: int) -> FrechetDistance:
    for start in range(0, len(features), size):
        part = slice(start, start + size)
        metric.update(FeatureBatch(image=features[part], clusters=clusters[part]))
    return metric


def new_metric(reference: np.ndarray, seed: int = 0) -> FrechetDistance:
    metric = metrics.get("fd")(MetricContext("tiny", statistics_of(reference), seed))
    assert isinstance(metric, FrechetDistance)
    return metric


def test_metric_gives_value_interval_and_label() -> None:
    rng = np.random.default_rng(5)
    generated = (rng.normal(size=(120, 8)) + 0.3).astype(np.float32)
    reference = rng.normal(size=(300, 8))
    result = feed(new_metric(reference), generated, [f"p{i // 2}" for i in range(120)], 32).compute()
    assert result.value == pytest.approx(torch_fidelity_fid(generated.astype(np.float64), reference), rel=1e-6)
    assert result.low is not None
    assert result.high is not None
    assert 0 < result.low < result.value < result.high
    assert (result.label, result.n, result.higher_is_better) == ("FD (tiny)", 120, False)
    assert result.per_sample is None


def test_neither_batches_nor_workers_nor_order_move_it() -> None:
    rng = np.random.default_rng(6)
    generated, reference = rng.normal(size=(90, 6)).astype(np.float32), rng.normal(size=(80, 6))
    clusters = [f"p{i // 3}" for i in range(90)]
    whole = feed(new_metric(reference), generated, clusters, 90).compute()
    one, other = new_metric(reference), new_metric(reference)
    feed(one, generated[50:], clusters[50:], 7)
    feed(other, generated[:50], clusters[:50], 11)
    one.merge(other)
    merged = one.compute()
    assert merged.value == pytest.approx(whole.value, rel=1e-12)
    assert merged.low == pytest.approx(whole.low, rel=1e-9)
    assert merged.high == pytest.approx(whole.high, rel=1e-9)


def test_refusals() -> None:
    with pytest.raises(InputError, match="needs a reference set"):
        FrechetDistance(MetricContext("tiny"))
    metric = new_metric(np.random.default_rng(7).normal(size=(10, 4)))
    with pytest.raises(InputError, match="features have 5 dimensions, expected 4"):
        metric.update(FeatureBatch(image=np.zeros((2, 5)), clusters=["a", "b"]))
    with pytest.raises(ModelError, match="NaN"):
        metric.update(FeatureBatch(image=np.full((2, 4), np.nan), clusters=["a", "b"]))
    metric.update(FeatureBatch(image=np.zeros((1, 4)), clusters=["a"]))
    with pytest.raises(InputError, match="expected at least 2"):
        metric.compute()


def test_few_prompts_give_no_interval() -> None:
    rng = np.random.default_rng(8)
    metric = feed(new_metric(rng.normal(size=(50, 4))), rng.normal(size=(20, 4)), [f"p{i % 5}" for i in range(20)], 20)
    assert metric.compute().low is None


@pytest.mark.parametrize(
    ("name", "features", "label"),
    [
        ("fid", "inception", "FID"),
        ("fd_dinov2", "dinov2-vitl14", "FD-DINOv2"),
        ("clip_fid", None, "CLIP-FID (tiny)"),
        ("fd", None, "FD (tiny)"),
    ],
)
def test_the_same_distance_in_other_features(name: str, features: str | None, label: str) -> None:
    rng = np.random.default_rng(9)
    generated, reference = rng.normal(size=(60, 5)) + 0.2, rng.normal(size=(80, 5))
    metric = metrics.get(name)(MetricContext("tiny", statistics_of(reference)))
    metric.update(FeatureBatch(generated, [f"p{i}" for i in range(60)]))
    result = metric.compute()
    assert result.value == pytest.approx(torch_fidelity_fid(generated, reference), rel=1e-8)
    assert (metric.features, result.label, result.name) == (features, label, name)


@pytest.mark.parametrize(("dim", "n", "m"), [(16, 200, 150), (40, 240, 300), (64, 400, 200)])
def test_agrees_with_scipys_root(dim: int, n: int, m: int) -> None:
    rng = np.random.default_rng(dim)
    a, b = statistics_of(rng.normal(size=(n, dim)) * 1.2 + 0.1), statistics_of(rng.normal(size=(m, dim)))
    root = scipy.linalg.sqrtm(a.covariance @ b.covariance).real
    expected = ((a.mean - b.mean) ** 2).sum() + np.trace(a.covariance + b.covariance - 2 * root)
    ours = frechet_distance(a.mean, a.covariance, b.mean, b.covariance)
    assert ours == pytest.approx(expected, rel=1e-8)


def test_memory_does_not_grow_with_images() -> None:
    rng = np.random.default_rng(10)
    metric = FrechetDistance(MetricContext("tiny", statistics_of(rng.normal(size=(100, 256)))))
    features = rng.normal(size=(500, 256))
    sizes = []
    tracemalloc.start()
    for start in range(0, 12_000, 500):
        metric.update(FeatureBatch(features, [f"p{start + i}" for i in range(500)]))
        sizes.append(tracemalloc.get_traced_memory()[0])
    tracemalloc.stop()
    # 6,000 more images of 256 float32 would be 6.1 MB; what grows is the set of labels' hashes.
    assert sizes[23] - sizes[11] < 2e6


def test_factor_of_full_and_of_low_rank() -> None:
    for matrix in (covariance(30, 4), covariance(30, 4, rank=7)):
        factor = covariance_factor(matrix)
        np.testing.assert_allclose(factor @ factor.T, matrix, atol=1e-12)
