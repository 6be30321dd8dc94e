"""Joins a study's answers with its key: which arm was preferred on which prompt, by whom."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from imagen_bench.config import Section, validate
from imagen_bench.errors import InputError, RunFolderError
from imagen_bench.human.statistics.quality import ExclusionRule
from imagen_bench.human.study import StudyFolder, open_study
from imagen_bench.suggest import did_you_mean

PAIR_MODES = ("sxs", "photorealism")
SCALES = {
    "alignment": {"no": 0.0, "somewhat": 50.0, "yes": 100.0},
    "likert5": {"1": 1.0, "2": 2.0, "3": 3.0, "4": 4.0, "5": 5.0},
}
"""Values of the answers on one image; yes / somewhat / no as in Imagen's COCO study (arXiv 2205.11487, section 4.1)."""
UNABLE = "unable"
DRAWBENCH_CATEGORIES = (
    "Colors", "Conflicting", "Counting", "DALL-E", "Descriptions", "Gary Marcus et al.", "Misspellings",
    "Positional", "Rare Words", "Reddit", "Text",
)  # fmt: skip
_KEY_COLUMNS = (
    "sheet_id", "item_id", "prompt_id", "cluster_id", "category", "prompt", "kind", "model_left", "model_right",
)  # fmt: skip
_KEY_OPTIONAL = ("expected", "control_question", "repeat_of", "samples_left", "samples_right")
_ANSWER_COLUMNS = ("sheet_id", "item_id", "rater", "question", "answer", "seconds", "answered_at")
_KINDS = ("real", "control", "repeat")


class _Rule(Section):
    min_control_pass: float | None = None
    min_answered: float | None = None
    speed_fraction: float = 1 / 3


@dataclass(frozen=True)
class StudyAnswers:
    """A study with its un-blinded answers.

    Attributes:
        study: The study folder.
        mode: "sxs", "photorealism", "alignment" or "likert5".
        arms: Labels; reference images last.
        references: Those of them that are reference images.
        questions: Text of each question, by name, in the order of asking.
        rule: Which raters are excluded; fixed at the export.
        has_rule: False if the study was exported without such a rule.
        key: One row an item.
        answers: One row an answer: the key's columns, rater, question, answer, seconds (float), answered_at;
            arm_a, arm_b (the pair, in the order of `arms`; arm_b empty for one image); outcome ("a", "tie", "b",
            or the answer itself for one image; "unable"); passed and same_as_first (True, False, or None where
            they do not apply).
        assigned: Number of questions on each rater's sheets.
    """

    study: StudyFolder
    mode: str
    arms: tuple[str, ...]
    references: frozenset[str]
    questions: dict[str, str]
    rule: ExclusionRule
    has_rule: bool
    key: pd.DataFrame
    answers: pd.DataFrame
    assigned: dict[str, int]

    @property
    def categories(self) -> list[str]:
        """Categories of the real items."""
        return category_order(self.key.loc[self.key["kind"] == "real", "category"])


def category_order(names: Iterable[str]) -> list[str]:
    """Return different categories: DrawBench's in its own order, then others by name."""
    found = set(names)
    return [*(name for name in DRAWBENCH_CATEGORIES if name in found), *sorted(found - set(DRAWBENCH_CATEGORIES))]


def read_answers(path: Path) -> StudyAnswers:
    """Read a study and its imported answers.

    Args:
        path: The study folder.

    Raises:
        RunFolderError: No study, no key or no answers there.
        InputError: Key and answers do not fit each other or the study.
    """
    study = open_study(path)
    config = study.record["config"]
    mode = str(config.get("mode"))
    if mode not in PAIR_MODES and mode not in SCALES:
        raise InputError(f"{path} is a study of mode {mode!r}; {did_you_mean(mode, [*PAIR_MODES, *SCALES])}")
    arms, references = _arms(config, path)
    questions = {str(question["name"]): str(question["text"]) for question in config["instrument"]["questions"]}
    rule = validate(_Rule, config.get("exclusion") or {}, f"{study.private / 'study.json'}: exclusion")
    key = _read_key(study, mode, arms)
    answers = _read_answers(study, key, questions, mode)
    joined = answers.merge(key.drop(columns=["sheet_id"]), on="item_id", how="left", validate="many_to_one")
    joined = _with_quality(_with_outcome(joined, mode, arms))
    sheets = key.groupby("sheet_id")["item_id"].nunique() * len(questions)
    held = answers[["rater", "sheet_id"]].drop_duplicates()
    assigned = {str(rater): int(sheets[ids].sum()) for rater, ids in held.groupby("rater")["sheet_id"]}
    return StudyAnswers(
        study, mode, arms, references, questions, ExclusionRule(**rule.model_dump()), bool(config.get("exclusion")),
        key, joined, assigned,
    )  # fmt: skip


def _arms(config: dict[str, Any], path: Path) -> tuple[tuple[str, ...], frozenset[str]]:
    records = config.get("arms") or []
    references = frozenset(str(arm["label"]) for arm in records if arm.get("reference"))
    labels = [str(arm["label"]) for arm in records]
    if not labels or len(set(labels)) < len(labels):
        raise InputError(
            f"{path}: the study's arms are {labels}, expected different labels; restore private/study.json"
        )
    return tuple(sorted(labels, key=lambda label: label in references)), references


