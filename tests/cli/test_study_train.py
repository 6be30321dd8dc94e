"""`run --train` on a study that trains its models: what is missing, training, refusal of other models."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from imagen_bench.cli.main import main

MODEL = "options = { batch_size = 4, base = { steps = 1 } }"
TRAININGS = """
[training]
config = "{folder}/train.toml"
folder = "{folder}/models"
[variants.mean.training]
model = "mean"
set = {{ "stage.unet.pooling" = "mean" }}
[variants.attention.training]
model = "attention"
"""


@pytest.fixture
def study(
    toy_world: Path, write_toy_run: Callable[..., Path], write_training: Callable[[Path], Path],
    monkeypatch: pytest.MonkeyPatch,
) -> Path:  # fmt: skip
    monkeypatch.setattr("imagen_bench.report.page.write_report", lambda runs, out: out / "index.html")
    write_training(toy_world / "reference")
    return write_toy_run("poolings", TRAININGS.format(folder=toy_world), MODEL)


def invoke(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, ["run", *map(str, arguments)])


def test_a_study_trains_its_models_once_and_runs(study: Path, tmp_path: Path) -> None:
    command = f"imagen-bench train {tmp_path}/train.toml --out {tmp_path}/models/attention"
    one = invoke(study, "--variant", "attention", "--out", tmp_path / "out")
    assert one.exit_code == 1
    assert one.stderr == f"error: a model of this study is not trained yet: add --train, or run `{command}`\n"
    planned = json.loads(invoke(study, "--dry-run", "--json").stdout)
    assert planned["trainings"][1] == command
    done = invoke(study, "--train", "--limit", "3", "--out", tmp_path / "out")
    assert done.exit_code == 0, done.output
    assert "training 2 of 2" in done.stderr
    states = {path: path.stat().st_mtime_ns for path in tmp_path.glob("models/*/state.safetensors")}
    assert len(states) == 2
    record = json.loads((tmp_path / "out" / "mean" / "run.json").read_text())
    assert record["config"]["model"]["name"] == f"{tmp_path}/models/mean"
    again = invoke(study, "--train", "--limit", "3", "--out", tmp_path / "out")
    assert again.exit_code == 0, again.output
    assert {path: path.stat().st_mtime_ns for path in states} == states
    drawn = CliRunner().invoke(
        main, ["generate", "--model", f"{tmp_path}/models/mean", "--prompt", "a crab", "--out", str(tmp_path / "g")]
    )
    assert drawn.exit_code == 0, drawn.output


def test_models_trained_otherwise_or_half_are_not_taken(study: Path, tmp_path: Path) -> None:
    half = CliRunner().invoke(
        main, ["train", f"{tmp_path}/train.toml", "--out", f"{tmp_path}/models/attention", "--set", "recipe.steps=2"]
    )
    assert half.exit_code == 0, half.output
    other = invoke(study, "--variant", "attention")
    assert other.exit_code == 1
    assert f"{tmp_path}/models/attention was trained with recipe.steps = 2, asked was 4" in other.stderr
    (tmp_path / "models" / "attention" / "config.toml").unlink()  # as an interrupted training leaves it
    begun = invoke(study, "--variant", "attention")
    assert begun.stderr.rstrip().endswith("--resume`")
    done = invoke(study, "--variant", "attention", "--train", "--limit", "3", "--out", tmp_path / "out")
    assert done.exit_code == 0, done.output


def test_wrong_use_is_refused(study: Path, write_toy_run: Callable[..., Path]) -> None:
    study.write_text(study.read_text().replace('model = "attention"', 'model = "mean"'))
    assert "two variants train" in invoke(study).stderr
    assert invoke(write_toy_run("plain"), "--train").exit_code == 2
