"""Features are extracted once, and never served for other images or from a damaged file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from imagen_bench.bench.feature_cache import Features, cached_features, extractor_folder


class Counted:
    def __init__(self) -> None:
        self.calls = 0

    def __call__(self) -> Features:
        self.calls += 1
        return np.arange(6, dtype=np.float32).reshape(2, 3) + self.calls


def test_second_request_is_served_from_the_file(tmp_path: Path) -> None:
    extract = Counted()
    first = cached_features(tmp_path / "f.safetensors", "x", ["a", "b"], extract)
    second = cached_features(tmp_path / "f.safetensors", "x", ["a", "b"], extract)
    assert extract.calls == 1
    assert np.array_equal(first, second)


@pytest.mark.parametrize(("extractor", "sources"), [("y", ["a", "b"]), ("x", ["b", "a"]), ("x", ["a", "c"])])
def test_stale_features_are_never_served(tmp_path: Path, extractor: str, sources: list[str]) -> None:
    extract = Counted()
    cached_features(tmp_path / "f.safetensors", "x", ["a", "b"], extract)
    features = cached_features(tmp_path / "f.safetensors", extractor, sources, extract)
    assert extract.calls == 2
    assert features[0, 0] == 2


@pytest.mark.parametrize("keep", [0, 4, 60, -1])
def test_torn_file_is_replaced(tmp_path: Path, keep: int) -> None:
    file = tmp_path / "f.safetensors"
    extract = Counted()
    cached_features(file, "x", ["a", "b"], extract)
    file.write_bytes(file.read_bytes()[:keep])
    assert cached_features(file, "x", ["a", "b"], extract)[0, 0] == 2


def test_folder_name_is_plain_and_tells_extractors_apart() -> None:
    one, other = extractor_folder("ViT-B-32/openai", "id1"), extractor_folder("ViT-B-32/openai", "id2")
    assert one.startswith("ViT-B-32-openai-")
    assert one != other
    assert "/" not in one
    assert extractor_folder("..", "id").startswith("extractor-")
