from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
import torch

from imagen_bench.config import validate
from imagen_bench.errors import ConfigError
from imagen_bench.images import write_png
from imagen_bench.tiny.jobs import DataConfig, TrainConfig, stage_batches

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "training.md"
EXAMPLES = re.findall(r"^```toml\n# (\w+)\.toml.*?\n(.*?)^```", DOCUMENT.read_text("utf-8"), re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize(("name", "text"), EXAMPLES, ids=[name for name, _ in EXAMPLES])
def test_the_configurations_of_the_document_are_valid(name, text):
    from imagen_bench.imagen.efficient_unet import build_unet
    from imagen_bench.imagen.train_recipe import check_crop

    config = validate(TrainConfig, tomllib.loads(text), name)
    check_crop(config.recipe, config.stage)
    with torch.device("meta"):
        build_unet(config.stage.unet)


def test_the_document_shows_two_configurations():
    assert [name for name, _ in EXAMPLES] == ["base", "sr1024"]


def test_validation_sees_none_of_the_pictures_trained_on(tmp_path):
    for index in range(6):
        write_png(tmp_path / f"{index}.png", torch.full((3, 8, 8), 40 * index, dtype=torch.uint8))
        (tmp_path / f"{index}.txt").write_text(f"picture {index}")
    data = DataConfig(kind="folder", root=str(tmp_path), held_out=2)
    train, validation = stage_batches(data, 2, 8)
    assert {caption for step in range(9) for caption in train(step)[1]}.isdisjoint(validation(0)[1])
    assert stage_batches(data.model_copy(update={"held_out": 0}), 2, 8)[1] is None


def test_a_task_without_its_sections_is_refused():
    with pytest.raises(ConfigError, match="task 'stage' needs 'stage'"):
        validate(TrainConfig, {"task": "stage", "out": "o", "data": {"root": "r"}}, "x.toml")
