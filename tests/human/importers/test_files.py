"""Files of every format, zip files, and what only looks like a filled sheet."""

from __future__ import annotations

import os
import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from imagen_bench.human.importers import files
from imagen_bench.human.importers.files import read_files
from imagen_bench.human.importers.rows import FilledFile, Problems

QUESTIONS = ["fidelity"]
SHEET = b"study_id,item_id,q_fidelity\r\ns1,i1,left\r\n"
JSON = b'{"study_id": "s1", "answers": [{"item_id": "i1", "question": "fidelity", "answer": "left"}]}'


def read(*paths: Path) -> tuple[list[FilledFile], list[str]]:
    problems = Problems()
    found = list(read_files(paths, QUESTIONS, problems))
    return found, [str(problem) for problem in problems.listed]


def zipped(path: Path, members: Mapping[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


@pytest.mark.parametrize(
    ("data", "rows"),
    [
        (SHEET, 1),
        (SHEET.replace(b",", b"\t"), 1),
        (JSON, 1),
        (b"\xef\xbb\xbf\n " + JSON, 1),
        (b'[{"data": {"item_id": "i1"}, "annotations": []}]', 0),
        (b"item_id,annotator,annotation_id,q_fidelity\ni1,a@b,5,left\n", 1),
        (b"HITId,WorkerId,Input.item_id,Answer.fidelity\nH,W,i1,left\n", 1),
    ],
)
def test_the_content_tells_the_format_whatever_the_name(data: bytes, rows: int, tmp_path: Path) -> None:
    path = tmp_path / "answers (1).txt"
    path.write_bytes(data)
    (found,), problems = read(path)
    assert problems == []
    assert len(found.rows) == rows
    assert (found.warnings == ()) == bool(rows)


def test_a_zip_gives_its_sheets_and_passes_over_the_rest(tmp_path: Path) -> None:
    members = {
        "sheet_S01/sheet_S01.csv": SHEET,
        "sheet_S01/answers.JSON": JSON,
        "sheet_S01/images/x.png": b"\x89PNG",
        "sheet_S01/README.txt": b"hello",
        "__MACOSX/sheet_S01/._sheet_S01.csv": b"\0\5\x16\7",
        "sheet_S01/.hidden.csv": b"\0",
        "../../etc/passwd.csv": SHEET,
        "C:\\windows\\evil.csv": SHEET,
    }
    before = sorted(tmp_path.rglob("*"))
    path = zipped(tmp_path / "back.zip", members)
    found, problems = read(path)
    assert problems == []
    assert [one.name for one in found] == [
        "back.zip/sheet_S01.csv",
        "back.zip/answers.JSON",
        "back.zip/passwd.csv",
        "back.zip/evil.csv",
    ]
    assert sorted(tmp_path.rglob("*")) == sorted([*before, path])


def test_a_zip_bomb_is_refused_before_it_is_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MAX_BYTES", 2**20)
    path = zipped(tmp_path / "bomb.zip", {"a.csv": SHEET, "b.csv": b"0" * 2**22})
    found, problems = read(path)
    assert len(found) == 1
    assert problems == ["bomb.zip: holds more than 1 MiB of sheets; give fewer at once"]


def test_a_size_that_lies_in_the_zip_does_no_harm(tmp_path: Path) -> None:
    path = zipped(tmp_path / "liar.zip", {"a.csv": b"0" * 100_000})
    data = path.read_bytes()
    path.write_bytes(data.replace(struct.pack("<I", 100_000), struct.pack("<I", 10)))
    assert len(read(path)[1]) == 1


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ({"[Content_Types].xml": b"<x/>", "xl/workbook.xml": b"<x/>"}, "is a workbook (.xlsx); save it as CSV"),
        ({"mimetype": b"application/vnd.oasis", "content.xml": b"<x/>"}, "is a workbook (.ods); save it as CSV"),
        ({"a.png": b"x"}, "holds no .csv, .tsv or .json file"),
        ({f"{number}.csv": b"" for number in range(2001)}, "holds more than 2000 files"),
    ],
    ids=["xlsx", "ods", "no sheet", "many files"],
)
def test_zips_of_other_things_are_refused(members: dict[str, bytes], reason: str, tmp_path: Path) -> None:
    found, (problem,) = read(zipped(tmp_path / "x.zip", members))
    assert found == []
    assert reason in problem


def test_broken_zips_are_refused(tmp_path: Path) -> None:
    whole = zipped(tmp_path / "whole.zip", {"a.csv": SHEET * 50}).read_bytes()
    broken = bytearray(whole)
    broken[60] ^= 0xFF
    locked = bytearray(whole)
    locked[6] |= 1
    locked[whole.rindex(b"PK\x01\x02") + 8] |= 1
    for data in (whole[:-30], broken, locked):
        path = tmp_path / "broken.zip"
        path.write_bytes(data)
        found, (problem,) = read(path)
        assert found == []
        assert problem.startswith("broken.zip: is a zip file that cannot be read (")


def test_what_is_no_sheet_is_a_problem_and_the_others_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MAX_BYTES", 1000)
    contents = {
        "old.xls": b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
        "empty.csv": b" \r\n",
        "large.csv": b"x" * 1001,
        "binary.csv": bytes(range(256)) * 3,
        "good.csv": SHEET,
    }
    for name, data in contents.items():
        (tmp_path / name).write_bytes(data)
    found, problems = read(*(tmp_path / name for name in [*contents, "missing.csv"]), tmp_path)
    assert [one.name for one in found] == ["good.csv"]
    assert [problem.partition(":")[0] for problem in problems] == [
        "old.xls",
        "empty.csv",
        "large.csv",
        "binary.csv",
        "missing.csv",
        tmp_path.name,
    ]


def test_rows_with_too_many_cells_are_refused_in_every_table(tmp_path: Path) -> None:
    path = tmp_path / "s.csv"
    path.write_bytes(SHEET + b"s1,i2,left,oops\r\n")
    (found,), (problem,) = read(path)
    assert len(found.rows) == 1
    assert problem == "s.csv, line 3: has more cells than the header ('oops'); mend its separators or quotes"


def test_a_name_that_a_terminal_would_obey_is_shown_plain(tmp_path: Path) -> None:
    path = tmp_path / "a\x1b[31m\nb.csv"
    path.write_bytes(b"x")
    assert read(path)[1][0].startswith("a?[31m?b.csv: has no column item_id")
    odd = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.csv"))
    odd.write_bytes(b"x")
    assert read(odd)[1][0].encode("utf-8")
