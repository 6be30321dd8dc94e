"""Filled sheets of every format after mishaps: answers of the study, or told problems, and never a crash."""

from __future__ import annotations

import csv
import io
import json
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from imagen_bench.errors import ImagenBenchError
from imagen_bench.human.importers.files import read_files
from imagen_bench.human.importers.rows import Problems
from imagen_bench.human.importing import import_files

sys.path.insert(0, str(Path(__file__).parents[2] / "toys"))
from spoiling import JSON, JUNK, spoilt

often = settings(
    derandomize=True, deadline=None, max_examples=35, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
QUESTIONS = ("fidelity", "alignment")
SHEET = (
    "study_id,sheet_id,sheet_hash,item_id,rater_id,q_fidelity,q_alignment,comment,seconds\r\n"
    's,S01,h,i1,anna,left,tie,"a, b",3.5\r\ns,S01,h,i2,anna,right,,é,2\r\n'
).encode()
PAGE = json.dumps(
    {
        "study_id": "s", "sheet_id": "S01", "sheet_hash": "h", "rater_id": "anna",
        "answers": [{"item_id": "i1", "question": "fidelity", "answer": "left", "milliseconds": 1200}],
        "comments": [{"item_id": "i1", "comment": "é"}],
    }
).encode()  # fmt: skip
STUDIO = json.dumps(
    [{"data": {"item_id": "i1"}, "annotations": [{"completed_by": 3, "lead_time": 4.5, "result": [
        {"from_name": "fidelity", "type": "choices", "value": {"choices": ["left"]}}]}]}]
).encode()  # fmt: skip
TURK = (
    b'"HITId","AssignmentId","WorkerId","AssignmentStatus","SubmitTime","WorkTimeInSeconds","Input.item_id",'
    b'"Answer.q_fidelity"\n"H1","A1","W1","Approved","Mon Mar 14 09:10:11 PDT 2022","30","i1","left"\n'
)


def zipped() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a.csv", SHEET)
        archive.writestr("b.json", PAGE)
    return buffer.getvalue()


FORMATS = {"sheet.csv": SHEET, "page.json": PAGE, "studio.json": STUDIO, "turk.csv": TURK, "all.zip": zipped()}


def read(file: Path) -> Problems:
    problems = Problems()
    for found in read_files([file], QUESTIONS, problems):
        for row in found.rows:
            assert all(isinstance(answer.text, str) for answer in row.answers)
            ("".join(row.cells.values()) + "".join(answer.text for answer in row.answers)).encode("utf-8")
    for problem in problems.listed:
        assert str(problem).isprintable(), str(problem)
    return problems


@pytest.mark.parametrize("name", FORMATS)
def test_whole_files_are_read(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(FORMATS[name])
    assert read(tmp_path / name).count == 0


@pytest.mark.parametrize("name", FORMATS)
@often
@given(data=st.data())
def test_damaged_files_are_read_or_told(tmp_path: Path, name: str, data: st.DataObject) -> None:
    (tmp_path / name).write_bytes(data.draw(st.one_of(spoilt(FORMATS[name]), JUNK)))
    read(tmp_path / name)


ENTRIES = st.lists(
    st.one_of(JSON, st.dictionaries(st.sampled_from(["item_id", "question", "answer", "seconds"]), JSON))
)


@often
@given(answers=st.one_of(ENTRIES, JSON), other=JSON)
def test_any_json_is_read_or_told(tmp_path: Path, answers: Any, other: Any) -> None:
    contents = [
        {"answers": answers, "comments": other, "rater_id": other},
        [{"data": other, "annotations": answers}],
        other,
    ]
    for content in contents:
        (tmp_path / "a.json").write_text(json.dumps(content), encoding="utf-8")
        read(tmp_path / "a.json")


@settings(often, max_examples=20)
@given(data=st.data())
def test_a_damaged_sheet_changes_the_study_by_whole_answers_or_not_at_all(
    study: Path, tmp_path: Path, data: st.DataObject
) -> None:
    private = study / "private"
    for name in ("answers.csv", "raters.csv", "comments.csv"):
        (private / name).unlink(missing_ok=True)
    whole = (study / "public" / "sheet_S01.csv").read_bytes()
    (tmp_path / "filled.csv").write_bytes(data.draw(spoilt(whole.replace(b",,", b",left,"))))
    try:
        result = import_files(study, [tmp_path / "filled.csv"])
    except ImagenBenchError as error:
        said = str(error)
        assert said.isprintable()
        return
    assert all(str(problem).isprintable() for problem in result.problems)
    if result.written and (private / "answers.csv").is_file():
        items = {row["item_id"] for row in csv.DictReader((private / "key.csv").read_text("utf-8").splitlines())}
        rows = list(csv.DictReader((private / "answers.csv").read_text("utf-8").splitlines()))
        assert len(rows) == result.counts.new
        assert {row["item_id"] for row in rows} <= items
