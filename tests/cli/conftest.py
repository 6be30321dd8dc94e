"""What tests of several commands share: the toy benchmark as a working folder, a small training."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

TOYS = Path(__file__).parents[1] / "toys"
TOY_MODEL = """
name = "toy-model"
generator = "callable"
options = { target = "toy_bench:sample", batch_size = 4 }
"""
TOY_RUN = """
name = "{name}"
seed = 3
[model]
{model}
[prompts]
set = "{folder}/prompts.csv"
[sweep]
guidance_weights = [1.0, 2.0]
[scores]
extractor = "stub"
reference = "{folder}/reference"
{more}
"""
TRAINING = """
task = "stage"
out = "{out}"
text_encoder = "{encoder}"

[data]
kind = "folder"
root = "{captions.parent}"
captions = "{captions}"

[stage]
name = "base"
image_size = 16

[stage.unet]
kind = "efficient"
dim = 8
channel_mult = [1, 2]
blocks = [1, 1]
attention = ["none", "self+text"]
text_dim = 16
head_dim = 8
patch_size = 2

[stage.diffusion]
prediction = "x0"
weighting = "v"
max_weight = 20.0

[recipe]
steps = 4
batch_size = 2
learning_rate = 1e-3
log_every = 2
checkpoint_every = 2
"""


@pytest.fixture
def toy_world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with the toy benchmark's prompts and reference; "stub" is an extractor in it."""
    monkeypatch.syspath_prepend(str(TOYS))
    import toy_bench

    monkeypatch.setattr("imagen_bench.bench.evaluate.open_extractor", toy_bench.StubExtractor)
    monkeypatch.chdir(tmp_path)
    toy_bench.write_world(tmp_path)
    return tmp_path


@pytest.fixture
def write_toy_run(toy_world: Path) -> Callable[..., Path]:
    """Write the configuration of a run in the toy world, of the toy or another model, with `more` tables behind it."""

    def write(name: str, more: str = "", model: str = TOY_MODEL) -> Path:
        path = toy_world / f"{name}.toml"
        path.write_text(TOY_RUN.format(name=name, folder=toy_world, model=model, more=more), encoding="utf-8")
        return path

    return write


@pytest.fixture
def write_training(tmp_path: Path, t5_folder: Path) -> Callable[[Path], Path]:
    """Write a training of four steps on a folder of pictures, each of a red apple; returns its configuration."""

    def write(images: Path) -> Path:
        captions = images / "captions.csv"
        rows = [f"{image.name},a red apple\n" for image in sorted(images.glob("*.png"))]
        captions.write_text("file,caption\n" + "".join(rows), encoding="utf-8")
        path = tmp_path / "train.toml"
        path.write_text(TRAINING.format(out=tmp_path / "out", encoder=t5_folder, captions=captions), encoding="utf-8")
        return path

    return write
