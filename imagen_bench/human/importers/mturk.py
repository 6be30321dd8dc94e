"""Reads old results of Amazon Mechanical Turk (`Batch_*_results.csv`), one row an assignment of one item.

The task's own columns come back as `Input.item_id`; an answer is either one column (`Answer.q_fidelity` =
left) or one column an option, spelt `Answer.q_fidelity.left` or `Answer.q_fidelity.left.on`, of which the
chosen one is true.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta, timezone

from imagen_bench.errors import InputError
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
from imagen_bench.human.importers.tables import Table, TableRow

MARKERS = {"hitid", "workerid"}
_ZONES = {"PST": -8, "PDT": -7, "UTC": 0, "GMT": 0}
_DATE = re.compile(r"(\w{3} \w{3} +\d+ \d\d:\d\d:\d\d) ([A-Z]{3}) (\d{4})")


def read_mturk(name: str, table: Table, questions: Sequence[str], problems: Problems) -> FilledFile:
    """Turn a batch's results into rows; rejected assignments are left out, with a warning that counts them.

    Raises:
        InputError: No column of answers.
    """
    options = {question: _options(table.columns, question) for question in questions}
    if not any(options.values()):
        expected = ", ".join(f"Answer.{PREFIX}{question}" for question in questions)
        raise InputError(f"is an MTurk batch without answers; expected columns {expected}")
    kept = [row for row in table.rows if not _is_rejected(row.cells)]
    rows = [FilledRow(row.line, _cells(row.cells), _answers(name, row, options, problems)) for row in kept]
    rejected = len(table.rows) - len(kept)
    warnings = (f"{rejected} rejected assignments were left out",) if rejected else ()
    return FilledFile(name, tuple(rows), warnings=warnings)


def _options(columns: Sequence[str], question: str) -> dict[str, str]:
    """Return the question's columns with the option that each stands for; "" for a column of whole answers."""
    pattern = re.compile(rf"answer\.(?:{PREFIX})?{re.escape(question)}(?:\.(.+?)(?:\.on)?)?")
    found = {column: pattern.fullmatch(column) for column in columns}
    return {column: match[1] or "" for column, match in found.items() if match}


def _is_rejected(cells: Mapping[str, str]) -> bool:
    status = cells.get("assignmentstatus", "").strip().casefold()
    return status == "rejected" or any(cells.get(key, "").strip() for key in ("rejectiontime", "reject"))


def _cells(cells: Mapping[str, str]) -> dict[str, str]:
    found = {column: cells.get(f"input.{column}", "").strip() for column in ID_CELLS}
    worker = cells.get("workerid", "").strip()
    comment = unescape_formula(cells.get("answer.comment", ""))
    return {**found, "rater_id": f"mturk:{worker}" if worker else "", "comment": comment}


def _answers(
    name: str, row: TableRow, options: Mapping[str, Mapping[str, str]], problems: Problems
) -> tuple[FilledAnswer, ...]:
    """Return the answers of an assignment; its time is shared out evenly over them."""
    chosen: dict[str, tuple[str, str]] = {}
    for question, columns in options.items():
        texts = {column: row.cells.get(column, "").strip() for column in columns}
        given = [(text if not columns[column] else columns[column], column) for column, text in texts.items() if text]
        given = [(word, column) for word, column in given if not columns[column] or texts[column].casefold() == "true"]
        if len(given) > 1:
            words = " and ".join(word for word, _ in given)
            problems.add(name, f"chooses {words}; expected one answer", f"line {row.line}", PREFIX + question)
        elif given:
            chosen[question] = given[0]
    seconds = share_seconds(row.cells.get("worktimeinseconds", ""), len(chosen))
    answered_at = _iso(row.cells.get("submittime", ""))
    return tuple(
        FilledAnswer(question, word, column, seconds, answered_at, shared=True)
        for question, (word, column) in chosen.items()
    )


def _iso(text: str) -> str:
    """Return MTurk's date (Mon Mar 14 09:10:11 PDT 2022) in ISO 8601; another text as it is."""
    found = _DATE.fullmatch(text.strip())
    if not found or found[2] not in _ZONES:
        return text
    try:
        moment = datetime.strptime(f"{found[1]} {found[3]}", "%a %b %d %H:%M:%S %Y")
    except ValueError:
        return text
    return moment.replace(tzinfo=timezone(timedelta(hours=_ZONES[found[2]]))).astimezone(UTC).isoformat()
