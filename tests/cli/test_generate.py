"""`generate`: images of prompts and their sheet, with the seeds that a run's table shows."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from imagen_bench.cli.main import main
from imagen_bench.cli.stage_options import stage_overrides


@pytest.fixture(autouse=True)
def toys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "toys"))
    monkeypatch.chdir(tmp_path)


def invoke(*arguments: str) -> Result:
    common = ["--model", "toy", "--generator", "callable", "--set", "target=toy_bench:sample"]
    return CliRunner().invoke(main, ["generate", *common, *arguments])


def pixels(file: str) -> np.ndarray[Any, Any]:
    with Image.open(file) as image:
        return np.array(image)


def test_one_image_in_one_file() -> None:
    import toy_bench

    result = invoke("--prompt", "a cat", "--seed", "5", "--guidance", "3", "--out", "cat.png")
    assert result.exit_code == 0, result.output
    assert result.stdout == "cat.png\n"
    assert np.array_equal(pixels("cat.png"), toy_bench.sample(["a cat"], [5], 3.0)[0].transpose(1, 2, 0))


def test_folder_of_images_and_sheet() -> None:
    import toy_bench

    result = invoke(
        "--prompt",
        "a cat",
        "--prompt",
        "ein Hügel",
        "--samples",
        "3",
        "--seed",
        "7",
        "--out",
        "out",
        "--json",
    )
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    assert told["sheet"] == "out/sheet.png"
    assert pixels("out/sheet.png").shape == (2 * 10 + 2, 3 * 10 + 2, 3)
    assert [row["seed"] for row in told["images"]] == [7, 8, 9, 7, 8, 9]
    last = told["images"][-1]
    assert last == {"file": "out/002_2.png", "prompt": "ein Hügel", "seed": 9, "guidance_weight": 2.0}
    expected = toy_bench.sample(["ein Hügel"], [9], 2.0)[0].transpose(1, 2, 0)
    assert np.array_equal(pixels("out/002_2.png"), expected)


def test_several_images_in_one_file_are_a_sheet() -> None:
    assert invoke("--prompt", "a", "--prompt", "b", "--out", "two.png").exit_code == 0
    assert pixels("two.png").shape == (12, 22, 3)


def test_batch_size_changes_no_image() -> None:
    for size in ("1", "16"):
        assert invoke("--prompt", "a", "--samples", "5", "--set", f"batch_size={size}", "--out", size).exit_code == 0
    assert Path("1/sheet.png").read_bytes() == Path("16/sheet.png").read_bytes()


def test_stage_is_an_option_of_the_generator() -> None:
    result = invoke("--prompt", "a", "--stage", "base")
    assert result.exit_code == 1
    assert result.stderr == "error: generator 'callable' has no option 'stage'; it takes target and batch_size\n"
    assert not Path("generated").exists()


def test_settings_of_stages_become_options_of_the_generator() -> None:
    assert stage_overrides(["base"]) == ["stage=base"]
    assert stage_overrides(["base.steps=50"]) == ["base.steps=50"]
    assert stage_overrides(["base.steps=50", "sr256.guidance=8"])[-1] == "stage=cascade"
    assert stage_overrides(["sr256.guidance=8", "sr1024.tile=512", "sr256"])[-1] == "stage=sr256"
    assert stage_overrides([], whole=True) == ["stage=cascade"]


@pytest.fixture(scope="module")
def cascade(t5_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder of 16 x 16 base and 16 -> 32 super-resolution, with random weights."""
    import torch

    from imagen_bench.imagen.checkpoint import save_stage
    from imagen_bench.imagen.config import StageConfig, UNetConfig
    from imagen_bench.imagen.efficient_unet import build_unet

    folder = tmp_path_factory.mktemp("models") / "toy"
    shutil.copytree(t5_folder, folder / "text_encoder")
    for name, size, low_res_size in (("base", 16, None), ("sr32", 32, 16)):
        unet = UNetConfig(
            kind="efficient", dim=8, channel_mult=(1,), blocks=(1,), attention=("self+text",), text_dim=16,
            head_dim=8, low_res=low_res_size is not None, patch_size=2,
        )  # fmt: skip
        stage = StageConfig(name=name, image_size=size, low_res_size=low_res_size, unet=unet)
        torch.manual_seed(size)
        network = build_unet(unet)
        for parameter in network.parameters():
            torch.nn.init.normal_(parameter, std=0.2)
        save_stage(folder / name, stage, network.state_dict())
    (folder / "config.toml").write_text(
        '[model]\ntext_encoder = "text_encoder"\nbase = "base"\nsuper_resolution = ["sr32"]\n', encoding="utf-8"
    )
    return folder


def draw(cascade: Path, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["generate", "--model", str(cascade), *arguments])


