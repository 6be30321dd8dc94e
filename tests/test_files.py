"""Atomic writes leave the old file or the new one; digests agree with published test vectors."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagen_bench.files import (
    atomic_path,
    atomic_write_bytes,
    atomic_write_text,
    digest_json,
    sha256_bytes,
    sha256_file,
)

# FIPS 180-4 example: SHA-256 of "abc".
ABC = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_write_makes_parents_and_leaves_no_temporary(tmp_path: Path) -> None:
    target = tmp_path / "a" / "b.txt"
    atomic_write_text(target, "é\r\n")
    assert target.read_bytes() == b"\xc3\xa9\r\n"
    assert [entry.name for entry in target.parent.iterdir()] == ["b.txt"]


def test_failure_keeps_the_old_file(tmp_path: Path) -> None:
    target = tmp_path / "f.bin"
    atomic_write_bytes(target, b"old")

    def fail_halfway() -> None:
        with atomic_path(target) as temporary:
            temporary.write_bytes(b"half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_halfway()
    assert target.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [target]


def test_temporary_lies_in_the_same_folder_and_keeps_the_suffix(tmp_path: Path) -> None:
    with atomic_path(tmp_path / "x.parquet") as temporary:
        assert temporary.parent == tmp_path
        assert temporary.suffix == ".parquet"
        temporary.touch()


def test_body_that_writes_nothing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), atomic_path(tmp_path / "x"):
        pass


def test_sha256_matches_the_standard(tmp_path: Path) -> None:
    (tmp_path / "abc").write_bytes(b"abc")
    assert sha256_bytes(b"abc") == sha256_file(tmp_path / "abc") == ABC


def test_digest_json_is_over_canonical_utf8() -> None:
    assert digest_json({"b": (1, 2), "a": "é"}) == sha256_bytes('{"a":"é","b":[1,2]}'.encode())


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_digest_json_refuses_what_json_cannot_hold(value: float) -> None:
    with pytest.raises(ValueError, match="JSON"):
        digest_json([value])


@given(st.dictionaries(st.text(), st.integers() | st.text() | st.none()))
def test_digest_json_ignores_the_order_of_keys(data: dict[str, object]) -> None:
    assert digest_json(data) == digest_json(dict(reversed(data.items())))
