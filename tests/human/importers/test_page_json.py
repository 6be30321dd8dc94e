"""The page's JSON, whole, edited, and hostile."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest

from imagen_bench.errors import InputError
from imagen_bench.human.importers import json_text
from imagen_bench.human.importers.json_text import as_text, parse_json
from imagen_bench.human.importers.page_json import read_page_json
from imagen_bench.human.importers.rows import FilledFile, Problems

RECORD = {
    "schema": 1,
    "study_id": "s1",
    "sheet_id": "S01",
    "sheet_hash": "ab",
    "rater_id": "Zoë",
    "answers": [
        {
            "item_id": "i1",
            "question": "fidelity",
            "answer": "left",
            "seconds": 4.25,
            "answered_at": "2026-11-01T10:00:00.5Z",
        },
        {"item_id": "i1", "question": "alignment", "answer": "tie", "milliseconds": 1500, "answered_at": "x"},
    ],
    "comments": [{"item_id": "i1", "comment": "<script>"}],
}


def page_text(record: dict[str, Any]) -> str:
    """Write a record as the page does: JSON.stringify, with the digest of itself as its last entry."""
    body = json.dumps(record, ensure_ascii=False, separators=(",", ":"))
    digest = hashlib.sha256(body.encode("utf-8")).hexdigest()
    return f'{body[:-1]},"sha256":"{digest}"}}\n'


def read(text: str) -> tuple[FilledFile, Problems]:
    problems = Problems()
    return read_page_json("a.json", text, json.loads(text), problems), problems


def test_answers_and_comments() -> None:
    file, problems = read(page_text(RECORD))
    assert (problems.count, file.warnings, file.unit) == (0, (), "entry")
    assert [row.line for row in file.rows] == [1, 2, 1]
    assert [(one.question, one.text, one.seconds) for row in file.rows for one in row.answers] == [
        ("fidelity", "left", "4.25"),
        ("alignment", "tie", "1.5"),
    ]
    assert file.rows[0].cell("rater_id") == "Zoë"
    assert file.rows[2].cell("comment") == "<script>"


def test_a_changed_file_is_told_and_one_without_checksum_is_not() -> None:
    file, _ = read(page_text(RECORD).replace('"left"', '"right"'))
    assert "was changed after its download" in file.warnings[0]
    assert read(json.dumps(RECORD, indent=2))[0].warnings == ()


def test_entries_that_are_none_are_refused_one_by_one() -> None:
    file, problems = read(json.dumps({**RECORD, "answers": [7, *RECORD["answers"], None], "comments": ["x"]}))
    assert [str(problem) for problem in problems.listed] == [
        "a.json, entry 1: is no object with item_id in 'answers'",
        "a.json, entry 4: is no object with item_id in 'answers'",
        "a.json, entry 1: is no object with item_id in 'comments'",
    ]
    assert [row.line for row in file.rows] == [2, 3]


@pytest.mark.parametrize("record", [{}, {"answers": {}}, {"answers": [], "comments": "x"}])
def test_json_of_another_form_is_refused(record: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="without a list 'answers'"):
        read(json.dumps(record))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[" * 200_000, "nested too deeply|no complete JSON"),
        ('{"answers": [' * 100_000, "nested too deeply|no complete JSON"),
        ('{"answers": [', "no complete JSON"),
        ('{"a": ' + "9" * 10_000 + "}", "no complete JSON"),
    ],
    ids=["deep list", "deep object", "cut short", "huge number"],
)
def test_hostile_json_is_an_error_in_one_line(text: str, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        parse_json(text)


def test_values_of_any_kind_become_text() -> None:
    values = ["x", None, 1.5, True, ["a"], {"b": 1}, "\ud83d", "a\0b"]
    assert [as_text(value) for value in values] == ["x", "", "1.5", "true", '["a"]', '{"b": 1}', "?", "ab"]


def test_entries_are_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_text, "MAX_ROWS", 1)
    with pytest.raises(InputError, match="more than 1 entries"):
        read(json.dumps(RECORD))
