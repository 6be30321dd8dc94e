"""The zip of a sheet: bytes that depend on names and contents alone."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

from imagen_bench.human.bundle import rater_readme, write_zip
from imagen_bench.human.questions import load_questions


def test_zips_are_equal_whatever_the_files_times_and_the_order(tmp_path: Path) -> None:
    files = {}
    for name in ("b.csv", "images/a.png"):
        files[name] = tmp_path / name.replace("/", "-")
        files[name].write_bytes(name.encode() * 50)
    write_zip(tmp_path / "one.zip", "sheet", files)
    os.utime(files["b.csv"], (0, 0))
    write_zip(tmp_path / "two.zip", "sheet", dict(reversed(files.items())))
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()
    with zipfile.ZipFile(tmp_path / "one.zip") as archive:
        assert archive.testzip() is None
        assert archive.namelist() == ["sheet/b.csv", "sheet/images/a.png"]
        assert archive.read("sheet/b.csv") == b"b.csv" * 50


def test_the_note_names_columns_questions_and_words() -> None:
    note = rater_readme(load_questions())
    for word in (
        "q_fidelity",
        "q_alignment",
        "Which set of images is of higher quality?",
        "left:",
        "tie:",
        "unable:",
    ):
        assert word in note
    assert note.count("\n") == note.count("\r\n")
