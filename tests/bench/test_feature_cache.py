"""Features are extracted once, and never served for other images or from a damaged file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from imagen_bench.bench.feature_cache import FeatureFile, Features, cached_features, extractor_folder
from imagen_bench.errors import RunFolderError


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


def test_a_feature_file_is_written_and_read_in_parts(tmp_path: Path) -> None:
    rows = np.arange(30, dtype=np.float32).reshape(10, 3)
    file = FeatureFile(tmp_path / "w.safetensors", "x", list("abcdefghij"))
    assert not file.is_there()
    with file.writing(3) as write:
        for start in range(0, 10, 4):
            write(rows[start : start + 4])
    assert file.is_there()
    np.testing.assert_array_equal(np.concatenate([file.read(0, 7), file.read(7, 10)]), rows)
    again = cached_features(tmp_path / "w.safetensors", "x", list("abcdefghij"), lambda: np.zeros((0, 3), np.float32))
    np.testing.assert_array_equal(again, rows)
    assert not FeatureFile(tmp_path / "w.safetensors", "y", list("abcdefghij")).is_there()
    assert not FeatureFile(tmp_path / "w.safetensors", "x", list("bacdefghij")).is_there()
    whole = (tmp_path / "w.safetensors").read_bytes()
    (tmp_path / "w.safetensors").write_bytes(whole[:-4])
    assert not file.is_there()


def test_a_feature_file_with_other_rows_never_appears(tmp_path: Path) -> None:
    file = FeatureFile(tmp_path / "w.safetensors", "x", ["a", "b"])
    with pytest.raises(RunFolderError, match="got other rows than its 2 images"), file.writing(3) as write:
        write(np.zeros((1, 3), np.float32))
    assert list(tmp_path.iterdir()) == []


def test_features_of_which_a_byte_changed_are_never_served(tmp_path: Path) -> None:
    file = FeatureFile(tmp_path / "w.safetensors", "x", ["a", "b"])
    with file.writing(3) as write:
        write(np.ones((2, 3), np.float32))
    assert file.is_there()
    text = tmp_path / "text.safetensors"
    cached_features(text, "x", ["a", "b"], Counted())
    for path in (tmp_path / "w.safetensors", text):
        data = path.read_bytes()
        path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    assert not file.is_there()
    extract = Counted()
    cached_features(text, "x", ["a", "b"], extract)
    assert extract.calls == 1
