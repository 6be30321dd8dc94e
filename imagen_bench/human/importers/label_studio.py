"""Reads Label Studio's exports of our project: CSV and TSV, JSON, and JSON-MIN.

Layouts: https://labelstud.io/guide/export.html. A table has one row an annotation: the task's data, a column
for each control, and annotator, annotation_id, created_at, updated_at, lead_time. JSON has one object a task
with its annotations, each of which lists results (from_name, value.choices).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from imagen_bench.errors import InputError
from imagen_bench.human.importers.json_text import as_text, check_length
from imagen_bench.human.importers.rows import (
    ID_CELLS,
    FilledAnswer,
    FilledFile,
    FilledRow,
    Problems,
    share_seconds,
    unescape_formula,
)
from imagen_bench.human.importers.sheet_csv import PREFIX
from imagen_bench.human.importers.tables import Table

MARKERS = {"annotator", "annotation_id"}


def read_table_export(name: str, table: Table, questions: Sequence[str]) -> FilledFile:
    """Turn a CSV or TSV export into rows; tasks that nobody has annotated are passed over.

    Raises:
        InputError: No column of answers.
    """
    if not any(PREFIX + question in table.columns for question in questions):
        expected = ", ".join(PREFIX + question for question in questions)
        raise InputError(f"is a Label Studio export without answers; expected columns {expected}")
    rows = [
        FilledRow(row.line, *_row(row.cells, questions)) for row in table.rows if row.cells.get("annotation_id", "")
    ]
    return FilledFile(name, tuple(rows))


def read_json_export(name: str, tasks: Sequence[Any], questions: Sequence[str], problems: Problems) -> FilledFile:
    """Turn a JSON or JSON-MIN export into rows, one an annotation, numbered by task.

    Cancelled annotations and tasks that nobody has annotated are passed over.

    Raises:
        InputError: Too many tasks.
    """
    check_length(tasks)
    rows: list[FilledRow] = []
    for number, task in enumerate(tasks, start=1):
        if not isinstance(task, dict) or not isinstance(task.get("data", task), dict):
            problems.add(name, "is no Label Studio task", place=f"entry {number}")
            continue
        rows.extend(FilledRow(number, *_row(cells, questions)) for cells in _annotations(task))
    return FilledFile(name, tuple(rows), "entry")


def _annotations(task: Mapping[str, Any]) -> Iterator[dict[str, str]]:
    """Yield what a row of the CSV export would hold for each annotation of a task."""
    if "annotations" not in task:
        if task.get("annotation_id") is not None:
            yield {key: _choice(value) for key, value in task.items()}
        return
    annotations = task["annotations"] if isinstance(task["annotations"], list) else []
    for annotation in annotations:
        if not isinstance(annotation, dict) or annotation.get("was_cancelled") or annotation.get("skipped"):
            continue
        cells = {key: as_text(value) for key, value in task["data"].items()}
        results = annotation.get("result") if isinstance(annotation.get("result"), list) else []
        for result in results or []:
            if isinstance(result, dict) and isinstance(result.get("value"), dict):
                value = result["value"]
                cells[as_text(result.get("from_name"))] = _choice(
                    value.get("choices", value.get("selected", value.get("text")))
                )
        for key in ("created_at", "updated_at", "lead_time"):
            cells[key] = as_text(annotation.get(key))
        cells["annotator"] = _annotator(annotation.get("completed_by"))
        yield cells


def _choice(value: Any) -> str:
    """Return a control's value; a list of one counts as its one entry."""
    return as_text(value[0] if isinstance(value, list) and len(value) == 1 else value)


def _annotator(value: Any) -> str:
    """Return who annotated: the e-mail address where it is known, else the number, as in the CSV export."""
    return as_text(value.get("email") or value.get("id")) if isinstance(value, dict) else as_text(value)


def _row(cells: Mapping[str, str], questions: Sequence[str]) -> tuple[dict[str, str], tuple[FilledAnswer, ...]]:
    """Return the cells and the answers of one annotation.

    The time of an annotation (`lead_time`, in seconds) covers all its questions and is shared out evenly.
    """
    given = [question for question in questions if cells.get(PREFIX + question, "").strip()]
    seconds = share_seconds(cells.get("lead_time", ""), len(given))
    moment = cells.get("updated_at", "")
    answers = tuple(
        FilledAnswer(question, cells[PREFIX + question], PREFIX + question, seconds, moment, shared=True)
        for question in given
    )
    found = {column: cells.get(column, "").strip() for column in ID_CELLS}
    annotator = cells.get("annotator", "").strip()
    found["rater_id"] = f"label-studio:{annotator}" if annotator else ""
    found["comment"] = unescape_formula(cells.get("comment", ""))
    return found, answers
