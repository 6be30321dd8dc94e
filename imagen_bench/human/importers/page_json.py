"""Reads the JSON file that the rater page writes: all of the sheet, with the time that each answer took."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from typing import Any

from imagen_bench.errors import InputError
from imagen_bench.human.importers.json_text import as_text, check_length
from imagen_bench.human.importers.rows import FilledAnswer, FilledFile, FilledRow, Problems

_CHECKSUM = re.compile(r',\s*"sha256"\s*:\s*"([0-9a-f]{64})"\s*\}\s*\Z')


def read_page_json(name: str, text: str, record: Mapping[str, Any], problems: Problems) -> FilledFile:
    """Turn a page's record into rows, one an answer and one a comment.

    Raises:
        InputError: The record has no list of answers, or one too long.
    """
    answers, comments = record.get("answers"), record.get("comments", [])
    if not isinstance(answers, list) or not isinstance(comments, list):
        raise InputError("is JSON without a list 'answers'; give the file that the rater page downloads")
    check_length(answers)
    check_length(comments)
    common = {key: as_text(record.get(key)) for key in ("study_id", "sheet_id", "sheet_hash", "rater_id")}
    rows: list[FilledRow] = []
    for number, entry in _objects(name, "answers", answers, problems):
        rows.append(FilledRow(number, {**common, "item_id": as_text(entry.get("item_id"))}, (_answer(entry),)))
    for number, entry in _objects(name, "comments", comments, problems):
        cells = {"item_id": as_text(entry.get("item_id")), "comment": as_text(entry.get("comment"))}
        rows.append(FilledRow(number, {**common, **cells}))
    return FilledFile(name, tuple(rows), "entry", _checksum_warning(text))


def _objects(name: str, key: str, entries: list[Any], problems: Problems) -> Iterator[tuple[int, Mapping[str, Any]]]:
    for number, entry in enumerate(entries, start=1):
        if isinstance(entry, dict):
            yield number, entry
        else:
            problems.add(name, f"is no object with item_id in '{key}'", place=f"entry {number}")


def _answer(entry: Mapping[str, Any]) -> FilledAnswer:
    seconds = entry.get("seconds")
    if seconds is None and isinstance(entry.get("milliseconds"), int):
        seconds = entry["milliseconds"] / 1000
    return FilledAnswer(
        as_text(entry.get("question")),
        as_text(entry.get("answer")),
        "answer",
        as_text(seconds),
        as_text(entry.get("answered_at")),
    )


def _checksum_warning(text: str) -> tuple[str, ...]:
    """Compare the checksum, which stands last, with the text before it, as the page computed it."""
    found = _CHECKSUM.search(text)
    if not found:
        return ()
    body = text[: found.start()].lstrip() + "}"
    if hashlib.sha256(body.encode("utf-8")).hexdigest() == found[1]:
        return ()
    return ("was changed after its download: its checksum does not fit; ask the rater for the file as it was",)
