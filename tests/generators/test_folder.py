"""Finished images as a model: found by name or caption, one folder a weight, and what is missing is listed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from imagen_bench.bench.run import run_benchmark
from imagen_bench.config import ModelSection, RunConfig, apply_overrides, dump_config, validate
from imagen_bench.errors import ConfigError, InputError
from imagen_bench.generators.base import Prepares, SampleRequest, open_generator
from imagen_bench.images import write_png


def image(value: int, height: int = 4, width: int = 6) -> torch.Tensor:
    return torch.full((3, height, width), value, dtype=torch.uint8)


def opened(folder: Path, **options: Any) -> Any:
    return open_generator(ModelSection(name=str(folder), generator="folder", options=options))


def request(prompt_id: str, index: int = 0, weight: float = 1.0, text: str = "") -> SampleRequest:
    return SampleRequest(prompt_id, text or f"text of {prompt_id}", index, abs(hash((prompt_id, index))), weight)


def values(generator: Any, samples: list[SampleRequest]) -> list[int]:
    assert isinstance(generator, Prepares)
    generator.prepare(samples)
    images = generator.generate(
        [sample.prompt for sample in samples], [sample.seed for sample in samples], samples[0].guidance_weight
    )
    return [int(pixels[0, 0, 0]) for pixels in images]


@pytest.mark.parametrize(
    "names",
    [
        ("a_0.png", "a_1.png", "b-2_0.png", "b-2_1.png"),
        ("x/0003/a_0.png", "y/a_1.png", "b-2_0.png", "z/b-2_1.png"),
        ("a/0.png", "a/1.png", "b-2/0000.png", "b-2/0001.png"),
        ("a.png", "a_1.png", "b-2.png", "deep/b-2_1.png"),
    ],
)
def test_images_are_found_by_prompt_id_and_index(tmp_path: Path, names: tuple[str, ...]) -> None:
    for value, name in enumerate(names):
        write_png(tmp_path / name, image(value))
    wanted = [request("b-2", 1), request("a", 0), request("b-2", 0), request("a", 1)]
    assert values(opened(tmp_path), wanted) == [3, 0, 2, 1]


def test_folders_of_weights_make_a_sweep(tmp_path: Path) -> None:
    for weight, value in (("w=1", 10), ("w=1.5", 20)):
        write_png(tmp_path / weight / "a_0.png", image(value))
    assert values(opened(tmp_path), [request("a", weight=1.5)]) == [20]
    mapped = opened(tmp_path, weights={"1": "w=1.5", "7.5": "w=1"})
    assert values(mapped, [request("a", weight=7.5)]) == [10]
    assert mapped.describe()["images"] == {"1": 1, "7.5": 1}
    with pytest.raises(InputError, match=r"lacks 1 of 2 images: w=2 a_0; add them \(found by <prompt id>_"):
        opened(tmp_path).prepare([request("a", weight=1.0), request("a", weight=2.0)])


def test_images_of_one_weight_are_no_sweep(tmp_path: Path) -> None:
    write_png(tmp_path / "a_0.png", image(1))
    assert values(opened(tmp_path), [request("a", weight=3.0)]) == [1]
    with pytest.raises(InputError, match=r"one guidance weight, the run asks for 2: expected a folder w=<weight>"):
        opened(tmp_path).prepare([request("a", weight=1.0), request("a", weight=2.0)])


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("captions.csv", "file,caption\n1.png,a cat\n2.png,a dog\n3.png,a cat\n"),
        ("captions.jsonl", '{"file": "1.png", "prompt": "a cat"}\n{"file": "2.png", "prompt": "a dog"}\n'
         '{"file": "3.png", "prompt": "a cat"}\n'),
        ("captions.txt", "a cat\na dog\na cat\n"),
    ],
)  # fmt: skip
def test_images_are_found_by_caption(tmp_path: Path, file: str, content: str) -> None:
    for value in (1, 2, 3):
        write_png(tmp_path / f"{value}.png", image(value))
    (tmp_path / file).write_text(content)
    generator = opened(tmp_path, captions=file)
    cats = [request("c", 0, text="a cat"), request("d", 0, text="a dog"), request("c", 1, text="a cat")]
    assert values(generator, cats) == [1, 2, 3]
    # Two prompts of one text share its images, each its own.
    assert values(generator, [request("c", text="a cat"), request("e", text="a cat")]) == [1, 3]
    with pytest.raises(InputError, match=r"lacks 1 of 2 images: w=1 d_1; add them \(found by a caption in captions"):
        generator.prepare([request("d", 0, text="a dog"), request("d", 1, text="a dog")])
    # Outside a run, the seed is the sample's index.
    assert int(opened(tmp_path, captions=file).generate(["a cat"], [1], 1.0)[0, 0, 0, 0]) == 3


def test_what_cannot_be_found_is_told(tmp_path: Path) -> None:
    for name in ("a_0.png", "sub/a_0.png"):
        write_png(tmp_path / "twice" / name, image(1))
    with pytest.raises(InputError, match="are both sample 0 of prompt 'a': remove one"):
        opened(tmp_path / "twice").prepare([request("a")])
    write_png(tmp_path / "fits" / "a_1.png", image(1))
    with pytest.raises(InputError, match="fits two prompts, 'a' and 'a_1'"):
        opened(tmp_path / "fits").prepare([request("a", 1), request("a_1", 0)])
    for name, side in (("a_0.png", 4), ("b_0.png", 5)):
        write_png(tmp_path / "sizes" / name, image(1, side))
    with pytest.raises(InputError, match=r"b_0\.png' has 6x5 pixels, .*a_0\.png' 6x4: expected one size"):
        opened(tmp_path / "sizes").prepare([request("a"), request("b")])
    with pytest.raises(InputError, match=r"images are found by captions; give options\.captions, or use `run`"):
        opened(tmp_path / "sizes").generate(["a"], [0], 1.0)
    with pytest.raises(InputError, match="no folder"):
        opened(tmp_path / "nothing")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no images in"):
        opened(tmp_path / "empty")
    with pytest.raises(ConfigError, match=r"options\.weights has 'high'"):
        opened(tmp_path / "sizes", weights={"high": "."})
    with pytest.raises(InputError, match=r"which options\.weights gives for w=3"):
        opened(tmp_path / "sizes", weights={"3": "three"})
    with pytest.raises(ConfigError, match="did you mean 'captions'"):
        opened(tmp_path / "sizes", caption="x")
    with pytest.raises(InputError, match="no caption file"):
        opened(tmp_path / "sizes", captions="c.csv").prepare([request("a")])


def test_a_changed_image_or_caption_changes_the_description(tmp_path: Path) -> None:
    write_png(tmp_path / "a_0.png", image(1))
    (tmp_path / "c.txt").write_text("one\n")
    before = opened(tmp_path, captions="c.txt").describe()
    assert opened(tmp_path, captions="c.txt").describe() == before
    (tmp_path / "c.txt").write_text("two\n")
    assert opened(tmp_path, captions="c.txt").describe() != before
    (tmp_path / "c.txt").write_text("one\n")
    write_png(tmp_path / "a_0.png", image(2))
    assert opened(tmp_path, captions="c.txt").describe() != before


def test_a_runs_own_images_give_its_scores_again(toy: RunConfig, tmp_path: Path) -> None:
    first = run_benchmark(toy, tmp_path / "first")
    data = dump_config(toy)
    data["model"] = {"name": "again", "generator": "folder", "options": {"folder": str(tmp_path / "first" / "images")}}
    second = run_benchmark(validate(RunConfig, data, "test"), tmp_path / "second")
    columns = ["guidance_weight", "category", "metric", "value", "low", "high", "n", "protocol"]
    assert second.scores()[columns].equals(first.scores()[columns])
    assert second.samples()["sha256"].tolist() == first.samples()["sha256"].tolist()
    assert second.run["model"]["images"] == {"1": 20, "1.5": 20, "2": 20}


def test_missing_images_stop_a_run_before_anything_is_written(toy: RunConfig, tmp_path: Path) -> None:
    write_png(tmp_path / "pictures" / "p00_0.png", image(1))
    data = apply_overrides(dump_config(toy), ["sweep.guidance_weights=[1.0]"])
    data["model"] = {"name": str(tmp_path / "pictures"), "generator": "folder"}
    with pytest.raises(InputError, match=r"lacks 19 of 20 images: w=1 p00_1, w=1 p01_0, .*, \.\.\.; add them"):
        run_benchmark(validate(RunConfig, data, "test"), tmp_path / "run")
    assert not (tmp_path / "run" / "run.json").exists()
