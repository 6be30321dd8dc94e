"""`demo`: the shipped configs, run through the same code as `run`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from imagen_bench.cli.main import main

CONFIG = """
name = "{name}"
[model]
name = "imagen-emoji"
[prompts]
set = "emoji-bench"
limit = 3
[sweep]
guidance_weights = [1.0, 2.0]
[gallery]
[sheets]
guidance_weights = [1.0, 2.0]
"""


@pytest.fixture
def shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def asset(name: str) -> Path:
        file = tmp_path / Path(name).name
        file.write_text(CONFIG.format(name=file.stem))
        return file

    monkeypatch.setattr("imagen_bench.assets.asset", asset)


@pytest.mark.usefixtures("shipped")
@pytest.mark.parametrize(("arguments", "name"), [([], "demo"), (["--quick"], "demo-quick")])
def test_each_size_has_its_config_and_folder(arguments: list[str], name: str) -> None:
    result = CliRunner().invoke(main, ["demo", "--dry-run", "--json", *arguments])
    assert result.exit_code == 0, result.output
    plan = json.loads(result.stdout)
    assert plan["out"] == f"runs/{name}"
    assert plan["images"] == 6
    assert plan["stages"] == ["generate", "evaluate", "gallery", "sheets", "report"]


def test_help_says_what_it_needs() -> None:
    result = CliRunner().invoke(main, ["demo", "--help"])
    assert result.exit_code == 0
    assert "no network" in result.stdout
