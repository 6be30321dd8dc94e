from __future__ import annotations

import csv
import json

import pytest
import torch
from click.testing import CliRunner

from imagen_bench.cli.main import main


@pytest.fixture
def job(write_training, tmp_path):
    """A training configuration on a folder of three pictures with captions."""
    from imagen_bench.images import write_png

    for index in range(3):
        write_png(tmp_path / "images" / f"{index}.png", torch.full((3, 40, 24), 80 * index, dtype=torch.uint8))
    return write_training(tmp_path / "images")


def run(*arguments):
    return CliRunner().invoke(main, ["train", *map(str, arguments)])


def test_a_stage_trains_from_a_folder_and_resumes(job, tmp_path):
    done = run(job, "--json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["out"] == str(tmp_path / "out" / "stage")
    again = run(job)
    assert again.exit_code == 1
    assert "continue it with --resume" in again.stderr
    more = run(job, "--resume", "--set", "recipe.steps=6")
    assert more.exit_code == 0, more.output
    assert len((tmp_path / "out" / "loss.csv").read_text().splitlines()) == 4


def test_a_table_trains_with_validation_and_grids(job, tmp_path):
    done = run(
        job, "--data", tmp_path / "images" / "captions.csv", "--set", "data.kind=csv", "--set", "data.held_out=1",
        "--set", "recipe.validate_every=2", "--set", "samples.every=4", "--set", "samples.steps=2",
        "--set", "recipe.accumulate=2", "--set", "recipe.optimiser=adafactor", "--set", "recipe.precision=bf16",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    out = tmp_path / "out"
    assert [path.name for path in (out / "samples").iterdir()] == ["step-0000004.png"]
    assert (out / "validation.csv").read_text().count("\n") == 1 + 2 * 9
    record = json.loads((out / "stage" / "training.json").read_text())
    assert record["data"]["kind"] == "csv"
    assert record["recipe"]["optimiser"] == "adafactor"


def test_another_training_starts_from_the_first(job, tmp_path):
    assert run(job).exit_code == 0
    done = run(job, "--init-from", tmp_path / "out", "--out", tmp_path / "tuned", "--set", "recipe.steps=2")
    assert done.exit_code == 0, done.output
    record = json.loads((tmp_path / "tuned" / "stage" / "training.json").read_text())
    assert (record["step"], record["init_from"]) == (2, str(tmp_path / "out"))
    both = run(job, "--resume", "--init-from", tmp_path / "out")
    assert both.exit_code == 2
    assert "give one of them" in both.stderr


def test_an_interrupted_training_tells_how_to_continue(job, monkeypatch):
    from imagen_bench.imagen.train import Trainer

    def interrupt(self):
        raise KeyboardInterrupt

    monkeypatch.setattr(Trainer, "_train_step", interrupt)
    done = run(job)
    assert done.exit_code == 130
    assert "run the same command with --resume to continue" in done.stderr


def test_two_trainings_in_one_folder_are_refused(job, tmp_path):
    from imagen_bench.bench.lock import locked

    with locked(tmp_path / "out"):
        done = run(job)
    assert done.exit_code == 1
    assert "is in use by another imagen-bench" in done.stderr


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("recipe.stepz=3", "did you mean 'steps'"),
        ("stage.unet.kind=unett", "stage.unet.kind"),
        ("data.captions=nowhere.csv", "nowhere.csv"),
        ("task=scorer", "needs 'scorer'"),
        ("text_encoder=models/nothing", "nothing"),
        ("recipe.validate_every=2", "needs pictures to validate on: set data.held_out"),
        ("data.held_out=3", "3 of 3 pictures held out leave none"),
        ("recipe.accumulate=3", "batch_size 2 does not divide"),
        ("recipe.crop=6", "recipe.crop is 6: expected at most stage.image_size 16"),
        ("init_from=nowhere", "holds nothing to start from"),
        ("data.kind=parquet", "is no parquet file and no folder"),
        ("samples.evry=2", "did you mean 'every'"),
    ],
)
def test_wrong_jobs_are_refused_in_one_line(job, override, message, tmp_path):
    done = run(job, "--set", override)
    assert done.exit_code == 1
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("error: ")
    assert message in last
    assert not (tmp_path / "out" / "stage").exists()


@pytest.mark.parametrize("name", ["text_encoder", "scorer", "base", "sr256", "small"])
def test_the_recipes_that_ship_are_valid(name):
    from imagen_bench.assets import asset
    from imagen_bench.tiny.jobs import load_train_config

    config = load_train_config(asset(f"models/imagen-emoji/train/{name}.toml"))
    assert config.data.kind == "emoji"


def test_two_workers_train_as_one_process_does_and_resume(job, tmp_path, torchrun):
    from safetensors.torch import load_file

    six = ("--set", "recipe.steps=6", "--set", "recipe.batch_size=4", "--set", "recipe.accumulate=2", "--set")
    alone = run(job, *six, f"out={tmp_path / 'alone'}")
    assert alone.exit_code == 0, alone.output
    shared = tmp_path / "shared"
    first = torchrun(2, "train", job, *six, f"out={shared}", "--set", "recipe.steps=4")
    assert first.returncode == 0, first.stderr
    assert first.stdout.strip() == f"trained: {shared / 'stage'}"
    more = torchrun(2, "train", job, "--resume", *six, f"out={shared}")
    assert more.returncode == 0, more.stderr

    def losses(folder):
        with (folder / "loss.csv").open(newline="") as file:
            return [
                {key: float(value) for key, value in row.items() if key != "seconds"} for row in csv.DictReader(file)
            ]

    assert len(losses(shared)) == 3
    for mine, theirs in zip(losses(tmp_path / "alone"), losses(shared), strict=True):
        assert theirs == pytest.approx(mine, rel=1e-4, abs=1e-5)
    weights = [load_file(folder / "state.safetensors") for folder in (tmp_path / "alone", shared)]
    for name, value in weights[0].items():
        if name.startswith(("network.", "ema.")):
            assert torch.allclose(weights[1][name], value, atol=1e-5), name
