from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from imagen_bench.errors import InputError, ProtocolError
from imagen_bench.metrics.extractors import open_extractor
from imagen_bench.metrics.statistics import (
    GaussianStatistics,
    RunningMoments,
    features_to_statistics,
    load_statistics,
    save_statistics,
)


@pytest.fixture
def statistics() -> GaussianStatistics:
    rng = np.random.default_rng(0)
    features = rng.normal(size=(50, 6))
    return GaussianStatistics(features.mean(0), np.cov(features, rowvar=False), 50, "an-extractor", "ab" * 32, "dogs")


def test_chunks_and_merge_order_equal_numpy() -> None:
    features = np.random.default_rng(1).normal(size=(101, 7)).astype(np.float32) + 3
    parts = np.split(features, [1, 20, 60])
    for order in ([0, 1, 2, 3], [3, 1, 0, 2]):
        total = RunningMoments(7)
        for index in order:
            part = RunningMoments(7)
            part.update(parts[index])
            total.merge(part)
        wide = features.astype(np.float64)
        assert total.n == 101
        np.testing.assert_allclose(total.mean, wide.mean(axis=0), rtol=1e-13)
        np.testing.assert_allclose(total.covariance, np.cov(wide, rowvar=False), rtol=0, atol=1e-12)


def test_covariance_is_symmetric_and_layouts_do_not_matter() -> None:
    features = np.random.default_rng(4).normal(size=(60, 33))
    wide = np.zeros((60, 40))
    wide[:, 3:36] = features
    found = []
    for given in (features, np.asfortranarray(features), wide[:, 3:36], features.tolist()):
        moments = RunningMoments(33)
        moments.update(given)
        moments.update(np.empty((0, 33)))
        found.append(moments.covariance)
    np.testing.assert_allclose(found[0], np.cov(features, rowvar=False), rtol=0, atol=1e-13)
    for other in found:
        np.testing.assert_array_equal(other, other.T)
        np.testing.assert_array_equal(other, found[0])


def test_parts_stay_as_they_were() -> None:
    features = np.random.default_rng(5).normal(size=(40, 6))
    one, two = RunningMoments(6), RunningMoments(6)
    one.update(features[:20])
    two.update(features[20:])
    before = one.covariance, two.covariance
    one.without(features[:5])
    total = RunningMoments(6)
    total.merge(one)
    total.merge(two)
    total.update(features)
    np.testing.assert_array_equal(one.covariance, before[0])
    np.testing.assert_array_equal(two.covariance, before[1])


def test_without_is_the_rest() -> None:
    features = np.random.default_rng(2).normal(size=(40, 5))
    all_of_them, rest = RunningMoments(5), RunningMoments(5)
    all_of_them.update(features)
    rest.update(features[7:])
    left = all_of_them.without(features[:7])
    assert left.n == 33
    np.testing.assert_allclose(left.mean, rest.mean, atol=1e-14)
    np.testing.assert_allclose(left.covariance, rest.covariance, atol=1e-13)


def test_sums_are_float64_however_many_batches() -> None:
    moments = RunningMoments(1)
    for _ in range(2000):
        moments.update(np.full((1, 1), 0.1, dtype=np.float32))
    assert moments.sum.dtype == np.float64
    assert moments.mean[0] == pytest.approx(float(np.float32(0.1)), rel=1e-12)


def test_round_trip(statistics: GaussianStatistics, tmp_path: Path) -> None:
    file = tmp_path / "deep" / "dogs.safetensors"
    save_statistics(file, statistics)
    loaded = load_statistics(file, "an-extractor")
    np.testing.assert_array_equal(loaded.mean, statistics.mean)
    np.testing.assert_array_equal(loaded.covariance, statistics.covariance)
    assert (loaded.n, loaded.extractor_id, loaded.digest, loaded.name) == (
        50,
        "an-extractor",
        "ab" * 32,
        "dogs",
    )
    first = file.read_bytes()
    save_statistics(file, loaded)
    assert file.read_bytes() == first


def test_statistics_of_another_extractor_are_refused(statistics: GaussianStatistics, tmp_path: Path) -> None:
    save_statistics(tmp_path / "s.safetensors", statistics)
    with pytest.raises(ProtocolError, match="made with extractor an-extractor, but this run uses another"):
        load_statistics(tmp_path / "s.safetensors", "another")


GOOD = {"schema": 1, "n": 9, "extractor": "e", "digest": "d", "name": "x"}
KEY = "imagen_bench_statistics"


def said(**changes: object) -> dict[str, str]:
    return {KEY: json.dumps({**GOOD, **changes})}


