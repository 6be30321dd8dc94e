"""Holds filled rows against the study: what is left are answers to known items in known words."""

from __future__ import annotations

import math
import unicodedata
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from imagen_bench.human.importers.key import StudyKey
from imagen_bench.human.importers.rows import FilledAnswer, FilledFile, FilledRow, Problems, quoted
from imagen_bench.human.importers.words import plain_word
from imagen_bench.suggest import did_you_mean

MAX_RATER_ID = 200
NO_RATER = "sheet:"
"""Starts the raw id that stands for whoever filled a sheet without naming a rater."""
MAX_COMMENT = 5000
_MAX_SECONDS = 10_000_000


@dataclass(frozen=True)
class Answer:
    """One answer that fits the study; `rater` is the raw id, seconds and answered_at may be empty.

    `shared` is that of `FilledAnswer`.
    """

    sheet_id: str
    item_id: str
    rater: str
    question: str
    answer: str
    seconds: str
    answered_at: str
    source: str
    place: str
    line: int
    shared: bool


@dataclass(frozen=True)
class Comment:
    """What a rater wrote about an item; `rater` is the raw id."""

    sheet_id: str
    item_id: str
    rater: str
    comment: str
    source: str
    line: int


@dataclass
class Checker:
    """Turns files into answers and comments; notes in `problems` what does not fit, in `warnings` what is odd."""

    key: StudyKey
    problems: Problems
    warnings: list[str] = field(default_factory=list)

    def check(self, file: FilledFile) -> tuple[list[Answer], list[Comment]]:
        """Return the answers and comments of a file that fit the study."""
        answers: list[Answer] = []
        comments: list[Comment] = []
        odd: Counter[str] = Counter()
        self.warnings.extend(f"{file.name}: {warning}" for warning in file.warnings)
        for row in file.rows:
            refuse = self._refuser(file, row)
            item_id = self._item(row, refuse)
            rater = self._rater(row, refuse) if item_id else ""
            if not item_id or not rater:
                continue
            for filled in row.answers:
                answer = self._answer(filled, refuse)
                if answer:
                    times = (_seconds(filled.seconds, odd), _moment(filled.answered_at, odd))
                    place = f"{file.unit} {row.line}"
                    known = (self.key.items[item_id], item_id, rater, *answer)
                    answers.append(Answer(*known, *times, file.name, place, row.line, filled.shared))
            comment = self._comment(row, refuse)
            if comment:
                comments.append(Comment(self.key.items[item_id], item_id, rater, comment, file.name, row.line))
        self.warnings.extend(f"{file.name}: {count} {what} and left blank" for what, count in sorted(odd.items()))
        return answers, comments

    def _refuser(self, file: FilledFile, row: FilledRow) -> Callable[..., None]:
        def refuse(column: str, reason: str, once: str = "") -> None:
            self.problems.add(file.name, reason, f"{file.unit} {row.line}", column, once)

        return refuse

    def _item(self, row: FilledRow, refuse: Callable[..., None]) -> str:
        """Return the row's item, or an empty text where the row belongs to no sheet of this study."""
        study_id = row.cell("study_id").casefold()
        if study_id and study_id != self.key.study_id:
            reason = f"{quoted(study_id)} is another study; expected {self.key.study_id}, so import it there"
            refuse("study_id", reason, once=study_id)
            return ""
        item_id = row.cell("item_id").casefold()
        sheet_id = self.key.items.get(item_id)
        if sheet_id is None:
            reason = f"{quoted(item_id)} is no item of this study; do not change this column" if item_id else "is blank"
            if row.answers or item_id:
                refuse("item_id", reason)
            return ""
        given = row.cell("sheet_id")
        if given and given.casefold() != sheet_id.casefold():
            refuse(
                "sheet_id", f"is {quoted(given)}, but the item stands on sheet {sheet_id}; do not mix rows of sheets"
            )
            return ""
        digest = row.cell("sheet_hash").casefold()
        if digest and digest != self.key.hashes.get(sheet_id, "").casefold():
            reason = f"{quoted(digest)} is another version of sheet {sheet_id}; have the exported one filled"
            refuse("sheet_hash", reason, once=digest)
            return ""
        return item_id

    def _rater(self, row: FilledRow, refuse: Callable[..., None]) -> str:
        rater = " ".join(unicodedata.normalize("NFC", row.cell("rater_id")).split())
        if len(rater) > MAX_RATER_ID or not rater.isprintable():
            refuse("rater_id", f"{quoted(rater)} is no id; expected at most {MAX_RATER_ID} printable characters")
            return ""
        return rater or f"{NO_RATER}{self.key.items[row.cell('item_id').casefold()]}"

    def _answer(self, filled: FilledAnswer, refuse: Callable[..., None]) -> tuple[str, str] | None:
        question = filled.question.strip()
        if question not in self.key.words:
            refuse("question", f"{quoted(question)} is not asked here; {did_you_mean(question[:60], self.key.words)}")
            return None
        value = self.key.words[question].get(plain_word(filled.text))
        if value is None:
            expected = ", ".join(self.key.values[question])
            refuse(filled.column, f"{quoted(filled.text)} is no answer; write one of {expected}, or leave it blank")
            return None
        return question, value

    def _comment(self, row: FilledRow, refuse: Callable[..., None]) -> str:
        comment = row.cell("comment").replace("\r\n", "\n").replace("\r", "\n")
        if len(comment) > MAX_COMMENT:
            refuse("comment", f"has {len(comment)} characters; expected at most {MAX_COMMENT}, so shorten it")
            return ""
        if comment and self.key.study_id in comment:
            refuse("comment", "holds other rows of the sheet; a quotation mark is not paired, so mend it")
            return ""
        return comment


def _seconds(text: str, odd: Counter[str]) -> str:
    """Return a time in seconds with at most three decimals; an impossible one is counted and left out."""
    if not text.strip():
        return ""
    try:
        seconds = float(text.strip().replace(",", "."))
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds <= _MAX_SECONDS:
        odd["times in seconds could not be read"] += 1
        return ""
    return f"{seconds:.3f}".rstrip("0").rstrip(".")


def _moment(text: str, odd: Counter[str]) -> str:
    """Return a date and time in ISO 8601, UTC; one in another form is counted and left out."""
    if not text.strip():
        return ""
    try:
        moment = datetime.fromisoformat(text.strip())
        moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        odd["dates of answers could not be read"] += 1
        return ""
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
