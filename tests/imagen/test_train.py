from __future__ import annotations

import csv

import pytest
import torch
from safetensors.torch import load_file

from imagen_bench.errors import ModelError
from imagen_bench.imagen.checkpoint import load_stage
from imagen_bench.imagen.config import StageConfig, UNetConfig
from imagen_bench.imagen.text import TextEncoder
from imagen_bench.imagen.train import RecipeConfig, Trainer, learning_rate, random_crop


def stage(text_dim=16, low_res=False):
    unet = UNetConfig(
        kind="efficient", dim=16, channel_mult=(1, 2), blocks=(1, 1), attention=("none", "self+text"),
        text_dim=text_dim, head_dim=16, patch_size=2, low_res=low_res,
    )  # fmt: skip
    return StageConfig(
        name="toy", image_size=16, low_res_size=4 if low_res else None, unet=unet,
        diffusion={"prediction": "x0", "weighting": "v", "max_weight": 20.0},
    )  # fmt: skip


def batches(step):
    """Two captions, two flat colours."""
    red = torch.tensor([220, 30, 30], dtype=torch.uint8)
    blue = torch.tensor([30, 30, 220], dtype=torch.uint8)
    images = torch.stack([(red, blue)[index % 2].reshape(3, 1, 1).expand(3, 16, 16) for index in range(8)])
    return images, ["a red apple", "a blue crab"] * 4


def recipe(**more):
    settings = {
        "steps": 6,
        "batch_size": 8,
        "learning_rate": 2e-3,
        "warmup": 2,
        "decay": 2,
        "ema": 0.9,
        "log_every": 2,
        "checkpoint_every": 2,
    }
    return RecipeConfig(**(settings | more))


def rows(folder):
    with (folder / "loss.csv").open() as stream:
        return [{key: value for key, value in row.items() if key != "seconds"} for row in csv.DictReader(stream)]


def test_a_resumed_training_repeats_the_undisturbed_one(t5_folder, tmp_path):
    encoder = TextEncoder(t5_folder)
    Trainer(stage(), recipe(), batches, encoder, tmp_path / "whole").fit()
    interrupted = Trainer(stage(), recipe(), batches, encoder, tmp_path / "parts")

    def stop(step, loss):
        if step == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted.fit(stop)
    resumed = Trainer(stage(), recipe(seed=0), batches, encoder, tmp_path / "parts")
    resumed.resume()
    assert resumed.step == 2
    resumed.fit()
    assert rows(tmp_path / "parts") == rows(tmp_path / "whole")
    left, right = (load_file(tmp_path / name / "state.safetensors") for name in ("whole", "parts"))
    assert all(torch.equal(left[name], right[name]) for name in left)


def test_training_learns_what_the_captions_say(t5_folder, tmp_path):
    from imagen_bench.imagen.cascade import Sampling, sample_stage
    from imagen_bench.imagen.samplers import Sampler

    encoder = TextEncoder(t5_folder)
    Trainer(stage(), recipe(steps=250, log_every=50, checkpoint_every=250, decay=100), batches, encoder, tmp_path).fit()
    saved, network = load_stage(tmp_path / "stage")
    text = encoder(["a red apple", "a blue crab"])
    images = sample_stage(network, saved, Sampling(Sampler("ddim", 10)), text, [1, 2], 1.5)
    red, blue = images[0].mean((1, 2)), images[1].mean((1, 2))
    assert red[0] - red[2] > 0.5
    assert blue[2] - blue[0] > 0.5


def test_a_super_resolution_stage_trains_on_crops(t5_folder, tmp_path):
    trainer = Trainer(stage(low_res=True), recipe(crop=8, steps=2), batches, TextEncoder(t5_folder), tmp_path)
    trainer.fit()
    assert (tmp_path / "stage" / "model.safetensors").is_file()


def test_a_loss_that_is_not_finite_stops_and_keeps_the_last_checkpoint(t5_folder, tmp_path):
    trainer = Trainer(stage(), recipe(steps=20), batches, TextEncoder(t5_folder), tmp_path)

    def poison(step, loss):
        if step == 4:
            with torch.no_grad():
                next(trainer.network.parameters()).fill_(float("nan"))

    with pytest.raises(ModelError, match="became nan at step 4"):
        trainer.fit(poison)
    state = load_file(tmp_path / "state.safetensors")
    assert all(torch.isfinite(value).all() for value in state.values())


def test_text_width_must_agree(t5_folder, tmp_path):
    with pytest.raises(ModelError, match="gives 16 channels"):
        Trainer(stage(text_dim=8), recipe(), batches, TextEncoder(t5_folder), tmp_path)


def test_resuming_where_nothing_is_or_something_else_is_refused(t5_folder, tmp_path):
    encoder = TextEncoder(t5_folder)
    with pytest.raises(ModelError, match=r"no state\.safetensors"):
        Trainer(stage(), recipe(), batches, encoder, tmp_path).resume()
    Trainer(stage(), recipe(steps=2), batches, encoder, tmp_path).fit()
    with pytest.raises(ModelError, match="does not fit"):
        Trainer(stage(low_res=True), recipe(), batches, encoder, tmp_path).resume()


def test_learning_rate_warms_up_stays_and_falls_to_zero():
    plan = recipe(steps=100, warmup=10, decay=20, learning_rate=1.0)
    rates = [learning_rate(plan, step) for step in range(101)]
    assert rates[0] == pytest.approx(0.1)
    assert rates[10:80] == [1.0] * 70
    assert rates[90] == pytest.approx(0.5)
    assert rates[100] == 0.0


def test_crops_start_on_whole_low_resolution_pixels():
    x = torch.arange(64.0).reshape(1, 1, 8, 8)
    for seed in range(8):
        crop = random_crop(x, 4, torch.Generator().manual_seed(seed), grid=2)
        assert crop.shape == (1, 1, 4, 4)
        assert int(crop[0, 0, 0, 0]) % 2 == 0
        assert int(crop[0, 0, 0, 0]) // 8 % 2 == 0
