"""`generate`: images of prompts and their sheet, with the seeds that a run's table shows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from imagen_bench.cli.main import main


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
