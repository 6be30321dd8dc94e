"""The journal survives a torn last line and damaged ones."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from imagen_bench.bench.journal import Sample, append_samples, read_samples

FIRST = Sample("p1", 'a "cat"\n ☃', "animals", 0, 5, 1.0, "images/w=1/0000/p1_0.png", "00", 0.5)
SECOND = replace(FIRST, prompt_id="p2", index=1)


def test_what_was_appended_is_read_back(tmp_path: Path) -> None:
    append_samples(tmp_path, [FIRST])
    append_samples(tmp_path, [SECOND], rank=1)
    assert list(read_samples(tmp_path)) == [FIRST, SECOND]


@pytest.mark.parametrize("cut", range(1, 40, 7))
def test_torn_last_line_is_no_sample_and_is_cut_off_by_the_next_append(tmp_path: Path, cut: int) -> None:
    append_samples(tmp_path, [FIRST, SECOND])
    file = tmp_path / "0.jsonl"
    file.write_bytes(file.read_bytes()[:-cut])
    assert list(read_samples(tmp_path)) in ([FIRST], [FIRST, SECOND])
    append_samples(tmp_path, [SECOND])
    assert list(read_samples(tmp_path))[-1] == SECOND
    assert file.read_bytes().count(b"\n") == 2


@pytest.mark.parametrize(
    "line",
    [b"{", b"[]", b'{"prompt_id": 3}', b"\x00\x00\x00", b"\xff\xfe", b'{"prompt_id": "p1", "index": "0"}'],
)
def test_damaged_lines_are_passed_over(tmp_path: Path, line: bytes) -> None:
    append_samples(tmp_path, [FIRST])
    with (tmp_path / "0.jsonl").open("ab") as file:
        file.write(line + b"\n")
    append_samples(tmp_path, [SECOND])
    assert list(read_samples(tmp_path)) == [FIRST, SECOND]


def test_a_tail_longer_than_one_block_is_cut(tmp_path: Path) -> None:
    append_samples(tmp_path, [FIRST])
    with (tmp_path / "0.jsonl").open("ab") as file:
        file.write(b"x" * 200_000)
    append_samples(tmp_path, [SECOND])
    assert list(read_samples(tmp_path)) == [FIRST, SECOND]


def test_no_journal_is_empty(tmp_path: Path) -> None:
    assert list(read_samples(tmp_path / "none")) == []
