"""Real images matched to prompts: by caption in a folder or a parquet file, by name, and from the run's own record."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from imagen_bench.errors import InputError
from imagen_bench.human.arms import Arm, PromptSamples, ReferenceArm, read_arm
from imagen_bench.human.reference_arm import read_reference, run_reference

MakeRun = Callable[..., Path]


@pytest.fixture
def prompts(make_run: MakeRun) -> list[PromptSamples]:
    """Ids yak-01, yak-02, zebra-01, zebra-02, zebra-03."""
    return list(read_arm(Arm("x", make_run("run"), 3.625)).values())


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(4):
        Image.new("RGB", (9, 7), (50 * number, 0, 0)).save(folder / f"{number}.jpg")
    return folder


def test_captions_are_compared_as_texts_and_each_image_is_used_once(
    prompts: list[PromptSamples], photos: Path, tmp_path: Path
) -> None:
    captions = tmp_path / "captions.csv"
    captions.write_text("file,caption\n0.jpg,A red  PEAR\n1.jpg,a green pear\n2.jpg,=SUM(A1:A9)\n3.jpg,a red pear\n")
    twins = [*prompts, PromptSamples("twin", "a red pear", "x", prompts[0].samples)]
    twins.append(PromptSamples("triplet", "a red pear", "x", prompts[0].samples))
    found = read_reference(ReferenceArm(photos, captions), twins)
    assert {key: row.samples[0].path.name for key, row in found.items()} == {
        "zebra-01": "0.jpg",
        "zebra-03": "2.jpg",
        "twin": "3.jpg",
    }
    row = found["zebra-01"]
    assert (row.prompt, row.category, row.samples[0].seed) == ("a red pear", "Kategorie Eins", None)
    assert row.samples[0].sha256 == hashlib.sha256((photos / "0.jpg").read_bytes()).hexdigest()


def test_without_captions_the_name_is_the_prompt_id(prompts: list[PromptSamples], photos: Path) -> None:
    (photos / "1.jpg").rename(photos / "yak-02.jpg")
    assert list(read_reference(ReferenceArm(photos), prompts)) == ["yak-02"]
    (photos / "yak-02.jpg").rename(photos / "other.jpg")
    with pytest.raises(InputError, match="no image for any of the 5 prompts; expected file names that are prompt ids"):
        read_reference(ReferenceArm(photos), prompts)


def test_a_parquet_file_brings_its_captions(prompts: list[PromptSamples], tmp_path: Path) -> None:
    rows = []
    for number, texts in enumerate([["a red pear", "a pear"], ["a fox"]]):
        stream = io.BytesIO()
        Image.new("RGB", (5, 5), (number, 9, 9)).save(stream, "PNG")
        rows.append({"image": {"bytes": stream.getvalue(), "path": f"{number}.png"}, "caption": texts})
    file = tmp_path / "coco.parquet"
    pd.DataFrame(rows).to_parquet(file)
    found = read_reference(ReferenceArm(file), prompts)
    assert list(found) == ["zebra-01"]
    assert found["zebra-01"].samples[0].content() == rows[0]["image"]["bytes"]  # type: ignore[index]
    pd.DataFrame(rows).drop(columns="caption").to_parquet(file)
    with pytest.raises(InputError, match="has columns image; expected one of caption, prompt, text too"):
        read_reference(ReferenceArm(file), prompts)


def test_the_reference_set_of_a_run(make_run: MakeRun, photos: Path) -> None:
    run = make_run("run")
    record = json.loads((run / "run.json").read_text(encoding="utf-8"))
    for name, expected in ((str(photos), photos), ("imagen-emoji", "images.parquet")):
        record["config"] = {"scores": {"reference": name}}
        (run / "run.json").write_text(json.dumps(record), encoding="utf-8")
        images = run_reference(run).images
        assert images.exists()
        assert expected in (images, images.name)
    for name, message in (("stats.safetensors", "the statistics stats.safetensors"), (None, "no reference set")):
        record["config"] = {"scores": {"reference": name}}
        (run / "run.json").write_text(json.dumps(record), encoding="utf-8")
        with pytest.raises(InputError, match=message):
            run_reference(run)
