from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from imagen_bench.errors import ModelError
from imagen_bench.imagen.text_cache import TextCache


def cache(folder, fingerprint="a", length=16, dtype=torch.float32):
    return TextCache(folder, fingerprint, length, dtype)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_what_is_stored_comes_back_bit_for_bit(tmp_path, dtype):
    tokens = torch.randn(5, 4).to(dtype)
    cache(tmp_path, dtype=dtype).put("a red apple", tokens)
    found = cache(tmp_path, dtype=dtype).get("a red apple")
    assert found.dtype == dtype
    assert torch.equal(found, tokens)


def test_anything_that_changes_an_embedding_changes_its_place(tmp_path):
    cache(tmp_path).put("a", torch.ones(1, 2))
    others = [cache(tmp_path, "b"), cache(tmp_path, length=8), cache(tmp_path, dtype=torch.float16)]
    assert all(other.get("a") is None for other in others)
    assert cache(tmp_path).get("A") is None
    assert cache(tmp_path).get("a") is not None


def damage_end(data):
    return data[:-1] + bytes([data[-1] ^ 1])


@pytest.mark.parametrize(
    "damage", [damage_end, lambda data: data[:-3], lambda data: data[:20], lambda data: b"", lambda data: b"x" * 99]
)
def test_a_damaged_file_is_never_a_hit_and_is_written_anew(tmp_path, damage):
    store, tokens = cache(tmp_path), torch.randn(3, 4)
    store.put("a", tokens)
    store.path("a").write_bytes(damage(store.path("a").read_bytes()))
    assert store.get("a") is None
    store.put("a", tokens)
    assert torch.equal(store.get("a"), tokens)


def test_the_file_of_another_text_is_never_a_hit(tmp_path):
    store = cache(tmp_path)
    store.put("a", torch.randn(3, 4))
    store.path("b").parent.mkdir(exist_ok=True)
    store.path("b").write_bytes(store.path("a").read_bytes())
    assert store.get("b") is None


def test_many_writers_of_one_text_leave_one_whole_file(tmp_path):
    store, tokens = cache(tmp_path), torch.randn(40, 30)

    def write_and_read(_):
        store.put("a", tokens)
        return store.get("a")

    with ThreadPoolExecutor(8) as pool:
        assert all(torch.equal(found, tokens) for found in pool.map(write_and_read, range(40)))
    assert [path.name for path in store.path("a").parent.iterdir()] == [store.path("a").name]


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ModelError, match="cannot be written") as caught:
        cache(tmp_path / "file").put("a", torch.ones(1, 1))
    assert "\n" not in str(caught.value)
