"""Precision, recall, density, coverage against the definitions written out and the authors' package."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats

from imagen_bench.errors import ConfigError, InputError
from imagen_bench.metrics.base import FeatureBatch, MetricContext, MetricResult, metrics
from imagen_bench.metrics.manifold import covered_interval
from imagen_bench.metrics.nearest import Inside, inside_balls, squared_radii

NAMES = ("precision", "recall", "density", "coverage")


def score(name: str, x: np.ndarray, y: np.ndarray, **options: object) -> MetricResult:
    metric = metrics.get(name)(MetricContext("tiny", reference_features=y, options=options))
    for start in range(0, len(x), 31):
        part = x[start : start + 31]
        metric.update(FeatureBatch(part, [f"p{(start + i) // 2}" for i in range(len(part))]))
    return metric.compute()


def by_definition(x: np.ndarray, y: np.ndarray, k: int) -> dict[str, float]:
    """Loops over all pairs; no point lies on a sphere, so that both conventions agree."""

    def distance(a: np.ndarray, b: np.ndarray) -> float:
        return float(np.sqrt(sum((p - q) ** 2 for p, q in zip(a, b, strict=True))))

    def radii(points: np.ndarray) -> list[float]:
        return [sorted(distance(a, b) for b in points)[k] for a in points]

    reference_radii, generated_radii = radii(y), radii(x)
    inside = np.array([[distance(a, b) < r for b, r in zip(y, reference_radii, strict=True)] for a in x])
    around = np.array([[distance(a, b) < r for a, r in zip(x, generated_radii, strict=True)] for b in y])
    return {
        "precision": float(inside.any(axis=1).mean()),
        "recall": float(around.any(axis=1).mean()),
        "density": float(inside.sum(axis=1).mean() / k),
        "coverage": float(inside.any(axis=0).mean()),
    }


def sets(dim: int = 3, n: int = 45, m: int = 60) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(dim + n)
    return rng.normal(size=(n, dim)) * 0.7 + 0.4, rng.normal(size=(m, dim))


@pytest.mark.parametrize("k", [1, 3, 5])
def test_equal_the_definitions(k: int) -> None:
    x, y = sets()
    expected = by_definition(x, y, k)
    found = {name: score(name, x, y, k=k) for name in NAMES}
    assert {name: result.value for name, result in found.items()} == pytest.approx(expected, rel=1e-12)
    for name in ("precision", "density"):
        low, high = found[name].low, found[name].high
        assert low is not None
        assert high is not None
        assert 0 <= low <= found[name].value <= high


def test_equal_the_authors_package() -> None:
    prdc = pytest.importorskip("prdc")
    x, y = sets(dim=12, n=200, m=150)
    theirs = prdc.compute_prdc(real_features=y, fake_features=x, nearest_k=5)
    for name in NAMES:
        assert score(name, x, y, k=5).value == pytest.approx(theirs[name], rel=1e-12)


def test_equal_torch_fidelity() -> None:
    metric_prc = pytest.importorskip("torch_fidelity.metric_prc")
    import torch

    x, y = sets(dim=12, n=200, m=150)
    theirs = metric_prc.prc_features_to_metric(torch.from_numpy(x), torch.from_numpy(y), verbose=False)
    assert score("precision", x, y).value == pytest.approx(theirs["precision"], rel=1e-6)
    assert score("recall", x, y).value == pytest.approx(theirs["recall"], rel=1e-6)


def test_identical_and_distant_sets() -> None:
    y = sets()[1]
    assert [score(name, y, y).value for name in ("precision", "recall", "coverage")] == [1, 1, 1]
    assert [score(name, y + 100, y).value for name in NAMES] == [0, 0, 0, 0]


def test_single_images_have_their_scores() -> None:
    x, y = sets()
    for name in ("precision", "density"):
        result = score(name, x, y)
        assert result.per_sample is not None
        assert result.per_sample.mean() == pytest.approx(result.value)
    assert score("recall", x, y).per_sample is None
    assert score("precision", x, y).label == "Precision (Inception, k = 3)"


def test_blocks_do_not_move_neighbours(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = sets()
    radii = squared_radii(x, 4)
    inside = inside_balls(x, radii, y)
    monkeypatch.setattr("imagen_bench.metrics.nearest._BLOCK_ENTRIES", 7 * len(y))
    np.testing.assert_allclose(squared_radii(x, 4), radii, rtol=1e-12)
    again = inside_balls(x, radii, y)
    np.testing.assert_array_equal(again.ball, inside.ball)
    np.testing.assert_array_equal(again.point, inside.point)


def test_sphere_itself_is_in_closed_balls_alone() -> None:
    centres, points = np.array([[0.0]]), np.array([[1.0], [2.0], [3.0]])
    assert inside_balls(centres, np.array([4.0]), points).per_point().tolist() == [1, 1, 0]
    assert inside_balls(centres, np.array([4.0]), points, closed=False).per_point().tolist() == [1, 0, 0]


def test_interval_of_a_cover_is_the_formula() -> None:
    # 20 points, each covered by its own ball alone, 4 more by two balls, 6 by none: B_1 = 20, B_2 = 4 over 30^2.
    ball = [*range(20), 0, 1, 2, 3, 4, 5, 6, 7]
    point = [*range(20), 20, 20, 21, 21, 22, 22, 23, 23]
    inside = Inside(np.array(ball), np.array(point), 20, 30)
    low, high = covered_interval(inside, [str(i) for i in range(20)]) or (np.nan, np.nan)
    error = np.sqrt(0.75 * 20 - 0.25 * 4) / 30
    half = scipy.stats.t.ppf(0.975, 40) * error
    assert (low, high) == pytest.approx((0.8 - half, 1.0))


def test_no_interval_where_a_handful_of_images_decides() -> None:
    inside = Inside(np.repeat(np.arange(3), 10), np.arange(30), 3, 40)
    assert covered_interval(inside, ["a", "b", "c"]) is None
    nothing = np.empty(0, dtype=np.intp)
    assert covered_interval(Inside(nothing, nothing, 5, 40), list("abcde")) is None


def test_refusals() -> None:
    x, y = sets()
    with pytest.raises(ConfigError, match="'k' is 0"):
        score("precision", x, y, k=0)
    with pytest.raises(InputError, match="precision needs at least 4 reference images, found 3"):
        score("precision", x, y[:3])
    with pytest.raises(InputError, match="recall needs at least 4 images, found 2"):
        score("recall", x[:2], y)
