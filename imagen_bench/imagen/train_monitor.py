"""A look at a training: the loss on held-out pictures by noise level, and a grid of samples."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from imagen_bench.imagen.cascade import Sampling, sample_stage
from imagen_bench.imagen.config import StageConfig
from imagen_bench.imagen.loss import diffusion_loss
from imagen_bench.imagen.lowres import downscale
from imagen_bench.imagen.samplers import Sampler
from imagen_bench.imagen.text import TextBatch, TextEncoder
from imagen_bench.imagen.train_recipe import SamplesConfig
from imagen_bench.images import contact_sheet, to_model, to_uint8

NOISE_LEVELS = 8


@torch.no_grad()
def noise_level_losses(
    network: nn.Module, stage: StageConfig, batches: Iterable[tuple[Tensor, TextBatch]]
) -> list[dict[str, Any]]:
    """The training loss on given pictures, always with the same noise and never without text.

    Args:
        network: the stage's U-Net.
        stage: its configuration.
        batches: images (N,3,H,W) float32 in [-1, 1] and their texts.

    Returns:
        One row for all times and one for each eighth of [0, 1]: t_low, t_high, mean loss, n. An eighth without
        samples has an empty loss.
    """
    kept = stage.model_copy(update={"text_drop": 0.0})
    parts = [
        diffusion_loss(network, kept, x, text, torch.Generator().manual_seed(index))
        for index, (x, text) in enumerate(batches)
    ]
    losses = torch.cat([part[0] for part in parts]).double().cpu()
    places = (torch.cat([part[1] for part in parts]).cpu() * NOISE_LEVELS).long().clamp(0, NOISE_LEVELS - 1)
    rows = [_row(0.0, 1.0, losses)]
    for level in range(NOISE_LEVELS):
        rows.append(_row(level / NOISE_LEVELS, (level + 1) / NOISE_LEVELS, losses[places == level]))
    return rows


def _row(low: float, high: float, losses: Tensor) -> dict[str, Any]:
    loss = f"{losses.mean().item():.6g}" if len(losses) else ""
    return {"t_low": low, "t_high": high, "loss": loss, "n": len(losses)}


def sample_grid(
    network: nn.Module, stage: StageConfig, encoder: TextEncoder, samples: SamplesConfig, pictures: Tensor,
    captions: list[str],
) -> Tensor:  # fmt: skip
    """Samples in one picture, uint8 3HW.

    Args:
        network: the stage's U-Net, in evaluation mode.
        stage: its configuration.
        encoder: the text encoder.
        samples: how to sample.
        pictures: uint8 NCHW of the stage's size; a super-resolution stage enlarges them, shown in rows of input, output
            and original.
        captions: of the pictures.
    """
    count = min(samples.count, len(captions))
    low_res, prompts = None, list(samples.prompts)
    if stage.low_res_size is not None:
        low_res = downscale(to_model(pictures[:count]), stage.enlargement)
    if low_res is not None or not prompts:
        prompts = captions[:count]
    sampling = Sampling(Sampler(samples.sampler, samples.steps), aug_level=min(samples.aug_level, stage.aug_level_max))
    seeds = [samples.seed + index for index in range(len(prompts))]
    text = encoder(prompts).to(next(network.parameters()).device)
    images = to_uint8(sample_stage(network, stage, sampling, text, seeds, samples.guidance_weight, low_res).cpu())
    if low_res is None:
        return contact_sheet(images, math.ceil(math.sqrt(len(images))))
    shown = to_uint8(low_res).repeat_interleave(stage.enlargement, -1).repeat_interleave(stage.enlargement, -2)
    return contact_sheet(torch.cat([shown, images, pictures[:count]]), count)
