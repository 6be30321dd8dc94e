"""The README's sample: small files, and reasons for being stale when what it shows has changed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from imagen_bench.assets import asset
from imagen_bench.config import dump_config, load_config
from imagen_bench.errors import InputError
from imagen_bench.files import sha256_file
from imagen_bench.report import sample as sample_module
from imagen_bench.report import style
from imagen_bench.report.sample import MOST_BYTES, PAGE_BYTES, stale_reasons, write_sample

SAMPLE = Path(__file__).resolve().parents[2] / "reports" / "sample"
REMEDY = "run `make sample` and commit reports/sample"


@pytest.mark.skipif(not (SAMPLE / "manifest.json").is_file(), reason=f"no sample with a manifest yet: {REMEDY}")
def test_the_shipped_sample_is_fresh() -> None:
    reasons = stale_reasons(SAMPLE, "models/imagen-emoji", asset("models/imagen-emoji/demo.toml"))
    assert reasons == [], f"reports/sample is stale: {REMEDY}"
    assert all((SAMPLE / f"{name}.png").stat().st_size <= MOST_BYTES for name in ("pareto", "guidance"))


CONFIG = """
name = "demo"
[model]
name = "imagen-emoji"
[prompts]
set = "emoji-bench"
[sweep]
guidance_weights = [1, 2, 5]
[scores]
extractor = "imagen-emoji"
reference = "imagen-emoji"
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    (tmp_path / "demo.toml").write_text(CONFIG)
    return tmp_path / "demo.toml"


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A model folder with one file of weights and the scores that `fd_at` gives at w = 1 and 2."""
    folder = tmp_path / "model"
    (folder / "base").mkdir(parents=True)
    (folder / "base" / "model.safetensors").write_bytes(b"weights")
    (folder / "config.toml").write_text("[expected.demo]\nguidance_weights = [1, 2]\nfd = [0.1634, 0.1182]\n")
    monkeypatch.setattr(sample_module, "asset", lambda name: _within(folder, name))
    return folder


def _within(folder: Path, name: str) -> Path:
    return folder / name.removeprefix("models/m").lstrip("/") if name.startswith("models/m") else asset(name)


@pytest.fixture
def run(make_run: Any, config: Path, model: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(style, "SUFFIXES", ("svg",))
    path: Path = make_run("demo", weights=(1.0, 2.0, 5.0), gallery=0)
    record = json.loads((path / "run.json").read_text())
    record["config"] = json.loads(json.dumps(dump_config(load_config(config))))
    record["model"]["weights_sha256"] = {"base": sha256_file(model / "base" / "model.safetensors")}
    (path / "run.json").write_text(json.dumps(record))
    return path


def test_a_sample_is_small_and_fresh_until_something_changes(
    run: Path, config: Path, model: Path, tmp_path: Path
) -> None:
    out = tmp_path / "sample"
    paths = write_sample(run, out)
    assert {path.name for path in paths} == {path.name for path in out.iterdir()}
    for name in ("pareto.png", "guidance.png"):
        with Image.open(out / name) as image:
            assert image.mode == "P"
            assert image.width <= 1400
        assert (out / name).stat().st_size <= MOST_BYTES
    assert (out / "index.html").stat().st_size <= PAGE_BYTES
    assert stale_reasons(out, "models/m", config) == []

    (model / "base" / "model.safetensors").write_bytes(b"other weights")
    (model / "config.toml").write_text("[expected.demo]\nguidance_weights = [1, 2]\nfd = [0.1634, 0.2]\n")
    config.write_text(CONFIG.replace("[1, 2, 5]", "[1, 2, 4]"))
    manifest = json.loads((out / "manifest.json").read_text())
    (out / "manifest.json").write_text(json.dumps(manifest | {"templates": "0" * 64}))
    with Image.open(out / "pareto.png") as image:
        size = image.size
    Image.new("RGB", size, "white").save(out / "pareto.png")
    assert stale_reasons(out, "models/m", config) == [
        "demo.toml has changed in sweep.guidance_weights",
        "the templates of the page have changed",
        "the weights of base have changed",
        "config.toml expects fd = 0.2 at w = 2",
        "the Pareto figure is drawn differently",
    ]


def test_a_figure_that_stays_large_is_refused(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sample_module, "MOST_BYTES", 1000)
    with pytest.raises(InputError, match=r"pareto\.png takes .* expected at most 1,000"):
        write_sample(run, tmp_path / "sample")
