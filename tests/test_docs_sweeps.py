"""docs/sweeps.md and docs/studies.md: commands are understood, files exist, configurations are valid."""

from __future__ import annotations

import re
import shlex
import tomllib
from pathlib import Path

import click
import pytest

from imagen_bench.assets import asset
from imagen_bench.bench.gates import parse_gate
from imagen_bench.bench.variants import load_study
from imagen_bench.cli.main import COMMANDS, main
from imagen_bench.cli.shipped import config_file
from imagen_bench.config import GUIDANCE_WEIGHTS, load_config
from imagen_bench.tiny.jobs import load_train_config

ROOT = Path(__file__).resolve().parents[1]
TEXT, FINDINGS = ((ROOT / "docs" / f"{name}.md").read_text(encoding="utf-8") for name in ("sweeps", "studies"))
LINES = [
    line for block in re.findall(r"^```console\n(.*?)^```", TEXT + FINDINGS, flags=re.MULTILINE | re.DOTALL)
    for line in block.splitlines()
]  # fmt: skip


@pytest.mark.parametrize("line", LINES)
def test_commands_are_understood(line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "low.png").touch()  # an earlier command writes it
    program, name, *arguments = shlex.split(line)
    assert program == "imagen-bench"
    assert name in COMMANDS
    context = click.Context(main)
    command = main.get_command(context, name)
    assert command is not None
    parsed = command.make_context(name, list(arguments), parent=context)
    for gate in parsed.params.get("gates", ()):
        parse_gate(gate)
    if name == "run":
        assert asset(f"models/{parsed.params['config']}").is_file()


def test_files_exist_and_presets_are_those_of_the_code() -> None:
    for file in re.findall(r"`(models/[\w./-]+)`", TEXT + FINDINGS):
        assert (ROOT / file).exists(), file
    rows = dict(re.findall(r"^\| `(imagen-\w+)` \| ([\d., ]+) \|", TEXT, flags=re.MULTILINE))
    assert {name: tuple(map(float, row.split(", "))) for name, row in rows.items()} == GUIDANCE_WEIGHTS
    shipped = {f"imagen-emoji/studies/{file.name}" for file in asset("models/imagen-emoji/studies").glob("*.toml")}
    assert set(re.findall(r"^\| `(imagen-emoji/studies/\S+)`", TEXT, flags=re.MULTILINE)) == shipped


def test_the_examples_are_studies(tmp_path: Path) -> None:
    _, example, trained = re.findall(r"^```toml\n(.*?)^```", TEXT, flags=re.MULTILINE | re.DOTALL)
    assert tomllib.loads(example)
    (tmp_path / "trained.toml").write_text(trained, encoding="utf-8")
    first, second = load_study(tmp_path / "trained.toml").variants
    assert first.config.model.name == "runs/train/mean-pooling"
    assert [training.out.name for training in second.trainings] == ["my-encoder", "own-encoder"]
    for training in (*first.trainings, *second.trainings):
        load_train_config(config_file(Path(training.config)), training.overrides)
    (tmp_path / "study.toml").write_text(example, encoding="utf-8")
    study = load_study(tmp_path / "study.toml")
    assert [variant.config.model.name for variant in study.variants] == [
        "checkpoints/t5-base",
        "checkpoints/t5-large",
        "checkpoints/t5-base",
    ]


def test_the_papers_protocols_are_valid() -> None:
    curves = load_config(asset("models/imagen-2b/coco-curves.toml"), ["model.name=somewhere"])
    assert (curves.prompts.set, len(curves.sweep.guidance_weights), curves.model.name) == ("coco-10k", 13, "somewhere")
    headline = load_config(asset("models/imagen-2b/coco-headline.toml"))
    # Saharia et al. 2022, table 1: w = 1.35 on the base, 8.0 on 64 -> 256, 30K prompts.
    assert (headline.prompts.set, headline.sweep.guidance_weights) == ("coco-30k", (1.35,))
    assert headline.model.options["sr256"]["guidance_weight"] == 8.0
