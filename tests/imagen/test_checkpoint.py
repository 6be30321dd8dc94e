from __future__ import annotations

import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from imagen_bench.errors import ModelError
from imagen_bench.imagen.checkpoint import load_stage, save_stage
from imagen_bench.imagen.config import StageConfig, UNetConfig
from imagen_bench.imagen.efficient_unet import build_unet


@pytest.fixture
def saved(tmp_path):
    unet = UNetConfig(
        dim=8, channel_mult=(1, 2), blocks=(1, 1), attention=("none", "self+text"), text_dim=4, head_dim=8
    )
    stage = StageConfig(name="base", image_size=8, unet=unet)
    torch.manual_seed(0)
    network = build_unet(unet)
    save_stage(tmp_path, stage, network.state_dict())
    return tmp_path, stage, network


def test_what_was_saved_comes_back_in_half_precision(saved):
    folder, stage, network = saved
    loaded, other = load_stage(folder)
    assert loaded == stage
    assert not any(parameter.requires_grad for parameter in other.parameters())
    for name, value in network.state_dict().items():
        torch.testing.assert_close(other.state_dict()[name], value.half().float(), rtol=0, atol=0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda weights: weights.pop("stem.weight"), "1 missing, first stem.weight"),
        (lambda weights: weights.update(extra=torch.zeros(1)), "1 unknown, first extra"),
        (
            lambda weights: weights.update({"stem.bias": torch.zeros(3)}),
            r"1 of another shape, first stem\.bias \(3,\) for \(8,\)",
        ),
    ],
)
def test_weights_that_do_not_fit_are_refused_by_name(saved, change, message):
    folder, *_ = saved
    weights = load_file(folder / "model.safetensors")
    change(weights)
    save_file(weights, folder / "model.safetensors")
    with pytest.raises(ModelError, match=message):
        load_stage(folder)


def test_broken_files_are_refused_in_one_line(saved, tmp_path):
    folder, *_ = saved
    (folder / "model.safetensors").write_bytes(b"\x80\x04not safetensors")
    with pytest.raises(ModelError, match="cannot be read as safetensors"):
        load_stage(folder)
    config = json.loads((folder / "config.json").read_text())
    config["unet"]["dim"] = "wide"
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError, match=r"unet\.dim"):
        load_stage(folder)
    with pytest.raises(ModelError, match="holds no stage"):
        load_stage(tmp_path / "nothing")
