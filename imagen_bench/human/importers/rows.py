"""What a reader hands on: filled rows as they stand in a file, and the problems that were found there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from imagen_bench.files import escape_formula

MAX_LISTED = 100
ID_CELLS = ("study_id", "sheet_id", "sheet_hash", "item_id")
"""Cells that tie a row to the study."""
_MAX_QUOTED = 60


@dataclass(frozen=True)
class FilledAnswer:
    """One cell that answers a question, unchecked.

    Attributes:
        question: Its name.
        text: What stands there.
        column: Where it stands.
        seconds: Time that it took.
        answered_at: When it was given.
        shared: Whether the time is the row's, shared out over its answers, rather than this answer's own.
    """

    question: str
    text: str
    column: str
    seconds: str = ""
    answered_at: str = ""
    shared: bool = False


@dataclass(frozen=True)
class FilledRow:
    """All that one line (of a table) or entry (of a list) says about one item, unchecked."""

    line: int
    cells: Mapping[str, str]
    """study_id, sheet_id, sheet_hash, item_id, rater_id, comment; a missing one counts as blank."""
    answers: tuple[FilledAnswer, ...] = ()

    def cell(self, name: str) -> str:
        """Return a cell without the blanks around it; an empty text where there is none."""
        return self.cells.get(name, "").strip()


@dataclass(frozen=True)
class FilledFile:
    """One file as read.

    Attributes:
        name: The file's name, for messages and as the source of its answers.
        rows: Its rows, in order.
        unit: What `FilledRow.line` counts: "line" or "entry".
        warnings: What was odd about the file but does not keep it from being read.
    """

    name: str
    rows: tuple[FilledRow, ...]
    unit: str = "line"
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Problem:
    """One reason why something was refused, and where: file, line or entry, column."""

    source: str
    place: str
    column: str
    reason: str

    def __str__(self) -> str:
        where = [self.source, self.place, f"column {self.column}" if self.column else ""]
        return f"{', '.join(part for part in where if part)}: {self.reason}"


@dataclass
class Problems:
    """Collects problems; all are counted and the first `MAX_LISTED` are kept."""

    listed: list[Problem] = field(default_factory=list)
    count: int = 0
    _seen: set[tuple[str, ...]] = field(default_factory=set)

    def add(self, source: str, reason: str, place: str = "", column: str = "", once: str = "") -> None:
        """Note a problem.

        Args:
            source: The file.
            reason: What was found, what was expected, what to do.
            place: Line or entry; empty where the whole file is meant.
            column: The column, if one is to blame.
            once: With this, the same thing is noted only once a file (say, a wrong study in every row).
        """
        if once:
            if (source, column, once) in self._seen:
                return
            self._seen.add((source, column, once))
        self.count += 1
        if len(self.listed) < MAX_LISTED:
            self.listed.append(Problem(source, place, column, reason))


def quoted(text: str) -> str:
    """Return a stranger's text for a message: short, in quotes, control characters written out."""
    return repr(text if len(text) <= _MAX_QUOTED else text[:_MAX_QUOTED] + "...")


def share_seconds(text: str, count: int) -> str:
    """Return a row's time in seconds, shared out evenly over `count` answers; what is no number as it is."""
    try:
        return str(float(text.strip().replace(",", ".")) / count)
    except (ValueError, ZeroDivisionError):
        return text


def unescape_formula(text: str) -> str:
    """Take away the apostrophe that keeps a spreadsheet program from running a text as a formula."""
    return text[1:] if text.startswith("'") and escape_formula(text[1:]) == text else text
