from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from imagen_bench.data.coco import (
    SPLITS,
    captions_path,
    images_path,
    official_captions,
    read_coco_captions,
    register_root,
    registered_root,
)
from imagen_bench.errors import InputError

VAL = SPLITS["val2014"]
WriteCoco = Callable[..., Path]


def content(**changes: Any) -> dict[str, Any]:
    data = {
        "images": [{"id": 7, "file_name": "a.jpg"}, {"id": 8, "file_name": "b.jpg"}],
        "annotations": [{"id": 2, "image_id": 7, "caption": " Two. \n"}, {"id": 1, "image_id": 8, "caption": "One."}],
    }
    return {**data, **changes}


def written(path: Path, data: object) -> Path:
    path.write_text(data if isinstance(data, str) else json.dumps(data), encoding="utf-8")
    return path


def test_captions_are_sorted_and_bare_of_blanks(tmp_path: Path) -> None:
    found = read_coco_captions(written(tmp_path / "c.json", content()))
    assert [(row.caption_id, row.image_id, row.file_name, row.text) for row in found.rows] == [
        (1, 8, "b.jpg", "One."),
        (2, 7, "a.jpg", "Two."),
    ]
    assert found.files == {7: "a.jpg", 8: "b.jpg"}


def test_a_changed_file_is_read_again(tmp_path: Path) -> None:
    file = written(tmp_path / "c.json", content())
    assert len(read_coco_captions(file).rows) == 2
    written(file, content(annotations=[{"id": 2, "image_id": 7, "caption": "New."}]))
    os.utime(file, ns=(1, 1))
    assert [row.text for row in read_coco_captions(file).rows] == ["New."]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("{", "is not JSON"),
        ([], "not in COCO's layout"),
        ({"images": []}, "not in COCO's layout"),
        (content(annotations=[{"id": 1, "image_id": 7}]), "not in COCO's layout"),
        (content(annotations=[{"id": 1, "image_id": 7, "caption": 3}]), "not in COCO's layout"),
        (content(annotations=[{"id": 1, "image_id": 9, "caption": "x"}]), r"of images that it does not list \(ids 1\)"),
        (content(annotations=[{"id": 1, "image_id": 7, "caption": " "}]), r"without text \(ids 1\)"),
        (content(annotations=content()["annotations"] * 2), r"given twice \(ids 1, 2\)"),
        (content(images=[{"id": 7, "file_name": "a.jpg"}] * 2, annotations=[]), "lists an image twice"),
        (content(images=[{"id": n, "file_name": "a.jpg"} for n in (7, 8)], annotations=[]), "lists an image twice"),
    ],
)
def test_broken_files_are_refused(tmp_path: Path, data: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_coco_captions(written(tmp_path / "c.json", data))


def test_other_numbers_than_published_need_the_subset(tmp_path: Path, write_coco: WriteCoco) -> None:
    root = write_coco(tmp_path / "coco")
    with pytest.raises(
        InputError, match=r"12 images and 72 captions, val2014 has 40,504 and 202,654: .* use coco-subset"
    ):
        official_captions(root, VAL)
    assert len(official_captions(root, VAL, subset=True).rows) == 72


def test_missing_parts_are_named(tmp_path: Path, write_coco: WriteCoco) -> None:
    with pytest.raises(
        InputError, match=r"expected annotations/captions_val2014\.json; unpack annotations_trainval2014"
    ):
        captions_path(tmp_path, VAL)
    with pytest.raises(InputError, match=r"expected a folder val2014 or images/val2014; unpack val2014\.zip"):
        images_path(tmp_path, VAL)
    root = write_coco(tmp_path / "coco", folder="images/val2014")
    assert images_path(root, VAL) == root / "images" / "val2014"
    (root / "annotations" / "captions_val2014.json").rename(root / "annotations" / "captions.json")
    with pytest.raises(InputError, match="no captions of val2014"):
        captions_path(root, VAL)
    assert captions_path(root, VAL, subset=True).name == "captions.json"


def test_a_copy_is_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "home"
    monkeypatch.setenv("IMAGEN_BENCH_HOME", str(home))
    assert registered_root(VAL) is None
    (home / "coco").mkdir(parents=True)
    assert registered_root(VAL) == home / "coco"
    register_root(tmp_path / "mine", VAL)
    register_root(tmp_path / "other", SPLITS["val2017"])
    assert registered_root(VAL) == tmp_path / "mine"
    assert registered_root(SPLITS["val2017"]) == tmp_path / "other"
    assert registered_root(SPLITS["train2014"]) == home / "coco"
    (home / "coco.json").write_text("{")
    assert registered_root(VAL) == home / "coco"
