"""KID and CMMD against float64 double loops written out, torch-fidelity, and closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest

from imagen_bench.errors import ConfigError, InputError, ModelError
from imagen_bench.metrics.base import FeatureBatch, Metric, MetricContext, metrics
from imagen_bench.metrics.mmd import gaussian_kernel, gram, polynomial_kernel, unbiased_mmd

DIM = 6


def sets(n: int = 70, m: int = 50, shift: float = 0.4) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(n + m)
    return rng.normal(size=(n, DIM)) + shift, rng.normal(size=(m, DIM))


def fed(name: str, x: np.ndarray, y: np.ndarray, step: int = 1000, **options: object) -> Metric:
    metric = metrics.get(name)(MetricContext("tiny", reference_features=y, options=options))
    for start in range(0, len(x), step):
        part = x[start : start + step]
        metric.update(FeatureBatch(part, [f"p{start + i}" for i in range(len(part))]))
    return metric


def loop_kid(x: np.ndarray, y: np.ndarray) -> float:
    """Unbiased MMD^2 by the definition, two loops a term."""

    def k(a: np.ndarray, b: np.ndarray) -> float:
        return (sum(float(p) * float(q) for p, q in zip(a, b, strict=True)) / len(a) + 1) ** 3

    n, m = len(x), len(y)
    xx = sum(k(x[i], x[j]) for i in range(n) for j in range(n) if i != j) / (n * (n - 1))
    yy = sum(k(y[i], y[j]) for i in range(m) for j in range(m) if i != j) / (m * (m - 1))
    return xx + yy - 2 * sum(k(a, b) for a in x for b in y) / (n * m)


def loop_cmmd(x: np.ndarray, y: np.ndarray) -> float:
    """1000 times the biased MMD^2 of unit vectors, sigma = 10."""
    x, y = (each / np.sqrt((each**2).sum(axis=1))[:, None] for each in (x, y))

    def k(a: np.ndarray, b: np.ndarray) -> float:
        return math.exp(-sum((float(p) - float(q)) ** 2 for p, q in zip(a, b, strict=True)) / 200)

    means = [
        sum(k(a, b) for a in one for b in other) / (len(one) * len(other)) for one, other in ((x, x), (y, y), (x, y))
    ]
    return 1000 * (means[0] + means[1] - 2 * means[2])


def test_full_kid_is_the_double_loop() -> None:
    x, y = sets()
    result = fed("kid", x, y, step=23, estimator="full").compute()
    assert result.value == pytest.approx(loop_kid(x, y), rel=1e-10)
    assert (result.label, result.n, result.higher_is_better) == ("KID (all samples)", 70, False)


@pytest.mark.parametrize(("n", "m", "size"), [(70, 50, 30), (60, 60, 60)])
def test_kid_is_torch_fidelitys_on_its_subsets(n: int, m: int, size: int) -> None:
    metric_kid = pytest.importorskip("torch_fidelity.metric_kid")
    import torch

    x, y = sets(n, m)
    options = {"kid_subsets": 12, "kid_subset_size": size, "rng_seed": 2020, "verbose": False}
    theirs = metric_kid.kid_features_to_metric(torch.from_numpy(x), torch.from_numpy(y), **options)
    result = fed("kid", x, y, subsets=12, subset_size=size).compute()
    assert result.value == pytest.approx(theirs["kernel_inception_distance_mean"], rel=1e-8)
    assert result.details["std"] == pytest.approx(theirs["kernel_inception_distance_std"], rel=1e-8, abs=1e-14)


def test_large_sets_take_the_kernel_by_subset(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = sets()
    whole = fed("kid", x, y, subsets=5, subset_size=20).compute()
    monkeypatch.setattr("imagen_bench.metrics.kernel._KEPT_ENTRIES", 10)
    assert fed("kid", x, y, subsets=5, subset_size=20).compute().value == pytest.approx(whole.value, rel=1e-12)


def test_subsets_of_all_samples_are_the_full_estimate() -> None:
    x, y = sets(40, 40)
    few = fed("kid", x, y).compute()
    assert few.details["subset_size"] == 40
    assert few.value == pytest.approx(fed("kid", x, y, estimator="full").compute().value, rel=1e-10)


def test_cmmd_is_the_double_loop() -> None:
    x, y = sets()
    result = fed("cmmd", x, y, step=31).compute()
    assert result.value == pytest.approx(loop_cmmd(x, y), rel=1e-9)
    assert result.low is not None
    assert result.high is not None
    assert result.low < result.value < result.high


def test_cmmd_of_identical_and_scaled_sets_is_zero() -> None:
    x, _ = sets()
    assert fed("cmmd", x, x).compute().value == pytest.approx(0, abs=1e-9)
    assert fed("cmmd", 3 * x, x).compute().value == pytest.approx(0, abs=1e-9)


def test_cmmd_of_two_directions_in_closed_form() -> None:
    # Every pair across is sqrt(2) apart: 2 (1 - exp(-2 / 200)).
    x, y = np.tile([[1.0, 0.0]], (5, 1)), np.tile([[0.0, 2.0]], (4, 1))
    assert fed("cmmd", x, y).compute().value == pytest.approx(2000 * (1 - math.exp(-0.01)), rel=1e-9)


def test_kernels_by_hand() -> None:
    x, y = np.array([[1.0, 2.0]]), np.array([[3.0, -1.0], [0.0, 0.0]])
    np.testing.assert_allclose(gram(x, y, polynomial_kernel(2)), [[1.5**3, 1.0]])
    np.testing.assert_allclose(gram(x, y, gaussian_kernel(2.0)), [[math.exp(-13 / 8), math.exp(-5 / 8)]])


def test_unbiased_estimate_averages_to_the_distance_of_point_masses() -> None:
    # k = 1 within, a across: MMD^2 = 2 - 2 a whatever the sizes.
    assert unbiased_mmd(np.ones((3, 3)), np.full((3, 4), 0.25), np.ones((4, 4))) == pytest.approx(1.5)


def test_workers_do_not_move_kid() -> None:
    x, y = sets()
    one, other = fed("kid", x[:30], y, subset_size=20), fed("kid", x[30:], y, subset_size=20)
    one.merge(other)
    assert one.compute().value == pytest.approx(fed("kid", x, y, subset_size=20).compute().value, rel=1e-12)


def test_refusals() -> None:
    x, y = sets()
    with pytest.raises(ConfigError, match=r"options of metric 'kid': unknown key 'subset': did you mean 'subsets'"):
        fed("kid", x, y, subset=3)
    with pytest.raises(ConfigError, match="'subset_size' is 1"):
        fed("kid", x, y, subset_size=1)
    with pytest.raises(ConfigError, match="'sigma' is 0"):
        fed("cmmd", x, y, sigma=0)
    with pytest.raises(InputError, match="kid needs at least 2 images, found 1"):
        fed("kid", x[:1], y).compute()
    alone = metrics.get("kid")(MetricContext("tiny"))
    alone.update(FeatureBatch(x, ["p"] * len(x)))
    with pytest.raises(InputError, match="compares with single reference images, found none"):
        alone.compute()
    with pytest.raises(InputError, match="features of 6 and 5 dimensions"):
        fed("kid", x, y[:, :5]).compute()
    with pytest.raises(InputError, match="features have 5 dimensions, expected 6"):
        fed("cmmd", x, y).update(FeatureBatch(x[:, :5], ["p"] * len(x)))
    with pytest.raises(ModelError, match="all zeros"):
        fed("cmmd", x * 0, y).compute()