SETTINGS = ("--stage", "base.steps=2", "--stage", "sr32.steps=2", "--stage", "sr32.guidance=3")


def test_one_command_runs_a_cascade_and_saves_its_stages(cascade: Path) -> None:
    prompts = ("--prompt", "a red apple", "--prompt", "three pears", "--samples", "2")
    result = draw(cascade, *prompts, *SETTINGS, "--save-stages", "--out", "all", "--json")
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    assert [row["file"] for row in told["images"]] == [f"all/00{p}_{s}.png" for p in (1, 2) for s in (0, 1)]
    assert told["stages"] == {"base": [f"all/base/00{p}_{s}.png" for p in (1, 2) for s in (0, 1)]}
    assert pixels("all/002_1.png").shape == (32, 32, 3)
    assert pixels("all/base/002_1.png").shape == (16, 16, 3)

    one = draw(cascade, "--prompt", "three pears", "--seed", "1", *SETTINGS, "--out", "one.png")
    assert one.exit_code == 0, one.output
    assert np.abs(pixels("one.png").astype(int) - pixels("all/002_1.png").astype(int)).max() <= 1

    first = [Path("first") / f"{p}.png" for p in (1, 2)]
    first[0].parent.mkdir()
    for place, file in enumerate(first, start=1):
        shutil.copy(f"all/base/00{place}_0.png", file)
    again = draw(cascade, *prompts[:4], *SETTINGS, "--from-image", "first", "--out", "again")
    assert again.exit_code == 0, again.output
    for place in (1, 2):
        saved, continued = pixels(f"all/00{place}_0.png"), pixels(f"again/00{place}_0.png")
        assert np.abs(saved.astype(int) - continued.astype(int)).max() <= 1


def test_one_image_serves_all_prompts_and_one_prompt_all_images(cascade: Path) -> None:
    assert draw(cascade, "--prompt", "a", "--stage", "base.steps=1", "--samples", "3", "--out", "low").exit_code == 0
    shutil.rmtree("low/base", ignore_errors=True)
    Path("low/sheet.png").unlink()
    one = draw(cascade, "--prompt", "a", "--prompt", "b", "--from-image", "low/001_0.png", "--out", "one")
    assert one.stdout.split() == ["one/sheet.png", "one/001_0.png", "one/002_0.png"]
    many = draw(cascade, "--prompt", "a", "--from-image", "low", "--out", "many")
    assert len(many.stdout.split()) == 4
    wrong = draw(cascade, "--prompt", "a", "--prompt", "b", "--from-image", "low")
    assert wrong.exit_code == 1
    assert wrong.stderr.startswith("error: found 3 images in 'low' for 2 prompts, expected as many")


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--stage", "sr23.steps=2"], 1, "unknown key 'sr23': did you mean 'sr32'"),
        (["--stage", "sr23"], 1, "no stage 'sr23': did you mean 'sr32'"),
        (["--stage", "base.guidance=2"], 1, "or --guidance"),
        (["--stage", "base", "--stage", "sr32"], 2, "names two stages to stop at"),
        (["--stage", "base.steps"], 2, "not of the form STAGE.OPTION=VALUE"),
        (["--stage", "=3"], 2, "not of the form STAGE.OPTION=VALUE"),
        (["--save-stages", "--out", "x.png"], 2, "give --out DIR"),
        (["--from-image", "nothing.png"], 2, "does not exist"),
    ],
)
def test_wrong_stages_are_told_in_one_line(cascade: Path, arguments: list[str], code: int, message: str) -> None:
    result = draw(cascade, "--prompt", "a", *arguments)
    assert result.exit_code == code
    assert message in result.stderr.splitlines()[-1]
    assert not Path("generated").exists()


def test_a_generator_without_stages_says_so() -> None:
    result = invoke("--prompt", "a", "--save-stages")
    assert result.exit_code == 1
    assert "shows no stages" in result.stderr.splitlines()[-1]


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--prompt", "a", "--samples", "0"],
        ["--prompt", "a", "--seed", "-1"],
        ["--prompt", "a", "--guidance", "-1"],
    ],
)
def test_usage_errors(arguments: list[str]) -> None:
    assert invoke(*arguments).exit_code == 2


def test_a_file_of_another_kind_is_refused_before_anything_is_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    import toy_bench

    def never(*_: object) -> None:
        raise AssertionError("an image was drawn")

    monkeypatch.setattr(toy_bench, "sample", never)
    Path("mine.txt").write_text("mine")
    result = invoke("--prompt", "a", "--out", "mine.txt")
    assert result.exit_code == 2
    assert "--out mine.txt is a file: give a folder, or a file that ends in .png" in result.stderr
    assert Path("mine.txt").read_text() == "mine"
