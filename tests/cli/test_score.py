from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from imagen_bench.cli.main import main


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "made"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for index in range(12):
        Image.fromarray(rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)).save(folder / f"{index:02}.png")
    (tmp_path / "captions.txt").write_text("".join(f"a red cat {index}\n" for index in range(12)))
    return folder


def score(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["score", *map(str, arguments), "--device", "cpu"])


def test_table_on_stdout_and_progress_on_stderr(images: Path, clip_folder: Path) -> None:
    captions = images.parent / "captions.txt"
    result = score("--images", images, "--captions", captions, "--reference", images, "--extractor", clip_folder)
    assert result.exit_code == 0, result.output
    header, clip, fd, *rest = result.stdout.splitlines()
    assert header.split()[:3] == ["metric", "category", "value"]
    assert clip.startswith("CLIP score (tiny-clip)  all")
    assert fd.startswith("FD (tiny-clip)")
    assert "12x1" in fd
    assert any("features: openclip-" in line for line in rest)
    assert "warning: the images are those of the reference set" in result.stderr
    assert "warning" not in result.stdout


def test_json_alone_on_stdout(images: Path, clip_folder: Path) -> None:
    captions = images.parent / "captions.txt"
    result = score("--images", images, "--captions", captions, "--extractor", clip_folder, "--json")
    assert result.exit_code == 0, result.output
    data = json.loads(result.stdout)
    assert [entry["metric"] for entry in data["scores"]] == ["clip_score"]
    assert data["scores"][0]["low"] < data["scores"][0]["value"] < data["scores"][0]["high"]


def test_out_and_saved_statistics(images: Path, clip_folder: Path, tmp_path: Path) -> None:
    stats, out = tmp_path / "stats" / "ref.safetensors", tmp_path / "scores.csv"
    common = ("--images", images, "--extractor", clip_folder)
    first = score(*common, "--reference", images, "--save-stats", stats, "--out", out)
    assert first.exit_code == 0, first.output
    assert out.read_text().startswith("model,prompt_set,guidance_weight,category,metric,value,low,high,n,protocol\n")
    again = score(*common, "--reference", stats)
    assert again.stdout == first.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--metrics", "clip_score"], "error: metric 'clip_score' needs captions: give --captions FILE"),
        (["--metrics", "fdd", "--reference", "x"], "error: unknown metric 'fdd': did you mean 'fd'?"),
        ([], "error: nothing to score with"),
        (["--reference", "x", "--extractor", "imagen-emojy"], "error: unknown extractor 'imagen-emojy'"),
        (["--captions", "none.csv"], "error: cannot read captions 'none.csv'"),
    ],
)
def test_refusals_are_one_line(images: Path, arguments: list[str], message: str) -> None:
    result = score("--images", images, *arguments)
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr.startswith(message)
    assert len(result.stderr.splitlines()) == 1


def test_unreadable_image_is_named(images: Path, clip_folder: Path) -> None:
    (images / "05.png").write_bytes(b"\x89PNG broken")
    result = score("--images", images, "--captions", images.parent / "captions.txt", "--extractor", clip_folder)
    assert result.exit_code == 1
    assert "05.png" in result.stderr.splitlines()[-1]


def test_save_stats_without_a_reference_is_wrong_usage(images: Path) -> None:
    result = score("--images", images, "--save-stats", "x.safetensors")
    assert result.exit_code == 2
    assert "give --reference too" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--concordance", "--metrics", "fid"], "--concordance is FID in every resize mode"),
        (["--metrics", "kid", "--option", "kid=3"], "--option kid=3 is not of the form METRIC.KEY=VALUE"),
        (["--metrics", "fid", "--weights", "inception"], "--weights inception is not of the form NAME=FILE"),
        (["--inception", "a", "--weights", "inception=b"], "weights of inception are given twice"),
    ],
)
def test_wrong_usage(images: Path, arguments: list[str], message: str) -> None:
    result = score("--images", images, "--reference", images, *arguments)
    assert result.exit_code == 2
    assert message in result.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--metrics", "fid"], "error: weights of inception"),
        (["--metrics", "fid", "--inception", "none.pth"], "error: no weights file 'none.pth' for inception"),
        (["--concordance"], "error: weights of inception"),
        (["--metrics", "fid", "--resize", "bicubic"], "error: unknown resize mode 'bicubic'"),
        (["--metrics", "fid", "--option", "fid.n=3"], "error: options of metric 'fid': unknown key 'n'"),
    ],
)
def test_refusals_of_fixed_feature_spaces_are_one_line(images: Path, arguments: list[str], message: str) -> None:
    result = score("--images", images, "--reference", images, *arguments)
    assert result.exit_code == 1
    assert result.stdout == ""
    last = result.stderr.splitlines()[-1]
    assert last.startswith(message)
