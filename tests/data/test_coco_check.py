from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from imagen_bench.data.coco import SPLITS
from imagen_bench.data.coco_check import check_coco
from imagen_bench.data.coco_check import write_coco as write_sets
from imagen_bench.data.coco_images import open_coco_reference
from imagen_bench.data.coco_prompts import load_coco_prompts
from imagen_bench.errors import InputError
from imagen_bench.files import sha256_file
from imagen_bench.images import read_image

WriteCoco = Callable[..., Path]


def test_a_whole_copy(tmp_path: Path, write_coco: WriteCoco, small_coco: None) -> None:
    root = write_coco(tmp_path / "coco")
    seen = []
    check = check_coco(root, progress=lambda done, total: seen.append((done, total)))
    check.refuse()
    assert check.findings == ()
    assert seen == [(1, 12)] * 12
    found = check.to_json()
    assert found["complete"]
    assert found["captions"]["sha256"] == sha256_file(root / "annotations" / "captions_val2014.json")
    assert found["captions"]["as_recorded"] is False
    assert {entry["id"]: entry["n"] for entry in found["prompts"]} == {
        "coco-30k": 5, "coco-10k": 3, "coco-30k-captions": 30, "coco-10k-captions": 10,
    }  # fmt: skip
    assert found["prompts"][0]["digest"] == load_coco_prompts("coco-30k", str(root)).digest
    reference = open_coco_reference(f"coco-val2014:{root}")
    assert found["reference"] == {"id": "coco-val2014-256px-lanczos", "n": 12, "digest": reference.digest}
    assert "captions   12 images, 72 captions" in check.lines()[0]


def test_what_is_wrong_is_named(tmp_path: Path, write_coco: WriteCoco, small_coco: None) -> None:
    root = write_coco(tmp_path / "coco")
    files = sorted((root / "val2014").iterdir())
    files[0].unlink()
    files[1].write_bytes(files[1].read_bytes()[:-300])
    files[2].write_bytes(b"")
    files[3].rename(root / "val2014" / "stranger.jpg")
    check = check_coco(root)
    names = {item.kind: item.names for item in check.findings}
    assert names == {
        "missing": (files[0].name, files[3].name),
        "not-listed": ("stranger.jpg",),
        "unreadable": (files[2].name,),
        "truncated": (files[1].name,),
    }
    assert check.prompts == ()
    with pytest.raises(
        InputError,
        match=rf"is no whole val2014: .* not there: 2 \({files[0].name}, .*also found: not-listed \(stranger",
    ):
        check.refuse()
    with pytest.raises(InputError, match="is no whole val2014"):
        write_sets(check, tmp_path / "out")


def test_other_numbers_are_a_finding_unless_it_is_a_subset(tmp_path: Path, write_coco: WriteCoco) -> None:
    root = write_coco(tmp_path / "coco")
    (finding,) = check_coco(root).findings
    assert finding.names == ("12 images for 40,504", "72 captions for 202,654")
    subset = check_coco(root, "coco-val2014-subset-box-64px")
    assert subset.findings == ()
    assert [found.id for found in subset.prompts] == ["coco-subset"]
    assert subset.images.name == "coco-val2014-subset-64px-box"


def test_the_recorded_digest_is_that_of_the_published_file() -> None:
    assert SPLITS["val2014"].captions_sha256 is not None
    assert len(SPLITS["val2014"].captions_sha256) == 64


def test_sets_for_other_tools(tmp_path: Path, write_coco: WriteCoco, small_coco: None) -> None:
    root = write_coco(tmp_path / "coco")
    check = check_coco(root, "coco-val2014-32px-bicubic")
    out = tmp_path / "out"
    written = write_sets(check, out)
    assert [path.name for path in written] == [
        "coco-30k.csv", "coco-10k.csv", "coco-30k-captions.csv", "coco-10k-captions.csv",
        "coco-val2014-32px-bicubic", "protocol.json",
    ]  # fmt: skip
    with (out / "coco-30k.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    prompts = load_coco_prompts("coco-30k", str(root))
    assert [row["prompt"] for row in rows] == [row.prompt for row in prompts.rows]
    reference = open_coco_reference(f"coco-val2014-32px-bicubic:{root}")
    (batch,) = reference.batches(12)
    for name, image in zip(reference.names, batch, strict=True):
        assert torch.equal(read_image(out / reference.name / name.replace(".jpg", ".png")), image)
    assert json.loads((out / "protocol.json").read_text())["reference"]["digest"] == reference.digest
    write_sets(check, out)
    with pytest.raises(InputError, match="holds the sets of another protocol"):
        write_sets(check_coco(root, "coco-val2014-32px-box"), out)
