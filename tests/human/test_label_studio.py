"""The Label Studio project of a study: complete, well-formed, and as blind as the sheets."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

from imagen_bench.errors import InputError, RunFolderError
from imagen_bench.human.arms import Arm
from imagen_bench.human.export import export_study
from imagen_bench.human.label_studio import label_config, write_label_studio
from imagen_bench.human.questions import load_questions

URL = "/data/local-files/?d=study/public"


@pytest.fixture(scope="module")
def study(shared_arms: tuple[Arm, Arm], tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("label-studio") / "study"
    export_study(shared_arms, out, sheets=2)
    return out


def test_tasks_hold_the_sheet_with_the_pictures_where_they_are_served(study: Path, tmp_path: Path) -> None:
    paths = write_label_studio(study, tmp_path / "project", URL)
    assert [path.name for path in paths] == ["config.xml", "instructions.txt", "tasks_S01.json", "tasks_S02.json"]
    tasks = [task["data"] for task in json.loads(paths[2].read_text(encoding="utf-8"))]
    rows = list(csv.DictReader((study / "public/sheet_S01.csv").read_text(encoding="utf-8-sig").splitlines()))
    record = json.loads((study / "private/study.json").read_text(encoding="utf-8"))
    assert [task["item_id"] for task in tasks] == [row["item_id"] for row in rows]
    assert [task["image_left"] for task in tasks] == [f"{URL}/{row['image_left']}" for row in rows]
    assert {task["sheet_hash"] for task in tasks} == {record["sheets"][0]["hash"]}
    assert "=SUM(A1:A9)" in {task["prompt"] for task in tasks}
    assert "no right or wrong answers" in paths[1].read_text(encoding="utf-8")


def test_nothing_tells_the_arms(study: Path, tmp_path: Path) -> None:
    text = "".join(path.read_text(encoding="utf-8") for path in write_label_studio(study, tmp_path, URL))
    assert set(json.loads((tmp_path / "tasks_S01.json").read_text(encoding="utf-8"))[0]["data"]) == {
        "study_id",
        "sheet_id",
        "sheet_hash",
        "item_id",
        "prompt",
        "image_left",
        "image_right",
    }
    secrets = ["alphamodel", "betamodel", "3.625", "zebra", "yak", "Kategorie", "70000000", str(study)]
    assert [secret for secret in secrets if secret in text] == []


def test_each_question_is_a_choice_with_the_answers_and_keys_of_its_own() -> None:
    instrument = load_questions().model_dump(mode="json")
    root = ElementTree.fromstring(label_config(instrument, ["image_left", "image_right"]))
    choices = root.findall(".//Choices")
    assert [one.get("name") for one in choices] == ["q_fidelity", "q_alignment"]
    assert root.findall(".//Pairwise") == []
    for one in choices:
        assert [option.get("alias") for option in one] == ["left", "tie", "right", "unable"]
        assert one[1].get("value") == "I am indifferent"
    keys = [option.get("hotkey") for one in choices for option in one]
    assert keys[:4] == ["1", "0", "2", "u"]
    assert None not in keys
    assert len(set(keys)) == len(keys)
    images = {image.get("name"): image.get("value") for image in root.iter("Image")}
    assert images == {"image_left": "$image_left", "image_right": "$image_right"}
    assert {control.get("toName") for control in root.iter() if control.get("toName")} <= set(images)


def test_the_caption_appears_after_the_question_that_hides_it() -> None:
    instrument = load_questions().model_dump(mode="json")
    root = ElementTree.fromstring(label_config(instrument, ["image_left", "image_right"]))
    (caption,) = root.findall("View[@visibleWhen='choice-selected'][@whenTagName='q_fidelity']/Text")
    assert caption.get("value") == "$prompt"
    instrument["questions"] = [question for question in instrument["questions"] if question["shows_caption"]]
    root = ElementTree.fromstring(label_config(instrument, ["image_left", "image_right"]))
    assert len(root.findall("Text")) == 1
    assert root.findall("View[@visibleWhen]") == []


def test_one_image_and_answers_of_a_question() -> None:
    options = [{"value": str(n), "label": f"{n} & <more>", "key": str(n)} for n in (1, 2)]
    question = {"name": "grade", "text": "How {caption}?", "shows_caption": True, "answers": options}
    instrument = {"instructions": [], "questions": [question], "answers": [], "pictures": ["Image"]}
    root = ElementTree.fromstring(label_config(instrument, ["image"]))
    assert [option.get("value") for option in root.iter("Choice")] == ["1 & <more>", "2 & <more>"]
    assert [image.get("name") for image in root.iter("Image")] == ["image"]


def test_chosen_sheets_and_unknown_ones(study: Path, tmp_path: Path) -> None:
    assert [path.name for path in write_label_studio(study, tmp_path, f"{URL}/", ["S02"])][2:] == ["tasks_S02.json"]
    with pytest.raises(InputError, match="has no sheet S9; choose from S01, S02"):
        write_label_studio(study, tmp_path, URL, ["S9"])
    with pytest.raises(RunFolderError, match="holds no study"):
        write_label_studio(tmp_path, tmp_path, URL)
