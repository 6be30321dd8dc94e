"""Label Studio's exports: layouts as its own converter (label-studio-sdk 2.1) writes them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from imagen_bench.errors import InputError
from imagen_bench.human.importers.label_studio import read_json_export, read_table_export
from imagen_bench.human.importers.rows import FilledFile, Problems
from imagen_bench.human.importers.tables import read_table

QUESTIONS = ["fidelity", "alignment"]
DATA = {"study_id": "s1", "sheet_id": "S01", "item_id": "i1", "sheet_hash": "ab", "prompt": 'a "cat"'}
# Columns sorted, texts quoted, numbers not; the second row is a task that nobody has annotated.
CSV = (
    '"annotation_id","annotator","comment","created_at","id","item_id","lead_time","prompt","q_alignment",'
    '"q_fidelity","sheet_hash","sheet_id","study_id","updated_at"\r\n'
    '107,"p7@example.org","=1+1","2026-11-01T10:00:00.123456Z",1,"i1",12.5,"a ""cat""","tie","left","ab","S01",'
    '"s1","2026-11-01T10:01:00.654321Z"\r\n'
    '"","","","",2,"i2","","a dog","","","ab","S01","s1",""\r\n'
)


def annotation(who: Any, **results: list[str]) -> dict[str, Any]:
    return {
        "id": 107,
        "completed_by": who,
        "was_cancelled": False,
        "created_at": "2026-11-01T10:00:00.123456Z",
        "updated_at": "2026-11-01T10:01:00.654321Z",
        "lead_time": 12.5,
        "result": [
            {"from_name": name, "to_name": "image_left", "type": "choices", "value": {"choices": value}}
            for name, value in results.items()
        ],
    }


def read_json(*annotations: dict[str, Any]) -> FilledFile:
    problems = Problems()
    file = read_json_export("e.json", [{"id": 1, "data": DATA, "annotations": list(annotations)}], QUESTIONS, problems)
    assert problems.count == 0
    return file


def seen(file: FilledFile) -> list[tuple[Any, ...]]:
    return [
        (row.cell("rater_id"), row.cell("item_id"), one.question, one.text, one.seconds, one.answered_at)
        for row in file.rows
        for one in row.answers
    ]


EXPECTED = [
    ("label-studio:p7@example.org", "i1", "fidelity", "left", "6.25", "2026-11-01T10:01:00.654321Z"),
    ("label-studio:p7@example.org", "i1", "alignment", "tie", "6.25", "2026-11-01T10:01:00.654321Z"),
]


def test_csv() -> None:
    file = read_table_export("e.csv", read_table(CSV), QUESTIONS)
    assert seen(file) == EXPECTED
    assert [row.line for row in file.rows] == [2]
    assert file.rows[0].cell("comment") == "=1+1"


def test_json_says_the_same() -> None:
    who = {"id": 7, "email": "p7@example.org"}
    assert seen(read_json(annotation(who, q_fidelity=["left"], q_alignment=["tie"]))) == EXPECTED


def test_json_min_says_the_same() -> None:
    flat = {
        **DATA,
        "id": 1,
        "q_fidelity": "left",
        "q_alignment": "tie",
        "annotator": "p7@example.org",
        "annotation_id": 107,
        "updated_at": "2026-11-01T10:01:00.654321Z",
        "lead_time": 12.5,
    }
    file = read_json_export("e.json", [flat, {**DATA, "id": 2}], QUESTIONS, Problems())
    assert seen(file) == EXPECTED


def test_cancelled_and_empty_annotations_are_passed_over() -> None:
    cancelled = {**annotation(1, q_fidelity=["left"]), "was_cancelled": True}
    assert read_json(cancelled).rows == ()
    assert seen(read_json(annotation(3))) == []
    assert seen(read_json(annotation(3, q_fidelity=["tie"])))[0][:2] == ("label-studio:3", "i1")


def test_two_choices_are_left_to_be_refused() -> None:
    assert seen(read_json(annotation(1, q_fidelity=["left", "right"])))[0][3] == '["left", "right"]'


@pytest.mark.parametrize("task", [7, None, {"data": []}, [1]])
def test_what_is_no_task_is_refused(task: Any) -> None:
    problems = Problems()
    assert read_json_export("e.json", [task], QUESTIONS, problems).rows == ()
    assert str(problems.listed[0]) == "e.json, entry 1: is no Label Studio task"


@pytest.mark.parametrize(
    "value", [None, 3, "x", [None, 3, {"value": None}, {"from_name": {}, "value": {"choices": []}}]]
)
def test_results_of_another_form_answer_nothing(value: Any) -> None:
    assert seen(read_json({**annotation(1), "result": value})) == []


def test_an_export_without_answers_is_refused() -> None:
    text = json.dumps(CSV).replace("q_", "x_")
    with pytest.raises(InputError, match="expected columns q_fidelity, q_alignment"):
        read_table_export("e.csv", read_table(json.loads(text)), QUESTIONS)
