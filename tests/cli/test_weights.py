from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

import pytest
from click.testing import CliRunner, Result

from imagen_bench.cli.main import main
from imagen_bench.metrics import weights, weights_pull

CONTENT = b"weights"


@pytest.fixture(autouse=True)
def published(monkeypatch: pytest.MonkeyPatch) -> None:
    """The catalogue's Inception weights are seven bytes, and every address answers with them."""
    entry = replace(weights.CATALOGUE["inception"], sha256=hashlib.sha256(CONTENT).hexdigest(), size=7)
    monkeypatch.setitem(weights.CATALOGUE, "inception", entry)

    def answer(target: BinaryIO, url: str, advice: str, *, progress: Callable[[int], object], **_: object) -> None:
        target.write(CONTENT)
        progress(len(CONTENT))

    monkeypatch.setattr(weights_pull, "download_to", answer)


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["weights", *map(str, arguments)])


def test_pull_list_and_verify(tmp_path: Path) -> None:
    assert "inception        missing: imagen-bench weights pull inception" in run("list").stdout
    pulled = run("pull", "inception")
    assert pulled.exit_code == 0, pulled.output
    assert pulled.stdout.startswith("inception: ok, SHA-256 ")
    assert "the published digest" in pulled.stdout
    listed = json.loads(run("list", "--json").stdout)
    states = {entry["name"]: entry["state"] for entry in listed}
    assert states.pop("inception") == "ready"
    assert set(states.values()) == {"missing"}
    assert run("verify").exit_code == 0

    Path(listed[0]["path"]).write_bytes(b"altered")
    failed = run("verify", "inception")
    assert failed.exit_code == 1
    assert failed.stdout == "inception: broken\n"
    assert failed.stderr.startswith("error: '")
    assert "remove it and run `imagen-bench weights pull inception`" in failed.stderr
    assert len(failed.stderr.splitlines()) == 1


def test_another_folder(tmp_path: Path) -> None:
    result = run("pull", "inception", "--weights-dir", tmp_path / "mine", "--json")
    assert json.loads(result.stdout)["path"] == str(tmp_path / "mine" / weights.CATALOGUE["inception"].file)
    assert run("verify", "inception", "--weights-dir", tmp_path / "mine").exit_code == 0
    missing = run("verify", "inception")
    assert missing.exit_code == 1
    assert "inception is not here: run `imagen-bench weights pull inception`" in missing.stderr


def test_unknown_name_is_one_line() -> None:
    result = run("pull", "inceptoin")
    assert result.exit_code == 1
    assert result.stderr.startswith("error: unknown weights 'inceptoin': did you mean 'inception'?")
    assert len(result.stderr.splitlines()) == 1
