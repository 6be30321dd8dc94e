"""The answers of a study: `private/answers.csv`, with `raters.csv` and `comments.csv` beside it.

Raters appear under pseudonyms drawn by HMAC from the study's secret; only `raters.csv` tells who they are.
Rows are kept in the order of the key, whatever the order of import, so equal answers give equal files.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from imagen_bench.errors import RunFolderError
from imagen_bench.files import escape_formula
from imagen_bench.human.blinding import Blinder
from imagen_bench.human.importers.check import NO_RATER, Answer, Comment
from imagen_bench.human.importers.key import StudyKey
from imagen_bench.human.importers.rows import Problems
from imagen_bench.human.study import StudyFolder

ANSWERS = "answers.csv"
RATERS = "raters.csv"
COMMENTS = "comments.csv"
ANSWER_COLUMNS = (
    "study_id",
    "sheet_id",
    "item_id",
    "rater",
    "question",
    "answer",
    "seconds",
    "answered_at",
    "source",
    "line",
)
RATER_COLUMNS = ("rater", "rater_id")
COMMENT_COLUMNS = ("study_id", "sheet_id", "item_id", "rater", "comment", "source", "line")
_PSEUDONYM_LENGTH = 8

Row = dict[str, str]


@dataclass
class Counts:
    """What became of the answers of an import; `completed` are known ones that now have their time."""

    new: int = 0
    unchanged: int = 0
    completed: int = 0
    replaced: int = 0

    @property
    def accepted(self) -> int:
        """Number of answers that were not refused."""
        return self.new + self.unchanged + self.completed + self.replaced


@dataclass
class AnswerStore:
    """The answers, raters and comments of a study, in memory; `save` writes those that changed."""

    study: StudyFolder
    key: StudyKey
    answers: dict[tuple[str, str, str], Row]
    raters: dict[str, Row]
    comments: dict[tuple[str, str], Row]
    counts: Counts = field(default_factory=Counts)

    def pseudonym(self, rater: str) -> str:
        """Return a rater's pseudonym and remember whose it is."""
        name = Blinder(self.study.secret).token("r_", rater, length=_PSEUDONYM_LENGTH)
        self.raters.setdefault(name, {"rater": name, "rater_id": escape_formula(rater)})
        return name

    def add(self, answer: Answer, latest: bool, problems: Problems) -> None:
        """Add an answer; one that contradicts a known one is refused, or with `latest` the later one counts."""
        rater = self.pseudonym(answer.rater)
        row = self._row(answer, rater)
        place = (answer.item_id, rater, answer.question)
        known = self.answers.get(place)
        if known is None:
            self.answers[place] = row
            self.counts.new += 1
        elif known["answer"] == row["answer"]:
            self._complete(known, row)
        elif not latest:
            problems.add(answer.source, _contradiction(answer, known), answer.place, f"q_{answer.question}")
        elif known["answered_at"] and row["answered_at"] and row["answered_at"] < known["answered_at"]:
            self.counts.unchanged += 1
        else:
            self.answers[place] = row
            self.counts.replaced += 1

    def add_comment(self, comment: Comment) -> None:
        """Add a comment; the one read last counts."""
        rater = self.pseudonym(comment.rater)
        text = escape_formula(comment.comment)
        known = self.comments.get((comment.item_id, rater))
        if known is None or known["comment"] != text:
            self.comments[(comment.item_id, rater)] = {
                "study_id": self.key.study_id,
                "sheet_id": comment.sheet_id,
                "item_id": comment.item_id,
                "rater": rater,
                "comment": text,
                "source": escape_formula(comment.source),
                "line": str(comment.line),
            }

    def save(self) -> None:
        """Write what changed, answers last; each file is replaced in one step and readable by its owner alone."""
        raters = [self.raters[name] for name in sorted(self.raters)]
        items = {item_id: number for number, item_id in enumerate(self.key.items)}
        comments = sorted(self.comments.values(), key=lambda row: (items[row["item_id"]], row["rater"]))
        questions = list(self.key.words)
        answers = sorted(
            self.answers.values(),
            key=lambda row: (items[row["item_id"]], questions.index(row["question"]), row["rater"]),
        )
        self._write(RATERS, RATER_COLUMNS, raters)
        self._write(COMMENTS, COMMENT_COLUMNS, comments)
        self._write(ANSWERS, ANSWER_COLUMNS, answers)

    def _row(self, answer: Answer, rater: str) -> Row:
        return {
            "study_id": self.key.study_id,
            "sheet_id": answer.sheet_id,
            "item_id": answer.item_id,
            "rater": rater,
            "question": answer.question,
            "answer": answer.answer,
            "seconds": answer.seconds,
            "answered_at": answer.answered_at,
            "source": escape_formula(answer.source),
            "line": str(answer.line),
        }

    def _complete(self, known: Row, row: Row) -> None:
        """Take over the time of an equal answer where it was not known yet."""
        times = {name: row[name] for name in ("seconds", "answered_at") if row[name] and not known[name]}
        known.update(times)
        if times:
            self.counts.completed += 1
        else:
            self.counts.unchanged += 1

    def _write(self, name: str, columns: Sequence[str], rows: Iterable[Mapping[str, str]]) -> None:
        buffer = io.StringIO(newline="")
        writer = csv.DictWriter(buffer, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        data = buffer.getvalue().encode("utf-8")
        file = self.study.private / name
        if not file.exists() or file.read_bytes() != data:
            self.study.write_private(name, data)


def _contradiction(answer: Answer, known: Row) -> str:
    reason = (
        f"{answer.answer!r} contradicts {known['answer']!r} by the same rater ({known['source']}:{known['line']}); "
        "remove one, or let the later count with --latest"
    )
    if answer.rater.startswith(NO_RATER):
        reason += "; sheets without rater_id count as one rater, so write who answered"
    return reason


def open_store(study: StudyFolder, key: StudyKey) -> AnswerStore:
    """Read what a study already has.

    Raises:
        RunFolderError: A file of answers is broken or belongs to another study.
    """
    answers = _read(study, ANSWERS, ANSWER_COLUMNS)
    comments = _read(study, COMMENTS, COMMENT_COLUMNS)
    for name, rows in ((ANSWERS, answers), (COMMENTS, comments)):
        for row in rows:
            if row["study_id"] != key.study_id or row["item_id"] not in key.items:
                raise RunFolderError(f"{study.private / name} holds answers of another study; move it away")
    if any(row["question"] not in key.words for row in answers):
        raise RunFolderError(f"{study.private / ANSWERS} answers questions of another study; move it away")
    return AnswerStore(
        study,
        key,
        {(row["item_id"], row["rater"], row["question"]): row for row in answers},
        {row["rater"]: row for row in _read(study, RATERS, RATER_COLUMNS)},
        {(row["item_id"], row["rater"]): row for row in comments},
    )


def _read(study: StudyFolder, name: str, columns: Sequence[str]) -> list[Row]:
    file = study.private / name
    try:
        with file.open(encoding="utf-8", newline="") as stream:
            reader = csv.DictReader(stream, strict=True)
            rows = list(reader)
            header = reader.fieldnames
    except FileNotFoundError:
        return []
    except (csv.Error, UnicodeDecodeError) as error:
        raise RunFolderError(f"{file} is broken ({error}); restore it, or remove it and import again") from error
    if tuple(header or ()) != tuple(columns) or any(None in row or None in row.values() for row in rows):
        raise RunFolderError(f"{file} has other columns than {', '.join(columns)}; remove it and import again")
    return rows
