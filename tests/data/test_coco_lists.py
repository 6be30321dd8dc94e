from __future__ import annotations

from pathlib import Path

import pytest

from imagen_bench.data.prompts import load_prompt_set, read_prompt_file
from imagen_bench.errors import InputError

# Headers as they go round: concept erasing's list, its successor's, and a captions list.
HEADERS = {
    "case_number,source,prompt,evaluation_seed,coco_id": "0,coco-30k,A bed.,82429,{id:012d}",
    "image_id,prompt,evaluation_seed,width,height": "{id},A bed.,82429,640,480",
    "image_id,prompt,seed": "{id},A bed. ,82429.0",
    "image_id,text": "{id},A bed.",
}


@pytest.mark.parametrize("header", HEADERS)
def test_published_headers(tmp_path: Path, header: str) -> None:
    file = tmp_path / "list.csv"
    file.write_text("\n".join([header, HEADERS[header].format(id=31634), HEADERS[header].format(id=42), ""]))
    found = load_prompt_set(f"coco-subset:{file}")
    assert (found.id, found.version) == ("coco-subset-list", "file")
    assert [row.prompt_id for row in found.rows] == ["000000031634", "000000000042"]
    assert found.rows[0].prompt == "A bed."
    assert found.rows[0].meta == {"image_id": "31634"} | ({"seed": "82429"} if "seed" in header else {})


def test_another_length_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "list.csv"
    file.write_text("image_id,prompt\n42,A bed.\n")
    with pytest.raises(InputError, match=r"1 prompts, expected 30,000; use coco-subset:"):
        load_prompt_set(f"coco-30k:{file}")


def test_images_that_come_again_are_counted_on(tmp_path: Path) -> None:
    file = tmp_path / "list.csv"
    file.write_text("image_id,prompt\n42,A bed.\n42,A bed in a room.\n7,A cat.\n42,A room.\n")
    ids = [row.prompt_id for row in load_prompt_set(f"coco-subset:{file}").rows]
    assert ids == ["000000000042", "000000000042-2", "000000000007", "000000000042-3"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("prompt,seed\nA bed.,1\n", "no column with the image's id among seed: expected one of image_id"),
        ("image_id,prompt\nx7,A bed.\n", "line 2: image_id is 'x7', expected the number of a COCO image"),
        ("image_id,prompt,seed\n7,A bed.,-1\n", "line 2: the seed is '-1', expected a whole number"),
        ("image_id,prompt,seed\n7,A bed.,9223372036854775808\n", "expected a whole number from 0 to 2"),
        ("image_id,prompt\n", "no prompts found"),
    ],
)
def test_refusals(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "list.csv"
    file.write_text(text)
    with pytest.raises(InputError, match=message):
        load_prompt_set(f"coco-subset:{file}")


def test_seeds_are_part_of_the_digest(tmp_path: Path) -> None:
    file = tmp_path / "list.csv"
    digests = set()
    for seed in ("", "1", "2"):
        file.write_text(f"image_id,prompt,seed\n7,A bed.,{seed}\n")
        digests.add(load_prompt_set(f"coco-subset:{file}").digest)
    assert len(digests) == 3


def test_any_prompt_file_may_bring_seeds_and_captions(tmp_path: Path) -> None:
    file = tmp_path / "mine.csv"
    file.write_text("caption,seed\nA bed.,7\nA cat.,\n")
    rows = read_prompt_file(file).rows
    assert [(row.prompt, row.meta.get("seed")) for row in rows] == [("A bed.", "7"), ("A cat.", None)]
    file.write_text("caption,prompt\nold,new\n")
    assert read_prompt_file(file).rows[0].prompt == "new"


def test_other_endings_are_refused(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("A bed.\n")
    with pytest.raises(InputError, match=r"a list of COCO captions ends in \.csv"):
        load_prompt_set(f"coco-subset:{tmp_path / 'list.txt'}")
