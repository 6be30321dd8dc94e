"""A generator of another package: installed by pip, found by its entry point, listed and run like ours."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from imagen_bench.bench.run import run_benchmark
from imagen_bench.cli.main import main
from imagen_bench.config import RunConfig, apply_overrides, dump_config, validate
from imagen_bench.generators.base import generators

PACKAGE = Path(__file__).parents[1] / "toys" / "plugin_package"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the package installed in it."""
    pytest.importorskip("pip", reason="pip is not installed")
    target = tmp_path_factory.mktemp("site")
    options = ["--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check", "--quiet"]
    command = [sys.executable, "-m", "pip", "install", *options, "--target", str(target), str(PACKAGE)]
    subprocess.run(command, check=True, capture_output=True)
    return target


@pytest.fixture(autouse=True)
def installed(site: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.setattr(generators, "_items", dict(generators._items))
    monkeypatch.setattr(generators, "_loaded", False)
    yield
    sys.modules.pop("striped_model", None)


def test_it_is_listed_beside_the_built_in_ones() -> None:
    result = CliRunner().invoke(main, ["models", "generators", "--json"])
    assert result.exit_code == 0, result.output
    listed = {row["name"]: row for row in json.loads(result.stdout)}
    assert {"bundled", "callable", "diffusers", "folder", "openai-images", "striped"} <= listed.keys()
    assert listed["striped"] == {
        "name": "striped",
        "package": "striped_model",
        "summary": "Open the model that draws stripes; `size` is its only option.",
    }
    text = CliRunner().invoke(main, ["models", "generators"]).stdout
    assert "striped        striped_model  Open the model that draws stripes" in text


def test_it_draws_from_the_command_line_and_in_a_run(toy: RunConfig, tmp_path: Path) -> None:
    arguments = ["generate", "--model", "s", "--generator", "striped", "--set", "size=8", "--prompt", "a", "--out"]
    result = CliRunner().invoke(main, [*arguments, str(tmp_path / "one.png")])
    assert result.exit_code == 0, result.output
    data = apply_overrides(dump_config(toy), ["sweep.guidance_weights=[1.0, 3.0]", "prompts.limit=3"])
    data["model"] = {"name": "my-stripes", "generator": "striped", "options": {"size": 8, "batch_size": 5}}
    folder = run_benchmark(validate(RunConfig, data, "test"), tmp_path / "run")
    assert folder.run["model"] == {"name": "my-stripes", "generator": "striped", "size": 8}
    assert len(folder.samples()) == 12
