"""Answers meet the key: sides become arms, and what does not fit is refused in one line."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from imagen_bench.errors import ImagenBenchError, InputError, RunFolderError
from imagen_bench.human.unblind import category_order, read_answers

SMALL = {"Colors": 3, "Text": 2}


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "toys"))
    from toy_study import write_study

    return write_study(tmp_path / "study", categories=SMALL, raters=2, controls=2, repeats=1)


def edit(study: Path, name: str, line: int, **cells: str) -> None:
    """Change cells of the row at a line of a private CSV file; the heads are line 1."""
    file = study / "private" / f"{name}.csv"
    table = pd.read_csv(file, dtype=str, keep_default_na=False)
    for column, value in cells.items():
        table.loc[line - 2, column] = value
    table.to_csv(file, index=False)


def test_sides_become_arms(study: Path) -> None:
    answers = read_answers(study).answers
    assert set(answers["arm_a"]) == {"imagen"}
    assert set(answers["arm_b"]) == {"other"}
    for row in answers.to_dict("records"):
        if row["answer"] in ("left", "right"):
            assert {"a": "imagen", "b": "other"}[row["outcome"]] == row[f"model_{row['answer']}"]
        else:
            assert row["outcome"] == row["answer"]


def test_reference_images_come_second(study: Path) -> None:
    record = json.loads((study / "private" / "study.json").read_text())
    record["config"]["arms"][0]["reference"] = True
    (study / "private" / "study.json").write_text(json.dumps(record))
    data = read_answers(study)
    assert data.arms == ("other", "imagen")
    assert set(data.answers["arm_b"]) == {"imagen"}


def test_controls_and_repeats(study: Path) -> None:
    data = read_answers(study)
    controls = data.answers[data.answers["kind"] == "control"]
    assert set(controls.loc[controls["question"] == "fidelity", "passed"]) == {None}
    asked = controls[controls["question"] == "alignment"]
    assert asked["passed"].tolist() == (asked["answer"] == asked["expected"]).tolist()
    again = data.answers[data.answers["kind"] == "repeat"]
    keyed = data.answers.set_index(["rater", "item_id", "question"])["outcome"]
    first = [keyed[key] for key in zip(again["rater"], again["repeat_of"], again["question"], strict=True)]
    assert again["same_as_first"].tolist() == (again["outcome"] == first).tolist()
    assert data.assigned == {"r_000000": 16, "r_000001": 16}


def test_an_older_key_has_neither_controls_nor_repeats(study: Path) -> None:
    file = study / "private" / "key.csv"
    key = pd.read_csv(file, dtype=str, keep_default_na=False)
    key.drop(columns=["expected", "control_question", "repeat_of"]).assign(kind="real").to_csv(file, index=False)
    answers = read_answers(study).answers
    assert answers["passed"].isna().all()
    assert answers["same_as_first"].isna().all()


@pytest.mark.parametrize(
    ("name", "cells", "message"),
    [
        ("answers", {"item_id": "izzz"}, r"answers.csv line 3: item_id 'izzz', which is not in the key"),
        ("answers", {"question": "beauty"}, "line 3: question 'beauty', expected one of the study"),
        ("answers", {"answer": "LEFT"}, "line 3: answer 'LEFT', expected one of left, tie, right, unable"),
        ("answers", {"question": "fidelity"}, "line 3: a second answer of a rater"),
        ("answers", {"seconds": "soon"}, "line 3: seconds 'soon', expected a number"),
        ("answers", {"sheet_id": "S77"}, "line 3: item .* under another sheet"),
        ("key", {"kind": "trap"}, "key.csv line 3: kind 'trap', expected real, control or repeat"),
        ("key", {"model_left": "dalle"}, "line 3: model_left 'dalle', expected an arm of the study"),
    ],
)
def test_broken_rows_are_refused(study: Path, name: str, cells: dict[str, str], message: str) -> None:
    edit(study, name, 3, **cells)
    with pytest.raises(InputError, match=message):
        read_answers(study)


def test_answers_that_were_not_imported(study: Path) -> None:
    (study / "private" / "answers.csv").unlink()
    with pytest.raises(RunFolderError, match="drawbench import"):
        read_answers(study)


def test_a_file_without_its_columns(study: Path) -> None:
    (study / "private" / "answers.csv").write_text("a,b\n1,2\n")
    with pytest.raises(RunFolderError, match="misses the column 'sheet_id'"):
        read_answers(study)


def test_an_unknown_mode_and_a_misspelt_rule(study: Path) -> None:
    file = study / "private" / "study.json"
    record = json.loads(file.read_text())
    record["config"]["exclusion"] = {"min_contrl_pass": 0.8}
    file.write_text(json.dumps(record))
    with pytest.raises(ImagenBenchError, match="min_control_pass"):
        read_answers(study)
    record["config"]["mode"] = "sxss"
    file.write_text(json.dumps(record))
    with pytest.raises(InputError, match="did you mean 'sxs'"):
        read_answers(study)


def test_drawbench_categories_keep_their_order() -> None:
    assert category_order(["Text", "zebra", "Colors", "apple", "Text"]) == ["Colors", "Text", "apple", "zebra"]
