"""docs/report.md names the options of `imagen-bench report`, and its commands parse."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from imagen_bench.cli.report import command

TEXT = (Path(__file__).resolve().parents[1] / "docs" / "report.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^imagen-bench report (.+)$", TEXT, flags=re.MULTILINE)


def test_every_option_is_named() -> None:
    options = {option for parameter in command.params for option in parameter.opts if option.startswith("--")}
    told = set(re.findall(r"--[a-z][a-z-]+", TEXT))
    assert options - {"--json", "--out"} <= told
    assert told <= options


@pytest.mark.parametrize("line", COMMANDS)
def test_commands_parse(line: str) -> None:
    context = command.make_context("report", shlex.split(line))
    assert context.params["runs"]


def test_there_are_commands() -> None:
    assert len(COMMANDS) >= 5