def _read_key(study: StudyFolder, mode: str, arms: tuple[str, ...]) -> pd.DataFrame:
    file = study.private / "key.csv"
    key = _read_table(file, _KEY_COLUMNS, "restore it from your copy of the study")
    for column in _KEY_OPTIONAL:
        if column not in key:
            key[column] = ""
    key = key[[*_KEY_COLUMNS, *_KEY_OPTIONAL]]
    _refuse(key["item_id"].duplicated(), key["item_id"], file, "item_id {!r} twice; restore the key")
    _refuse(~key["kind"].isin(_KINDS), key["kind"], file, "kind {!r}, expected real, control or repeat")
    real = key["kind"] == "real"
    for column in ("model_left", "model_right") if mode in PAIR_MODES else ("model_left",):
        wrong = real & ~key[column].isin(arms)
        _refuse(wrong, key[column], file, f"{column} {{!r}}, expected an arm of the study ({', '.join(arms)})")
    return key


def _read_answers(study: StudyFolder, key: pd.DataFrame, questions: dict[str, str], mode: str) -> pd.DataFrame:
    file = study.private / "answers.csv"
    answers = _read_table(
        file, _ANSWER_COLUMNS, f"read filled sheets with `imagen-bench drawbench import {study.path} FILE...`"
    )
    if answers.empty:
        raise InputError(f"{file} holds no answers; import filled sheets first")
    allowed = ("left", "tie", "right", UNABLE) if mode in PAIR_MODES else (*SCALES[mode], UNABLE)
    item, question, answer = answers["item_id"], answers["question"], answers["answer"]
    _refuse(~item.isin(key["item_id"]), item, file, "item_id {!r}, which is not in the key; import the sheets again")
    known = ", ".join(questions)
    _refuse(~question.isin(questions), question, file, f"question {{!r}}, expected one of the study ({known})")
    _refuse(~answer.isin(allowed), answer, file, f"answer {{!r}}, expected one of {', '.join(allowed)}")
    twice = answers.duplicated(["rater", "item_id", "question"])
    _refuse(twice, item, file, "a second answer of a rater to item {!r}; import the sheets again")
    own_sheet = key.set_index("item_id").loc[item, "sheet_id"].to_numpy()
    _refuse(answers["sheet_id"] != own_sheet, item, file, "item {!r} under another sheet than the key says")
    seconds = pd.to_numeric(answers["seconds"].replace("", None), errors="coerce")
    _refuse(seconds.isna() & (answers["seconds"] != ""), answers["seconds"], file, "seconds {!r}, expected a number")
    return answers.assign(seconds=seconds.astype(float))[list(_ANSWER_COLUMNS)]


def _read_table(file: Path, columns: Iterable[str], remedy: str) -> pd.DataFrame:
    try:
        table = pd.read_csv(file, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    except OSError as error:
        raise RunFolderError(f"cannot read {file} ({error.strerror}); {remedy}") from error
    except (ValueError, UnicodeDecodeError) as error:
        raise RunFolderError(f"{file} is no CSV table ({error}); {remedy}") from error
    missing = [column for column in columns if column not in table]
    if missing:
        raise RunFolderError(f"{file} misses the column {missing[0]!r}; {remedy}")
    return table


def _refuse(wrong: pd.Series, values: pd.Series, file: Path, message: str) -> None:
    if bool(wrong.any()):
        place = int(wrong.to_numpy().argmax())
        raise InputError(f"{file} line {place + 2}: {message.format(values.iloc[place])}")


def _with_outcome(table: pd.DataFrame, mode: str, arms: tuple[str, ...]) -> pd.DataFrame:
    """Add arm_a, arm_b and outcome: sides become arms."""
    if mode in SCALES:
        return table.assign(arm_a=table["model_left"], arm_b="", outcome=table["answer"])
    rank = {label: place for place, label in enumerate(arms)}
    left, right = (table[f"model_{side}"].map(rank).fillna(-1) for side in ("left", "right"))
    swapped = left > right
    arm_a = table["model_left"].where(~swapped, table["model_right"])
    arm_b = table["model_right"].where(~swapped, table["model_left"])
    of_left = swapped.map({False: "a", True: "b"})
    of_right = swapped.map({False: "b", True: "a"})
    outcome = table["answer"].where(table["answer"] != "left", of_left)
    outcome = outcome.where(table["answer"] != "right", of_right)
    return table.assign(arm_a=arm_a, arm_b=arm_b, outcome=outcome)


def _with_quality(table: pd.DataFrame) -> pd.DataFrame:
    """Add passed (controls) and same_as_first (repeats)."""
    outcomes = {
        (rater, item, question): outcome
        for rater, item, question, outcome in zip(
            table["rater"], table["item_id"], table["question"], table["outcome"], strict=True
        )
    }
    passed: list[bool | None] = []
    same: list[bool | None] = []
    for row in table.to_dict("records"):
        asked = row["kind"] == "control" and row["expected"] and row["control_question"] in ("", row["question"])
        passed.append(row["answer"] == row["expected"] if asked else None)
        first = outcomes.get((row["rater"], row["repeat_of"], row["question"])) if row["kind"] == "repeat" else None
        comparable = first not in (None, UNABLE) and row["outcome"] != UNABLE
        same.append(row["outcome"] == first if comparable else None)
    return table.assign(passed=pd.array(passed, dtype=object), same_as_first=pd.array(same, dtype=object))
