from __future__ import annotations

import csv
import json

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from imagen_bench.errors import ConfigError, ModelError
from imagen_bench.files import sha256_file
from imagen_bench.imagen.checkpoint import load_stage
from imagen_bench.imagen.config import StageConfig, UNetConfig
from imagen_bench.imagen.efficient_unet import build_unet
from imagen_bench.imagen.loss import diffusion_loss
from imagen_bench.imagen.text import TextEncoder
from imagen_bench.imagen.train import Monitoring, Trainer
from imagen_bench.imagen.train_recipe import RecipeConfig, SamplesConfig
from imagen_bench.images import read_image, to_model


@pytest.fixture(scope="module")
def encoder(t5_folder):
    return TextEncoder(t5_folder)


def stage(text_dim=16, low_res=False, prediction="x0", **unet):
    settings = {
        "kind": "efficient", "dim": 16, "channel_mult": (1, 2), "blocks": (1, 1), "attention": ("none", "self+text"),
        "text_dim": text_dim, "head_dim": 16, "patch_size": 2, "low_res": low_res,
    }  # fmt: skip
    return StageConfig(
        name="toy", image_size=16, low_res_size=4 if low_res else None, unet=UNetConfig(**settings | unet),
        diffusion={"prediction": prediction, "weighting": "v", "max_weight": 20.0},
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


def rows(folder, name="loss.csv"):
    with (folder / name).open() as stream:
        return [{key: value for key, value in row.items() if key != "seconds"} for row in csv.DictReader(stream)]


def states(*folders):
    return [load_file(folder / "state.safetensors") for folder in folders]


def stop_at(last):
    def stop(step, loss):
        if step == last:
            raise KeyboardInterrupt

    return stop


@pytest.mark.parametrize(
    ("more", "unet"),
    [
        ({}, {}),
        ({"optimiser": "adafactor", "accumulate": 2, "weight_decay": 0.0}, {}),
        ({"precision": "bf16", "accumulate": 4, "crop": 8}, {"low_res": True, "dropout": 0.3}),
    ],
    ids=["adamw", "adafactor-accumulated", "bf16-crops-dropout"],
)
def test_a_resumed_training_repeats_the_undisturbed_one(encoder, tmp_path, more, unet):
    # Rows of the log span a checkpoint: what was seen since the last row must survive as well.
    plan, shape = recipe(log_every=3, validate_every=3, validation_batches=1, **more), stage(**unet)
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    watched = Monitoring(validation=batches)
    Trainer(shape, plan, batches, encoder, whole, monitoring=watched).fit()
    with pytest.raises(KeyboardInterrupt):
        Trainer(shape, plan, batches, encoder, parts, monitoring=watched).fit(stop_at(5))
    with (parts / "loss.csv").open("a") as stream:
        stream.write("6,4")  # a row that was being written
    torch.rand(7)
    resumed = Trainer(shape, plan, batches, encoder, parts, monitoring=watched)
    resumed.resume()
    assert resumed.step == 4
    resumed.fit()
    assert rows(parts) == rows(whole)
    assert [row["step"] for row in rows(whole)] == ["3", "6"]
    assert rows(parts, "validation.csv") == rows(whole, "validation.csv")
    left, right = states(whole, parts)
    assert left.keys() == right.keys()
    assert all(torch.equal(left[name], right[name]) for name in left)


@pytest.mark.parametrize("low_res", [False, True])
def test_accumulation_gives_the_gradient_of_the_whole_batch(encoder, tmp_path, low_res):
    shape, state = stage(low_res=low_res), tmp_path / "state.safetensors"
    Trainer(shape, recipe(steps=4), batches, encoder, tmp_path).fit()
    content = state.read_bytes()
    gradients, losses = [], []
    for parts in (1, 2, 8):
        state.write_bytes(content)
        trainer = Trainer(shape, recipe(steps=5, clip=1e9, accumulate=parts), batches, encoder, tmp_path)
        trainer.resume()
        trainer.fit(lambda step, loss: losses.append(loss))
        gradients.append(torch.cat([parameter.grad.flatten() for parameter in trainer.network.parameters()]))
    assert gradients[0].abs().max() > 1e-3
    for gradient, loss in zip(gradients[1:], losses[1:], strict=True):
        torch.testing.assert_close(gradient, gradients[0], rtol=0, atol=1e-6 * gradients[0].abs().max().item())
        assert loss == pytest.approx(losses[0], rel=1e-6)


def test_bf16_runs_and_keeps_float32_weights(encoder, tmp_path):
    losses = {}
    for precision in ("fp32", "bf16"):
        seen = losses[precision] = []
        trainer = Trainer(stage(), recipe(precision=precision), batches, encoder, tmp_path / precision)
        trainer.fit(lambda step, loss, seen=seen: seen.append(loss))
    assert losses["bf16"] != losses["fp32"]
    assert losses["bf16"] == pytest.approx(losses["fp32"], rel=0.02)
    assert {value.dtype for value in states(tmp_path / "bf16")[0].values()} == {torch.float32}


def test_checkpointing_of_activations_changes_nothing_but_memory(encoder, tmp_path):
    kept, losses = {}, {}
    for checkpointing in (False, True):
        shape = stage(kind="base", checkpointing=checkpointing)
        trainer = Trainer(shape, recipe(steps=2), batches, encoder, tmp_path / str(checkpointing))
        sizes, seen = [], losses.setdefault(checkpointing, [])
        with torch.autograd.graph.saved_tensors_hooks(lambda x, sizes=sizes: sizes.append(x.numel()) or x, lambda x: x):
            trainer.fit(lambda step, loss, seen=seen: seen.append(loss))
        kept[checkpointing] = sum(sizes)
    assert losses[True] == pytest.approx(losses[False], rel=1e-6)
    assert kept[True] < 0.6 * kept[False]


def test_validation_is_the_loss_of_the_averaged_weights_on_held_out_pictures(encoder, tmp_path):
    held_out = torch.randint(0, 256, (3, 8, 3, 16, 16), generator=torch.Generator().manual_seed(1), dtype=torch.uint8)
    captions = ["a red apple", "three crabs"] * 4
    watched = Monitoring(validation=lambda index: (held_out[index], captions))
    trainer = Trainer(
        stage(), recipe(validate_every=3, validation_batches=3), batches, encoder, tmp_path, monitoring=watched
    )
    trainer.fit()
    network = build_unet(stage().unet).eval()
    network.load_state_dict(trainer.ema)
    always = stage().model_copy(update={"text_drop": 0.0})
    losses, times = [], []
    with torch.no_grad():
        for index in range(3):
            noise = torch.Generator().manual_seed(index)
            loss, t = diffusion_loss(network, always, to_model(held_out[index]), encoder(captions), noise)
            losses, times = np.append(losses, loss.numpy()), np.append(times, t.numpy())
    written = rows(tmp_path, "validation.csv")
    assert [row["step"] for row in written] == ["3"] * 9 + ["6"] * 9
    last = written[9:]
    assert float(last[0]["loss"]) == pytest.approx(losses.mean(), rel=1e-5)
    assert sum(int(row["n"]) for row in last[1:]) == int(last[0]["n"]) == 24
    for level, row in enumerate(last[1:]):
        inside = (times >= level / 8) & (times < (level + 1) / 8)
        assert int(row["n"]) == inside.sum() == 3
        assert float(row["loss"]) == pytest.approx(losses[inside].mean(), rel=1e-5)


class Board:
    def __init__(self):
        self.numbers, self.pictures, self.flushed = {}, [], 0

    def add_scalar(self, tag, scalar_value, global_step):
        self.numbers[tag, global_step] = scalar_value

    def add_image(self, tag, img_tensor, global_step):
        self.pictures.append((global_step, tuple(img_tensor.shape)))

    def flush(self):
        self.flushed = len(self.numbers)


@pytest.mark.parametrize("low_res", [False, True])
def test_grids_are_written_and_do_not_disturb_the_training(encoder, tmp_path, low_res):
    board = Board()
    samples = SamplesConfig(
        every=4, prompts=() if low_res else ("a red apple", "a blue crab", "three"), count=2, steps=2
    )
    watched = Monitoring(validation=batches, samples=samples, board=board)
    plan = recipe(validate_every=2, validation_batches=1)
    Trainer(stage(low_res=low_res), plan, batches, encoder, tmp_path / "seen", monitoring=watched).fit()
    Trainer(stage(low_res=low_res), recipe(), batches, encoder, tmp_path / "blind").fit()
    grids = sorted((tmp_path / "seen" / "samples").iterdir())
    assert [path.name for path in grids] == ["step-0000004.png", "step-0000006.png"]
    # Two prompts a row, or two columns of input, output and original.
    height = 3 * 18 + 2 if low_res else 2 * 18 + 2
    assert read_image(grids[0]).shape == (3, height, 2 * 18 + 2)
    assert board.pictures == [(4, (3, height, 38)), (6, (3, height, 38))]
    assert board.flushed == len(board.numbers)
    assert board.numbers["train/loss", 2] == float(rows(tmp_path / "seen")[0]["loss"])
    assert board.numbers["validation/all", 6] == float(rows(tmp_path / "seen", "validation.csv")[18]["loss"])
    assert rows(tmp_path / "seen") == rows(tmp_path / "blind")


def test_grids_show_the_averaged_weights(encoder, tmp_path):
    from imagen_bench.imagen.cascade import Sampling, sample_stage
    from imagen_bench.imagen.samplers import Sampler
    from imagen_bench.images import to_uint8

    samples = SamplesConfig(every=6, prompts=("a red apple",), steps=3, guidance_weight=2.0, seed=5)
    trainer = Trainer(stage(), recipe(), batches, encoder, tmp_path, monitoring=Monitoring(samples=samples))
    trainer.fit()
    network = build_unet(stage().unet).eval()
    network.load_state_dict(trainer.ema)
    drawn = sample_stage(network, stage(), Sampling(Sampler("ddim", 3)), encoder(["a red apple"]), [5], 2.0)
    shown = read_image(tmp_path / "samples" / "step-0000006.png")
    assert torch.equal(shown[:, 2:18, 2:18], to_uint8(drawn)[0])


def test_training_learns_what_the_captions_say(encoder, tmp_path):
    from imagen_bench.imagen.cascade import Sampling, sample_stage
    from imagen_bench.imagen.samplers import Sampler

    Trainer(stage(), recipe(steps=250, log_every=50, checkpoint_every=250, decay=100), batches, encoder, tmp_path).fit()
    saved, network = load_stage(tmp_path / "stage")
    text = encoder(["a red apple", "a blue crab"])
    images = sample_stage(network, saved, Sampling(Sampler("ddim", 10)), text, [1, 2], 1.5)
    red, blue = images[0].mean((1, 2)), images[1].mean((1, 2))
    assert red[0] - red[2] > 0.5
    assert blue[2] - blue[0] > 0.5


def test_a_super_resolution_stage_trains_on_crops_and_enlarges_whole_pictures(encoder, tmp_path):
    shape = stage(low_res=True, attention=("none", "cross"))
    shape = shape.model_copy(update={"diffusion": shape.diffusion.model_copy(update={"schedule": "linear"})})
    sizes = []
    trainer = Trainer(shape, recipe(crop=8, steps=2), batches, encoder, tmp_path)
    trainer.network.register_forward_pre_hook(lambda module, inputs: sizes.append(inputs[0].shape[-1]))
    trainer.fit()
    assert sizes == [8, 8]
    from imagen_bench.imagen.cascade import Sampling, sample_stage
    from imagen_bench.imagen.samplers import Sampler

    saved, network = load_stage(tmp_path / "stage")
    text = encoder(["a red apple"])
    drawn = sample_stage(network, saved, Sampling(Sampler("ddim", 2)), text, [1], 1.0, torch.zeros(1, 3, 4, 4))
    assert drawn.shape == (1, 3, 16, 16)


@pytest.mark.parametrize("crop", [10, 18, 32])
def test_crops_that_do_not_fit_the_stage_are_refused(encoder, tmp_path, crop):
    with pytest.raises(ConfigError, match=f"recipe.crop is {crop}: expected at most"):
        Trainer(stage(low_res=True), recipe(crop=crop), batches, encoder, tmp_path)


def test_a_loss_that_is_not_finite_stops_and_keeps_the_last_checkpoint(encoder, tmp_path):
    trainer = Trainer(stage(), recipe(steps=20), batches, encoder, tmp_path)

    def poison(step, loss):
        if step == 4:
            with torch.no_grad():
                next(trainer.network.parameters()).fill_(float("nan"))

    with pytest.raises(ModelError, match="the loss of toy became nan at step 4"):
        trainer.fit(poison)
    assert all(torch.isfinite(value).all() for value in states(tmp_path)[0].values())
    again = Trainer(stage(), recipe(steps=6, learning_rate=1e-4), batches, encoder, tmp_path)
    again.resume()
    again.fit()
    assert again.step == 6


def test_a_gradient_that_is_not_finite_never_reaches_the_weights(encoder, tmp_path):
    trainer = Trainer(stage(), recipe(), batches, encoder, tmp_path)
    next(trainer.network.parameters()).register_hook(lambda gradient: gradient * float("inf"))
    before = {name: value.clone() for name, value in trainer.network.state_dict().items()}
    with pytest.raises(ModelError, match="the gradient of toy became nan at step 0"):
        trainer.fit()
    assert all(torch.equal(value, before[name]) for name, value in trainer.network.state_dict().items())


def test_text_width_must_agree(encoder, tmp_path):
    with pytest.raises(ModelError, match="gives 16 channels"):
        Trainer(stage(text_dim=8), recipe(), batches, encoder, tmp_path)


def test_resuming_where_nothing_is_or_something_else_is_refused(encoder, tmp_path):
    def refused(match, shape=None, **more):
        with pytest.raises(ModelError, match=match):
            Trainer(shape or stage(), recipe(**more), batches, encoder, tmp_path).resume()

    refused(r"no state\.safetensors")
    Trainer(stage(), recipe(steps=2), batches, encoder, tmp_path).fit()
    refused("does not fit its configuration: .* first down", stage(blocks=(1, 2)))
    refused(r"was trained with stage\.diffusion\.prediction = x0, the configuration says eps", stage(prediction="eps"))
    refused(r"stage\.low_res_size = None, the configuration says 4", stage(low_res=True))
    refused("holds the state of adamw, recipe.optimiser is adafactor", optimiser="adafactor")
    refused("is at step 2, recipe.steps is 1: raise recipe.steps", steps=1)
    (tmp_path / "state.safetensors").write_bytes(b"half a file")
    refused("is no readable state of a training")


def test_the_state_of_an_older_version_is_continued(encoder, tmp_path):
    Trainer(stage(), recipe(steps=4), batches, encoder, tmp_path / "old").fit()
    whole = Trainer(stage(), recipe(steps=4), batches, encoder, tmp_path / "new")
    whole.fit()
    path = tmp_path / "old" / "state.safetensors"
    tensors = {name: value for name, value in load_file(path).items() if not name.startswith("log.")}
    save_file(tensors, path, metadata={"step": "4", "seconds": "1.5"})
    log = tmp_path / "old" / "loss.csv"
    log.write_text("\n".join(line.rsplit(",", 1)[0] for line in log.read_text().splitlines()) + "\n")
    for trainer in (Trainer(stage(), recipe(), batches, encoder, tmp_path / name) for name in ("old", "new")):
        trainer.resume()
        trainer.fit()
    left, right = states(tmp_path / "old", tmp_path / "new")
    assert all(torch.equal(left[name], right[name]) for name in right)
    assert [row["gradient_norm"] for row in rows(tmp_path / "old")[:2]] == ["", ""]
    assert rows(tmp_path / "old")[2] == rows(tmp_path / "new")[2]


def test_a_finished_training_is_extended_with_a_fresh_decay(encoder, tmp_path):
    Trainer(stage(), recipe(steps=4, log_every=1), batches, encoder, tmp_path).fit()
    longer = Trainer(stage(), recipe(steps=8, log_every=1), batches, encoder, tmp_path)
    longer.resume()
    longer.fit()
    rates = [float(row["learning_rate"]) for row in rows(tmp_path)]
    assert rates == pytest.approx([2e-3, 2e-3, 1e-3, 0, 2e-3, 2e-3, 1e-3, 0])


def test_another_training_starts_from_the_averaged_weights(encoder, tmp_path):
    first = Trainer(stage(), recipe(), batches, encoder, tmp_path / "first")
    first.fit()
    tuned = Trainer(stage(), recipe(seed=3), batches, encoder, tmp_path / "tuned")
    tuned.start_from(tmp_path / "first")
    assert tuned.step == 0
    assert all(torch.equal(value, first.ema[name]) for name, value in tuned.network.state_dict().items())
    from_stage = Trainer(stage(), recipe(seed=3), batches, encoder, tmp_path / "stage-tuned")
    from_stage.start_from(tmp_path / "first" / "stage")
    assert all(torch.equal(value, first.ema[name].half().float()) for name, value in from_stage.ema.items())
    tuned.fit()
    assert rows(tmp_path / "tuned")[0]["step"] == "2"


def test_what_cannot_be_started_from_is_refused(encoder, tmp_path):
    Trainer(stage(), recipe(steps=2), batches, encoder, tmp_path / "first").fit()
    folder = tmp_path / "first" / "stage"

    def refused(match, source, shape=None):
        with pytest.raises(ModelError, match=match):
            Trainer(shape or stage(), recipe(), batches, encoder, tmp_path / "tuned").start_from(source)

    refused("holds nothing to start from: expected the folder of a training", tmp_path)
    refused("predicts x0, stage.diffusion.prediction is v", folder, stage(prediction="v"))
    refused(r"of another shape, first conditioning.* \(64, 128\) for \(96, 128\)", folder, stage(dim=24))
    (folder / "model.safetensors").write_bytes((folder / "model.safetensors").read_bytes()[:-2] + b"xx")
    refused(r"has SHA-256 \w{12}\.\.\., its training\.json says", folder)


def test_the_record_tells_how_the_weights_were_made(encoder, tmp_path, t5_folder):
    watched = Monitoring(record={"data": {"root": "here"}})
    Trainer(stage(), recipe(), batches, encoder, tmp_path, monitoring=watched).fit()
    record = json.loads((tmp_path / "stage" / "training.json").read_text())
    assert (record["step"], record["samples"], record["data"]) == (6, 48, {"root": "here"})
    assert record["recipe"]["learning_rate"] == 2e-3
    assert record["weights_sha256"] == sha256_file(tmp_path / "stage" / "model.safetensors")
    with safe_open(tmp_path / "state.safetensors", framework="pt") as opened:
        assert opened.metadata()["optimiser"] == "adamw"
