"""The cascade: text -> 64x64 -> 256x256, each stage with its own steps, guidance weight, threshold and noise.

An image depends on prompt, seed and settings alone: every sample draws its noise from a CPU generator of its
own, seeded by its seed and the stage's name.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from imagen_bench.imagen.config import StageConfig
from imagen_bench.imagen.guidance import Threshold, guide
from imagen_bench.imagen.lowres import augment_low_res, upscale
from imagen_bench.imagen.samplers import Sampler
from imagen_bench.imagen.schedule import Schedule, output_to_x0
from imagen_bench.imagen.text import TextBatch


@dataclass(frozen=True)
class Sampling:
    """How one stage is sampled; `aug_level` is the noise on a super-resolution stage's input (0.1-0.3 looks best)."""

    sampler: Sampler = field(default_factory=Sampler)
    threshold: Threshold = field(default_factory=Threshold)
    aug_level: float = 0.1


def sample_stage(
    network: nn.Module, stage: StageConfig, sampling: Sampling, text: TextBatch, seeds: Sequence[int],
    guidance_weight: float, low_res: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """Draws one image per text and seed.

    Args:
        network: the stage's U-Net, in evaluation mode.
        stage: its configuration.
        sampling: sampler, threshold and aug level.
        text: embeddings of the prompts, on the network's device.
        seeds: one per prompt, non-negative.
        guidance_weight: w; at w = 1 the unconditional pass is skipped, at w = 0 the conditional one.
        low_res: images of the stage before (N,3,h,w) in [-1, 1], for a super-resolution stage.

    Returns:
        Images (N,3,H,W) float32 in [-1, 1] on the network's device; H and W are the stage's size, or for
        super-resolution the input's size times the stage's factor.
    """
    device = next(network.parameters()).device
    noises = SampleNoise([stage_seed(seed, stage.name) for seed in seeds], device)
    size, aug_log_snr = stage.image_size, None
    if stage.low_res_size is not None and low_res is not None:
        size = low_res.shape[-1] * stage.image_size // stage.low_res_size
        level = torch.full((len(seeds),), sampling.aug_level, device=device)
        noised, aug_log_snr = augment_low_res(low_res.to(device), level, noises(low_res.shape[1:]))
        low_res = upscale(noised, size)
    shape = (stage.unet.image_channels, size, size)
    x0_of = guided_x0(network, stage, sampling.threshold, text, guidance_weight, low_res, aug_log_snr)
    schedule = Schedule(stage.diffusion.schedule, stage.diffusion.shift)
    with torch.inference_mode():
        return sampling.sampler(noises(shape), schedule, x0_of, lambda: noises(shape)).clamp(-1.0, 1.0)


def guided_x0(
    network: nn.Module, stage: StageConfig, threshold: Threshold, text: TextBatch, guidance_weight: float,
    low_res: Tensor | None = None, aug_log_snr: Tensor | None = None,
) -> Callable[[Tensor, Tensor], Tensor]:  # fmt: skip
    """The function (z, log-SNR) -> guided, thresholded x0 that samplers see.

    Conditional and unconditional predictions come from one batched pass; guidance acts on the network's
    output (linear, so equal on eps, x0 and v), thresholding on the guided x0 (Imagen, section 2.3).
    """
    passes = {0.0: (text.null(),), 1.0: (text,)}.get(guidance_weight, (text, text.null()))
    tokens, mask = torch.cat([part.tokens for part in passes]), torch.cat([part.mask for part in passes])
    prediction = stage.diffusion.prediction

    def repeat(x: Tensor) -> Tensor:
        return torch.cat([x] * len(passes))

    low = None if low_res is None else repeat(low_res)
    aug = None if aug_log_snr is None else repeat(aug_log_snr)

    def x0_of(z: Tensor, log_snr: Tensor) -> Tensor:
        output = network(repeat(z), repeat(log_snr), tokens, mask, low, aug).float()
        if len(passes) == 2:
            conditional, unconditional = output.chunk(2)
            output = guide(conditional, unconditional, guidance_weight)
        return threshold(output_to_x0(prediction, output, z, log_snr))

    return x0_of


class SampleNoise:
    """Standard normal noise with a generator for every sample, so that a sample's noise never depends on its batch."""

    def __init__(self, seeds: Sequence[int], device: torch.device | str = "cpu") -> None:
        self._generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        self._device = device

    def __call__(self, shape: Sequence[int]) -> Tensor:
        """Noise (N, *shape); each call draws on."""
        return torch.stack([torch.randn(tuple(shape), generator=generator) for generator in self._generators]).to(
            self._device
        )


def stage_seed(seed: int, stage: str) -> int:
    """The seed of a sample in a stage: first 8 bytes of SHA-256 over "seed/stage", as a signed-safe integer."""
    return int.from_bytes(hashlib.sha256(f"{seed}/{stage}".encode()).digest()[:8], "big") >> 1
