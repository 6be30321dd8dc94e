"""The shipped configurations of the paper's networks: what they are, and how many parameters they have."""

from __future__ import annotations

import pytest
import torch

from imagen_bench.assets import asset
from imagen_bench.config import read_toml
from imagen_bench.generators.bundled import read_layout
from imagen_bench.imagen.config import UNetConfig
from imagen_bench.imagen.efficient_unet import build_unet
from imagen_bench.tiny.jobs import load_train_config

FOLDER = asset("models/imagen-2b")
NAMES = sorted(path.stem for path in (FOLDER / "train").glob("*.toml"))
BASE, SMALL, TO_256, TO_1024 = (
    "imagen-base-2b", "imagen-base-300m", "imagen-sr-256-600m", "imagen-sr-1024-400m"
)  # fmt: skip


def stage_of(name):
    return load_train_config(FOLDER / "train" / f"{name}.toml").stage


def count(unet, part=""):
    with torch.device("meta"):
        network = build_unet(unet)
    return sum(parameter.numel() for name, parameter in network.named_parameters() if part in name)


def millions(unet):
    return round(count(unet) / 1e6)


@pytest.mark.parametrize("name", NAMES)
def test_parameters_are_those_that_the_model_states(name):
    stated, card = read_toml(FOLDER / "config.toml")["parameters"], (FOLDER / "card.md").read_text(encoding="utf-8")
    unet = stage_of(name).unet
    found = {"total": count(unet), "text": count(unet, "text")}
    assert found == stated[name]
    row = next(line for line in card.splitlines() if line.startswith(f"| `train/{name}.toml`"))
    assert f"| {found['total'] / 1e6:,.1f} M | {found['text'] / 1e6:,.1f} M |" in row
    assert sorted(stated) == NAMES == sorted([BASE, SMALL, TO_256, TO_1024])


def test_without_text_the_small_base_is_adms_network_of_296_million():
    """ADM (arXiv 2105.05233, table of hyperparameters) prints 296M, with a class embedding and a variance output."""
    unet = stage_of(SMALL).unet
    class_embedding, variance = 1000 * 4 * unet.dim, 3 * (9 * unet.dim + 1)
    assert round((count(unet) - count(unet, "text") + class_embedding + variance) / 1e6) == 296
    big = stage_of(BASE).unet
    assert (count(big) - count(big, "text")) / 1e9 == pytest.approx(2.1, abs=0.01)


def test_other_readings_give_what_the_card_says():
    base, small, to_256, to_1024 = (stage_of(name).unet for name in (BASE, SMALL, TO_256, TO_1024))
    for unet, middle, narrow, short in ((base, 2206, 2234, 2139), (small, 378, 382, 310)):
        assert round((count(unet) - count(unet, "middle")) / 1e6) == middle
        assert millions(unet.model_copy(update={"cond_dim": unet.dim})) == narrow
        assert millions(unet.model_copy(update={"text_dim": 512})) == short
    for unet, as_wide, every in ((to_256, 477, 605), (to_1024, 472, 597)):
        assert millions(unet.model_copy(update={"attention_expansion": 1})) == as_wide
        # A skip into every other block of an up level, too: its norm, convolution and shortcut see twice the channels.
        more = [(unet.blocks[level] - 1, unet.channels(level)) for level in range(4)]
        wider = sum(blocks * (9 * c * c + 2 * c + 2 * c * c + c) for blocks, c in more)
        assert round((count(unet) + wider) / 1e6) == every


def test_the_configurations_are_the_papers():
    base, to_256, to_1024 = stage_of(BASE), stage_of(TO_256), stage_of(TO_1024)
    assert (base.image_size, to_256.image_size, to_1024.image_size) == (64, 256, 1024)
    assert (base.low_res_size, to_256.low_res_size, to_1024.low_res_size) == (None, 64, 256)
    assert [base.unet.channels(level) for level in range(4)] == [512, 1024, 1536, 2048]
    assert [to_256.unet.channels(level) for level in range(4)] == [128, 256, 512, 1024]
    assert to_256.unet.blocks == to_1024.unet.blocks == (2, 4, 8, 8)
    assert "self" not in "".join(to_1024.unet.attention)
    assert [stage.diffusion.schedule for stage in (base, to_256, to_1024)] == ["cosine", "cosine", "linear"]
    for name in NAMES:
        job = load_train_config(FOLDER / "train" / f"{name}.toml")
        assert (job.recipe.batch_size, job.recipe.learning_rate, job.recipe.warmup) == (2048, 1e-4, 10_000)
        assert (job.stage.text_drop, job.stage.diffusion.prediction) == (0.1, "eps")
        assert job.stage.unet.text_dim == 4096
    assert read_layout(FOLDER).text_encoder == "google/t5-v1_1-xxl"


@pytest.mark.parametrize("name", NAMES)
def test_a_narrow_copy_of_each_network_runs(name):
    unet = stage_of(name).unet
    assert isinstance(unet, UNetConfig)
    thin = unet.model_copy(update={"dim": 8, "head_dim": 8, "text_dim": 6, "heads": unet.heads and 2})
    size, low = 2 * thin.factor, torch.zeros(1)
    z = torch.randn(1, 3, size, size)
    more = (z, low) if thin.low_res else ()
    with torch.no_grad():
        out = build_unet(thin)(z, low, torch.randn(1, 3, 6), torch.ones(1, 3, dtype=torch.bool), *more)
    assert out.shape == z.shape
