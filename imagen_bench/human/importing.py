"""Imports filled sheets into a study: read, check, merge with what is there, write in one step."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from imagen_bench.bench.lock import locked
from imagen_bench.human.importers.check import Answer, Checker
from imagen_bench.human.importers.files import read_files
from imagen_bench.human.importers.key import read_key
from imagen_bench.human.importers.rows import Problem, Problems
from imagen_bench.human.importers.store import AnswerStore, Counts, open_store
from imagen_bench.human.study import open_study


@dataclass(frozen=True)
class RatedSheet:
    """How much of a sheet one rater (by pseudonym) has answered, over all imports."""

    sheet_id: str
    rater: str
    answered: int
    expected: int


@dataclass(frozen=True)
class Imported:
    """What an import found and did.

    Attributes:
        written: Whether the study holds the accepted answers now.
        files: Files read, those in zip files counted singly.
        rows: Rows in them.
        counts: What became of the answers.
        comments: Comments that the study holds.
        raters: Pseudonyms of all raters of the study who answered.
        rated: For each sheet and rater how much is answered.
        missing: Sheets without any answer.
        problems: The first problems.
        problem_count: All of them.
        warnings: What was odd.
    """

    written: bool
    files: int
    rows: int
    counts: Counts
    comments: int
    raters: tuple[str, ...]
    rated: tuple[RatedSheet, ...]
    missing: tuple[str, ...]
    problems: tuple[Problem, ...]
    problem_count: int
    warnings: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the result as JSON-able data."""
        return {
            "written": self.written,
            "files": self.files,
            "rows": self.rows,
            "answers": {**vars(self.counts), "total": sum(rated.answered for rated in self.rated)},
            "comments": self.comments,
            "raters": list(self.raters),
            "sheets": [vars(rated) for rated in self.rated],
            "sheets_without_answers": list(self.missing),
            "problems": [vars(problem) for problem in self.problems],
            "problem_count": self.problem_count,
            "warnings": list(self.warnings),
        }


def import_files(
    study: Path, files: Sequence[Path], *, partial: bool = False, latest: bool = False, dry_run: bool = False
) -> Imported:
    """Import filled sheets into `study/private/answers.csv`.

    With any problem nothing is written, unless `partial`. Importing a file again changes nothing.

    Args:
        study: An exported study folder.
        files: Filled sheets: our CSV or JSON, Label Studio or MTurk results, or zip files of them.
        partial: Keep the answers that fit although others are refused.
        latest: Of two different answers by a rater to a question, keep the later one: by its time where both
            have one, else the one read last. Otherwise a contradiction is a problem.
        dry_run: Write nothing.

    Raises:
        RunFolderError: No finished study, or another process imports into it.
    """
    folder = open_study(study)
    key = read_key(folder)
    with nullcontext() if dry_run else locked(folder.private):
        store = open_store(folder, key)
        problems = Problems()
        checker = Checker(key, problems)
        found = rows = 0
        answers: list[Answer] = []
        for file in read_files(files, list(key.words), problems):
            found += 1
            rows += len(file.rows)
            checked, comments = checker.check(file)
            answers.extend(checked)
            for comment in comments:
                store.add_comment(comment)
        # A page's JSON knows the time of each answer and its CSV only that of an item: the former goes first.
        for answer in sorted(answers, key=lambda answer: answer.shared):
            store.add(answer, latest, problems)
        written = not dry_run and (not problems.count or (partial and store.counts.accepted > 0))
        if written:
            store.save()
    rated = _rated(store)
    answered = {sheet.sheet_id for sheet in rated}
    return Imported(
        written=written,
        files=found,
        rows=rows,
        counts=store.counts,
        comments=len(store.comments),
        raters=tuple(sorted({sheet.rater for sheet in rated})),
        rated=rated,
        missing=tuple(sheet for sheet in key.hashes if sheet not in answered),
        problems=tuple(problems.listed),
        problem_count=problems.count,
        warnings=tuple(checker.warnings),
    )


def _rated(store: AnswerStore) -> tuple[RatedSheet, ...]:
    given = Counter((row["sheet_id"], row["rater"]) for row in store.answers.values())
    items = Counter(store.key.items.values())
    questions = len(store.key.words)
    return tuple(
        RatedSheet(sheet_id, rater, count, items[sheet_id] * questions)
        for (sheet_id, rater), count in sorted(given.items())
    )
