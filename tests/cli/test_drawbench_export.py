"""`drawbench export`: arms from arguments, the study on disk, and messages in one line."""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from imagen_bench.cli.drawbench_export import parse_arms
from imagen_bench.cli.main import main
from imagen_bench.errors import InputError

PROMPTS = [("p1", "a cat", "animals"), ("p2", "a dog", "animals"), ("p3", "a bus", "things")]


def make_run(path: Path, weights: Sequence[float], size: int = 4, name: str | None = None) -> Path:
    rows = []
    for weight in weights:
        for number, (prompt_id, prompt, category) in enumerate(PROMPTS):
            relative = f"images/w={weight:g}/0000/{prompt_id}_0.png"
            (path / relative).parent.mkdir(parents=True, exist_ok=True)
            picture = Image.new("RGB", (size, size), (number * 80, int(weight * 20), 0))
            picture.putpixel((0, 0), (255, 255, 255))
            picture.save(path / relative)
            digest = hashlib.sha256((path / relative).read_bytes()).hexdigest()
            rows.append((prompt_id, prompt, category, 0, 17, weight, relative, digest, 0.1))
    columns = [
        "prompt_id",
        "prompt",
        "category",
        "index",
        "seed",
        "guidance_weight",
        "path",
        "sha256",
        "seconds",
    ]
    pd.DataFrame(rows, columns=columns).to_parquet(path / "samples.parquet", index=False)
    (path / "run.json").write_text(json.dumps({"schema": 1, "name": name or path.name}), encoding="utf-8")
    return path


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    return make_run(tmp_path / "sweep", [1, 3.5])


@pytest.fixture
def single(tmp_path: Path) -> Path:
    return make_run(tmp_path / "single", [2])


def export(*args: object) -> Result:
    return CliRunner().invoke(main, ["drawbench", "export", *map(str, args)])


def test_a_study_of_two_runs(sweep: Path, single: Path, tmp_path: Path) -> None:
    out = tmp_path / "study"
    result = export(f"{sweep}@3.5", single, "--out", out, "--sheets", 3, "--json")
    assert result.exit_code == 0, result.stderr
    answer = json.loads(result.stdout)
    assert answer["sheets"] == ["S01", "S02", "S03"]
    assert (answer["prompts"], answer["samples_per_side"], answer["warnings"]) == (3, 1, [])
    assert (Path(answer["public"]) / "sheet_S03.zip").is_file()
    with (Path(answer["private"]) / "key.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert {row["model_left"] for row in rows} == {"sweep@3.5", "single@2"}


def test_two_weights_of_one_run_and_the_text_output(sweep: Path, tmp_path: Path) -> None:
    result = export(f"{sweep}@1", f"{sweep}@3.5", "--out", tmp_path / "study", "--limit", 2)
    assert result.exit_code == 0, result.stderr
    assert "2 sheets of 2 comparisons, 1 image a side" in result.stdout
    assert "sheet_S01.zip, sheet_S02.zip" in result.stdout


def test_warnings_go_to_stderr(sweep: Path, tmp_path: Path) -> None:
    small = make_run(tmp_path / "small", [2], size=2)
    result = export(f"{sweep}@1", small, "--out", tmp_path / "study", "--json")
    assert "warning: the arms differ in image size" in result.stderr
    assert json.loads(result.stdout)["warnings"]


def test_a_missing_weight_lists_those_of_the_run(sweep: Path, single: Path, tmp_path: Path) -> None:
    result = export(sweep, single, "--out", tmp_path / "study")
    assert result.exit_code == 1
    assert "several guidance weights (1, 3.5); choose one" in result.stderr
    assert len(result.stderr.splitlines()) == 1
    result = export(f"{sweep}@2", single, "--out", tmp_path / "study")
    assert "no images at guidance weight 2; choose one of 1, 3.5" in result.stderr
    assert not (tmp_path / "study").exists()


@pytest.mark.parametrize("weight", ["two", "", "nan"])
def test_a_weight_that_is_no_number_is_refused(sweep: Path, single: Path, tmp_path: Path, weight: str) -> None:
    result = export(f"{sweep}@{weight}", single, "--out", tmp_path / "study")
    assert result.exit_code == 1
    assert f"{weight!r} is no guidance weight" in result.stderr


def test_exporting_again_with_other_settings_is_refused(sweep: Path, single: Path, tmp_path: Path) -> None:
    out = tmp_path / "study"
    assert export(f"{sweep}@1", single, "--out", out).exit_code == 0
    assert export(f"{sweep}@1", single, "--out", out).exit_code == 0
    result = export(f"{sweep}@3.5", single, "--out", out)
    assert result.exit_code == 1
    assert "holds another study" in result.stderr


def test_labels_differ_where_the_runs_have_one_name(tmp_path: Path) -> None:
    runs = [make_run(tmp_path / folder / "run", [2], name="same") for folder in ("a", "b")]
    labels = [arm.label for arm in parse_arms(*map(str, runs))]
    assert labels == [f"{run}@2" for run in runs]


def test_a_folder_with_an_at_sign_is_a_folder(tmp_path: Path) -> None:
    one = make_run(tmp_path / "run@5", [2])
    other = make_run(tmp_path / "other", [2])
    assert [arm.run for arm in parse_arms(str(one), f"{other}@2")] == [one, other]
    with pytest.raises(InputError, match="several"):
        parse_arms(str(make_run(tmp_path / "x@1", [1, 2])), str(other))


def test_wrong_usage_is_status_2(single: Path) -> None:
    assert export(single).exit_code == 2
    assert CliRunner().invoke(main, ["drawbench", "export", "--help"]).exit_code == 0
