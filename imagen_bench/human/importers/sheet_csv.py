"""Reads a filled sheet in our own CSV, whether the page or a spreadsheet program wrote it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from imagen_bench.errors import InputError
from imagen_bench.human.importers.rows import (
    ID_CELLS,
    FilledAnswer,
    FilledFile,
    FilledRow,
    Problems,
    quoted,
    share_seconds,
    unescape_formula,
)
from imagen_bench.human.importers.tables import Table, TableRow
from imagen_bench.suggest import did_you_mean

PREFIX = "q_"


def read_sheet_csv(name: str, table: Table, questions: Sequence[str], problems: Problems) -> FilledFile:
    """Turn a table with the sheet's columns into rows; columns may stand in any order, others are ignored.

    `seconds` and `answered_at` may stand once for the row or once a question (`seconds_fidelity`). A row
    without a rater id takes the file's, where the file names just one.

    Raises:
        InputError: A column of ids is missing, or there is none of answers.
    """
    if "study_id" not in table.columns:
        raise InputError("has no column study_id; give the sheet as it was exported, with all its columns")
    warnings = _check_questions(name, table, questions, problems)
    present = [question for question in questions if PREFIX + question in table.columns]
    rows = [FilledRow(row.line, _cells(row), tuple(_answers(row, present, table))) for row in table.rows]
    rows, rater_warnings = _fill_raters(name, rows, problems)
    return FilledFile(name, tuple(rows), warnings=(*warnings, *rater_warnings))


def _check_questions(name: str, table: Table, questions: Sequence[str], problems: Problems) -> list[str]:
    """Refuse columns of unknown questions and a sheet with none of ours; return warnings about missing ones."""
    for column in table.columns:
        if column.startswith(PREFIX) and column.removeprefix(PREFIX) not in questions:
            known = did_you_mean(column, [PREFIX + question for question in questions])
            problems.add(name, f"is no question of this study; {known}", column=quoted(table.titles[column]))
    missing = [PREFIX + question for question in questions if PREFIX + question not in table.columns]
    if len(missing) == len(questions):
        raise InputError(f"has no column of answers; expected {', '.join(missing)}")
    return [f"has no column {column}; its answers count as missing" for column in missing]


def _cells(row: TableRow) -> dict[str, str]:
    cells = {column: row.cells.get(column, "").strip().strip("'\"") for column in ID_CELLS}
    rater = row.cells.get("rater_id", row.cells.get("rater", ""))
    comment = row.cells.get("comment", "")
    return {**cells, "rater_id": unescape_formula(rater.strip()), "comment": unescape_formula(comment)}


def _answers(row: TableRow, questions: Iterable[str], table: Table) -> Iterable[FilledAnswer]:
    """Yield the row's answers; a time of the whole row is shared out over them."""
    given = [question for question in questions if row.cells.get(PREFIX + question, "").strip()]
    for question in given:
        own = f"seconds_{question}" in row.cells
        seconds = row.cells[f"seconds_{question}"] if own else share_seconds(row.cells.get("seconds", ""), len(given))
        answered_at = row.cells.get(f"answered_at_{question}", row.cells.get("answered_at", ""))
        column = PREFIX + question
        yield FilledAnswer(question, row.cells[column], table.titles[column], seconds, answered_at, not own)


def _fill_raters(name: str, rows: list[FilledRow], problems: Problems) -> tuple[list[FilledRow], list[str]]:
    """Give rows without a rater id the only one that the file names; refuse them where it names several."""
    raters = sorted({row.cell("rater_id") for row in rows if row.cell("rater_id")})
    blank = [row for row in rows if not row.cell("rater_id")]
    if not raters:
        return rows, []
    if len(raters) == 1:
        return [replace(row, cells={**row.cells, "rater_id": raters[0]}) for row in rows], []
    kept = rows
    if blank:
        kept = [row for row in rows if row.cell("rater_id") or not row.answers]
        for row in blank:
            if row.answers:
                reason = f"is blank, while other lines name {len(raters)} raters; write who answered"
                problems.add(name, reason, place=f"line {row.line}", column="rater_id")
    items = [row.cell("item_id") for row in rows if row.answers]
    if len(set(items)) == len(items):
        return kept, [
            f"names {len(raters)} raters but each item once; if one person filled it, a spreadsheet has counted "
            f"the rater id up ({quoted(raters[0])}, {quoted(raters[1])}, ...): correct the column rater_id"
        ]
    return kept, []