@pytest.mark.parametrize(
    ("mean", "covariance", "metadata", "message"),
    [
        (np.zeros(3), np.eye(3), {}, "schema None"),
        (np.zeros(3), np.eye(3), {KEY: "{"}, "schema None"),
        (np.zeros(3), np.eye(3), {KEY: "[1]"}, "schema None"),
        (np.zeros(3), np.eye(3), said(schema=2), "schema 2, expected 1"),
        (np.zeros(3), np.eye(3), said(digest=None), "digest = None, expected str"),
        (np.zeros(3), np.eye(3), said(n="9"), "n = '9', expected int"),
        (np.zeros(3), np.eye(3), said(n=1), "n = 1, expected at least 2, or 0"),
        (np.zeros(3), np.eye(4), said(), "expected float64 D and D x D"),
        (np.zeros(3, np.float32), np.eye(3), said(), "expected float64"),
        (np.zeros(3), np.eye(3) * np.nan, said(), "NaN"),
        (np.zeros(2), np.array([[1.0, 0.5], [0.0, 1.0]]), said(), "no covariance"),
        (np.zeros(2), np.diag([1.0, -1.0]), said(), "no covariance"),
    ],
)
def test_bad_files_are_told_apart(
    mean: np.ndarray, covariance: np.ndarray, metadata: dict[str, str], message: str, tmp_path: Path
) -> None:
    file = tmp_path / "bad.safetensors"
    save_file({"mean": mean, "covariance": covariance}, file, metadata=metadata or None)
    with pytest.raises(InputError, match=message):
        load_statistics(file)


def test_missing_and_damaged_files(statistics: GaussianStatistics, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no statistics file"):
        load_statistics(tmp_path / "none.safetensors")
    file = tmp_path / "s.safetensors"
    save_statistics(file, statistics)
    file.write_bytes(file.read_bytes()[:-40])
    with pytest.raises(InputError, match="or damaged"):
        load_statistics(file)
    with pytest.raises(InputError):
        load_statistics(tmp_path)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("save", [np.savez, np.savez_compressed], ids=["pytorch-fid", "clean-fid"])
def test_npz_of_other_libraries(
    statistics: GaussianStatistics, tmp_path: Path, dtype: type, save: Callable[..., None]
) -> None:
    file = tmp_path / "coco.npz"
    save(file, mu=statistics.mean.astype(dtype), sigma=statistics.covariance.astype(dtype))
    loaded = load_statistics(file, "any-extractor", dim=6)
    np.testing.assert_allclose(loaded.mean, statistics.mean, rtol=1e-6)
    np.testing.assert_allclose(loaded.covariance, statistics.covariance, atol=1e-6)
    assert loaded.covariance.dtype == np.float64
    assert (loaded.n, loaded.name) == (0, "coco")
    assert loaded.extractor_id == "npz, extractor assumed from the metric"
    assert loaded.digest == hashlib.sha256(file.read_bytes()).hexdigest()
    save_statistics(tmp_path / "own.safetensors", loaded)
    assert load_statistics(tmp_path / "own.safetensors").n == 0


def test_other_dimensions_are_refused(statistics: GaussianStatistics, tmp_path: Path) -> None:
    save_statistics(tmp_path / "s.safetensors", statistics)
    with pytest.raises(InputError, match="holds moments of 6 dimensions, expected 2048"):
        load_statistics(tmp_path / "s.safetensors", dim=2048)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"mu": np.zeros(3)}, r"holds arrays \['mu'\]: expected mu and sigma"),
        ({"mu": np.zeros(3), "sigma": np.eye(4)}, "expected float64 D and D x D"),
        ({"mu": np.zeros(3), "sigma": np.zeros(())}, "expected float64 D and D x D"),
        ({"mu": np.zeros(3, int), "sigma": np.eye(3)}, "mu int64"),
        ({"mu": np.zeros(3), "sigma": np.full((3, 3), np.nan)}, "NaN"),
        ({"mu": np.zeros(2), "sigma": np.array([[1.0, 0.5], [0.0, 1.0]])}, "no covariance"),
        ({"mu": np.array([Path()]), "sigma": np.eye(1)}, "plain arrays"),
    ],
)
def test_bad_npz_files(arrays: dict[str, np.ndarray], message: str, tmp_path: Path) -> None:
    np.savez(tmp_path / "bad.npz", **arrays)
    with pytest.raises(InputError, match=message):
        load_statistics(tmp_path / "bad.npz")


def test_missing_and_damaged_npz(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no statistics file"):
        load_statistics(tmp_path / "none.npz")
    (tmp_path / "text.npz").write_text("not a zip")
    np.savez(tmp_path / "cut.npz", mu=np.zeros(300), sigma=np.eye(300))
    (tmp_path / "cut.npz").write_bytes((tmp_path / "cut.npz").read_bytes()[:-400])
    np.save(tmp_path / "array.npy", np.eye(2))
    (tmp_path / "array.npy").rename(tmp_path / "array.npz")
    for name in ("text", "cut", "array"):
        with pytest.raises(InputError, match="or damaged"):
            load_statistics(tmp_path / f"{name}.npz")


def test_features_of_a_stream(clip_folder: Path) -> None:
    extractor = open_extractor(str(clip_folder), "cpu")
    images = torch.randint(0, 256, (10, 3, 32, 32), dtype=torch.uint8)
    statistics = features_to_statistics([images[:4], list(images[4:])], extractor, "d" * 64, "noise")
    features = extractor.image_features(images).numpy().astype(np.float64)
    np.testing.assert_allclose(statistics.mean, features.mean(axis=0), atol=1e-6)
    np.testing.assert_allclose(statistics.covariance, np.cov(features, rowvar=False), atol=1e-6)
    assert (statistics.n, statistics.dim, statistics.extractor_id) == (10, 16, extractor.id)
