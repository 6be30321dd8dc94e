"""`models list` and `models show`, on model folders made for the test."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from imagen_bench import assets
from imagen_bench.cli.main import main


@pytest.fixture(autouse=True)
def shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Ship one model `tiny` and a folder that is none, in place of the real ones."""
    package = tmp_path / "imagen_bench"
    model = package / "_assets" / "models" / "tiny"
    model.mkdir(parents=True)
    (model / "card.md").write_text("# Tiny model\n\nDraws dots.\n", encoding="utf-8")
    (model / "config.toml").write_text('name = "tiny"\nmade = 2026-01-02\n[expected]\nfd = 1.5\n', encoding="utf-8")
    (model / "weights.bin").write_bytes(bytes(10))
    (package / "_assets" / "models" / "unfinished").mkdir()
    monkeypatch.setattr(assets, "__file__", str(package / "assets.py"))
    return model


def run(*args: str) -> Result:
    return CliRunner().invoke(main, ["models", *args])


def test_list_shows_models_and_skips_other_folders() -> None:
    lines = run("list").stdout.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("tiny ")
    assert lines[0].endswith(" MB  Tiny model")
    assert [entry["name"] for entry in json.loads(run("list", "--json").stdout)] == ["tiny"]


def test_a_configuration_without_weights_says_so(shipped: Path) -> None:
    (shipped / "weights.bin").unlink()
    assert "no weights" in run("list").stdout
    assert json.loads(run("list", "--json").stdout)[0]["weights"] is False
    assert json.loads(run("show", "tiny", "--json").stdout)["weights"] is False


def test_show_prints_the_card_and_as_json_the_configuration() -> None:
    assert run("show", "tiny").stdout == "# Tiny model\n\nDraws dots.\n"
    details = json.loads(run("show", "tiny", "--json").stdout)
    assert details["config"] == {"name": "tiny", "made": "2026-01-02", "expected": {"fd": 1.5}}
    assert details["files"]["weights.bin"] == 10
    assert details["bytes"] == sum(details["files"].values())


def test_show_takes_a_folder(shipped: Path) -> None:
    assert run("show", str(shipped)).stdout.startswith("# Tiny model")


def test_folder_that_is_no_model_is_refused(shipped: Path) -> None:
    result = run("show", str(shipped.parent))
    assert result.exit_code == 1
    assert "is no model folder: expected card.md and config.toml" in result.stderr


def test_unknown_model_names_the_nearest() -> None:
    result = run("show", "tini")
    assert result.exit_code == 1
    assert "unknown model 'tini': did you mean 'tiny'?" in result.stderr
