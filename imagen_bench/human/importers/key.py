"""What a study knows about its own sheets: items, hashes, questions and the answers that count."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from imagen_bench.errors import RunFolderError
from imagen_bench.human.importers.words import answer_words
from imagen_bench.human.study import StudyFolder


@dataclass(frozen=True)
class StudyKey:
    """What filled sheets are held against.

    Attributes:
        study_id: The study's blind id.
        items: For each item its sheet; in the order of the key.
        hashes: For each sheet the hash that was exported.
        words: For each question, in the order of asking, the answer's value for each word.
        values: For each question the values that may be answered.
    """

    study_id: str
    items: Mapping[str, str]
    hashes: Mapping[str, str]
    words: Mapping[str, Mapping[str, str]]
    values: Mapping[str, tuple[str, ...]]


def read_key(study: StudyFolder) -> StudyKey:
    """Read the key and the instrument of an exported study.

    Raises:
        RunFolderError: The export is not finished, or its key is missing or broken.
    """
    record = study.record
    if not record.get("study_id") or not isinstance(record.get("sheets"), list):
        raise RunFolderError(f"the export into {study.path} is not finished; run `drawbench export` again")
    file = study.private / "key.csv"
    try:
        with file.open(encoding="utf-8", newline="") as stream:
            items = {row["item_id"]: row["sheet_id"] for row in csv.DictReader(stream)}
    except OSError as error:
        raise RunFolderError(f"cannot read {file} ({error.strerror}); restore it") from error
    except (KeyError, csv.Error, UnicodeDecodeError) as error:
        raise RunFolderError(f"{file} is broken ({error}); restore it, or run `drawbench export` again") from error
    answers = _answers(record["config"].get("instrument"), study)
    return StudyKey(
        study_id=str(record["study_id"]),
        items=items,
        hashes={str(sheet["sheet_id"]): str(sheet["hash"]) for sheet in record["sheets"]},
        words={question: answer_words(options) for question, options in answers.items()},
        values={question: tuple(str(option["value"]) for option in options) for question, options in answers.items()},
    )


def _answers(instrument: Any, study: StudyFolder) -> dict[str, list[dict[str, str]]]:
    """Return the answers of each question: its own, or else those of the whole set."""
    try:
        return {
            str(question["name"]): list(question.get("answers") or instrument["answers"])
            for question in instrument["questions"]
        }
    except (TypeError, KeyError) as error:
        raise RunFolderError(f"{study.private / 'study.json'} has no readable instrument ({error})") from error
