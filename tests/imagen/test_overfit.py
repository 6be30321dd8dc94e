"""A micro model learns eight captioned images by heart and draws each back from its caption."""

from __future__ import annotations

import pytest
import torch

from imagen_bench.imagen.cascade import Sampling, sample_stage
from imagen_bench.imagen.config import StageConfig, UNetConfig
from imagen_bench.imagen.efficient_unet import build_unet
from imagen_bench.imagen.loss import diffusion_loss
from imagen_bench.imagen.samplers import Sampler
from imagen_bench.imagen.text import TextBatch

STEPS, LOSS = 300, 0.02


def pictures():
    """Eight 16 x 16 images: one half in a colour of its own, the other grey."""
    images = torch.empty(8, 3, 16, 16)
    for index in range(8):
        ground = torch.tensor([(index >> bit & 1) * 1.4 - 0.7 for bit in range(3)])
        images[index] = ground[:, None, None]
        images[index, :, :, 8 * (index % 2) : 8 * (index % 2) + 8] = 0.0
    return images


def captions():
    tokens = torch.randn(8, 3, 8, generator=torch.Generator().manual_seed(0))
    return TextBatch(tokens, torch.ones(8, 3, dtype=torch.bool))


@pytest.mark.slow
def test_a_micro_model_learns_eight_images_and_draws_them_back():
    unet = UNetConfig(
        kind="efficient", dim=16, channel_mult=(1, 2), blocks=(1, 1), attention=("none", "self+text"), text_dim=8,
        head_dim=16, patch_size=2,
    )  # fmt: skip
    stage = StageConfig(
        name="base", image_size=16, unet=unet, diffusion={"prediction": "x0", "weighting": "x0"}
    )  # fmt: skip
    torch.manual_seed(0)
    network, x, text = build_unet(unet), pictures(), captions()
    optimiser = torch.optim.Adam(network.parameters(), lr=3e-3)
    schedule = torch.optim.lr_scheduler.LinearLR(optimiser, 1.0, 0.05, STEPS)
    recent = []
    for step in range(STEPS):
        loss = diffusion_loss(network, stage, x, text, torch.Generator().manual_seed(step))[0].mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        recent.append(loss.item())
    assert recent[0] > 0.2
    assert sum(recent[-50:]) / 50 < LOSS
    network.eval()
    for kind in ("ddim", "dpmpp-2m", "heun", "ddpm"):
        drawn = sample_stage(network, stage, Sampling(Sampler(kind, 20)), text, list(range(8)), 1.0)
        distances = (drawn[:, None] - x[None]).square().mean((2, 3, 4))
        assert distances.argmin(1).tolist() == list(range(8)), kind
        assert distances.diagonal().max() < 0.02, kind
