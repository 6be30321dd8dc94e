"""docs/metrics.md names every metric and resize mode, and its examples are valid."""

from __future__ import annotations

import re
import shlex
import tomllib
from pathlib import Path

import click
import pytest

from imagen_bench.cli.main import main
from imagen_bench.config import ScoresSection, validate
from imagen_bench.metrics.base import metrics
from imagen_bench.metrics.resize import RESIZE_MODES
from imagen_bench.metrics.weights import CATALOGUE

TEXT = (Path(__file__).resolve().parents[1] / "docs" / "metrics.md").read_text(encoding="utf-8")


def fenced(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", TEXT, flags=re.MULTILINE | re.DOTALL)


def test_every_metric_and_every_resize_mode_is_described() -> None:
    built_in = {name for name in metrics.names() if metrics.get(name).__module__.startswith("imagen_bench.")}
    assert {name for name in built_in if f"`{name}`" not in TEXT} == set()
    assert {name for name in RESIZE_MODES if f"`{name}`" not in TEXT} == set()


@pytest.mark.parametrize("line", [line for block in fenced("bash") for line in block.splitlines()])
def test_commands_parse(line: str) -> None:
    command: click.Command = main
    program, *arguments = shlex.split(line)
    assert program == "imagen-bench"
    while isinstance(command, click.Group):
        found = command.get_command(click.Context(command), arguments[0])
        assert found is not None, arguments[0]
        command, arguments = found, arguments[1:]
    context = command.make_context("command", arguments)
    chosen = context.params.get("metrics") or ""
    assert {name for name in chosen.split(",") if name and name not in metrics.names()} == set()
    if command.name == "pull":
        assert context.params["name"] in CATALOGUE


def test_the_configuration_is_valid() -> None:
    (example,) = fenced("toml")
    scores = validate(ScoresSection, tomllib.loads(example)["scores"], "docs/metrics.md")
    assert all(name in metrics.names() for name in scores.metrics)
