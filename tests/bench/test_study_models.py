"""Trainings of a study: which command makes each model, in which order, and what is refused."""

from __future__ import annotations

import shlex
import tomllib
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from imagen_bench.assets import asset
from imagen_bench.bench.study_models import CommonTraining, trainings_of
from imagen_bench.bench.variants import load_study
from imagen_bench.cli.main import main
from imagen_bench.cli.shipped import config_file
from imagen_bench.errors import ConfigError

COMMON = CommonTraining(config="train.toml", folder="models", data="my pictures", set={"recipe.steps": 10})
TRAINED = [
    file
    for file in sorted(asset("models/imagen-emoji/studies").glob("*.toml"))
    if "training" in tomllib.loads(file.read_text(encoding="utf-8"))
]


def test_the_command_says_all_that_the_study_says() -> None:
    table = {"model": "small", "set": {"stage.unet.attention": ["none", "self"], "recipe.steps": 5}}
    (training,) = trainings_of(COMMON, table, "s.toml: variants.a")
    assert shlex.split(training.command) == [
        "imagen-bench", "train", "train.toml", "--out", "models/small", "--data", "my pictures",
        "--set", "recipe.steps=5", "--set", 'stage.unet.attention=["none", "self"]',
    ]  # fmt: skip


def test_an_encoder_of_its_own_is_trained_first_and_named() -> None:
    encoder = {"model": "text", "config": "text.toml", "set": {"encoder.steps": 3}}
    first, second = trainings_of(COMMON, {"model": "small", "text_encoder": encoder}, "s.toml: variants.a")
    assert (first.config, first.out, first.overrides) == ("text.toml", Path("models/text"), ("encoder.steps=3",))
    assert second.overrides == ("recipe.steps=10", "text_encoder=models/text")


@pytest.mark.parametrize(
    ("common", "table", "said"),
    [
        (None, {"model": "a"}, r"needs a table \[training\] of the study"),
        (COMMON, {"model": "../a"}, "model"),
        (COMMON, {"modle": "a"}, "did you mean 'model'"),
        (COMMON, {"model": "a", "set": {"x": {"y": 1}}}, "set.x"),
    ],
)
def test_wrong_tables_are_refused_in_one_line(common: CommonTraining | None, table: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said) as refusal:
        trainings_of(common, table, "s.toml: variants.a")
    assert str(refusal.value).startswith("s.toml: variants.a.training")
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("file", TRAINED, ids=lambda file: file.stem)
def test_shipped_trainings_are_valid(file: Path) -> None:
    from imagen_bench.tiny.jobs import load_train_config

    study = load_study(file)
    for variant in study.variants:
        assert variant.config.model.name == variant.trainings[-1].out.as_posix()
        for training in variant.trainings:
            load_train_config(config_file(Path(training.config)), training.overrides)
    missing = CliRunner().invoke(main, ["run", str(file), "--out", "nowhere"])
    assert missing.exit_code == 1
    assert missing.stderr.splitlines()[-1].startswith("error: ")
    assert all(training.command in missing.stderr for variant in study.variants for training in variant.trainings)
    assert not Path("nowhere").exists()


def test_prompts_of_the_small_world_are_its_own() -> None:
    """Every noun of the prompts is a concept that the small models are trained on."""
    from imagen_bench.data.prompts import load_prompt_set

    world = tomllib.loads(asset("models/imagen-emoji/train/small-world.toml").read_text(encoding="utf-8"))
    rows = load_prompt_set("models/imagen-emoji/studies/small-prompts.csv").rows
    assert len({row.prompt for row in rows}) == len(rows) == 160
    for row in rows:
        named = [concept for concept in world["concepts"] if f" {concept} " in f" {row.prompt} "]
        assert len(named) == (2 if row.category == "positions" else 1), row.prompt
