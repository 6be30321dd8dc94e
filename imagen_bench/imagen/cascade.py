"""The cascade: text -> 64x64 -> 256x256 -> 1024x1024, every stage with its own sampling.

An image depends on prompt, seed and settings alone: every sample draws its noise from a CPU generator of its
own, seeded by its seed and the stage's name. Between stages an image is rounded to 8 bits, so that a stage
started from a saved image continues exactly where the cascade would have.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from imagen_bench.errors import InputError, ModelError
from imagen_bench.imagen.config import StageConfig
from imagen_bench.imagen.denoiser import Denoiser, Guidance
from imagen_bench.imagen.guidance import Threshold
from imagen_bench.imagen.lowres import low_res_input
from imagen_bench.imagen.samplers import Sampler
from imagen_bench.imagen.text import TextBatch
from imagen_bench.imagen.tiling import Tiling
from imagen_bench.images import to_model, to_uint8


@dataclass(frozen=True)
class Sampling:
    """How one stage is sampled.

    Attributes:
        sampler: the rule and its steps.
        threshold: keeps x0 in range.
        aug_level: noise on a super-resolution stage's input; `lowres` says what a level means. The paper's best FID
            was at 0, its best-looking pictures at 0.1 to 0.3.
        guidance_interval: see `Guidance`.
        tile: side of the tiles that the network sees, in pixels of the stage's output; None for whole images.
        tile_overlap: pixels that neighbouring tiles share at least; a quarter of the tile where not given.
        chunk: samples that go through the network together; None for all that are given.
    """

    sampler: Sampler = field(default_factory=Sampler)
    threshold: Threshold = field(default_factory=Threshold)
    aug_level: float = 0.1
    guidance_interval: tuple[float, float] | None = None
    tile: int | None = None
    tile_overlap: int | None = None
    chunk: int | None = None


@dataclass(frozen=True)
class StageRun:
    """A stage of a cascade, ready to draw: configuration, network, sampling and guidance weight."""

    stage: StageConfig
    network: nn.Module
    sampling: Sampling
    guidance_weight: float


def sample_cascade(
    runs: Sequence[StageRun], text: TextBatch, seeds: Sequence[int], start: Tensor | None = None,
    size: tuple[int, int] | None = None,
) -> Iterator[tuple[str, Tensor]]:  # fmt: skip
    """Runs stages one after the other.

    Args:
        runs: the stages; the first is a base stage, or a super-resolution stage if `start` is given.
        text: embeddings of the prompts (N), on the networks' device.
        seeds: one a prompt.
        start: low-resolution images uint8 N3hw to start from.
        size: height and width of the base stage's images; None for what it was trained on.

    Yields:
        Name and images of each stage as it finishes, uint8 N3HW on the CPU.
    """
    images = start
    for run in runs:
        low_res = None if images is None else to_model(images)
        drawn = sample_stage(
            run.network, run.stage, run.sampling, text, seeds, run.guidance_weight, low_res,
            size if images is None else None,
        )  # fmt: skip
        images = to_uint8(drawn.cpu())
        yield run.stage.name, images


def sample_stage(
    network: nn.Module, stage: StageConfig, sampling: Sampling, text: TextBatch, seeds: Sequence[int],
    guidance_weight: float, low_res: Tensor | None = None, size: tuple[int, int] | None = None,
) -> Tensor:  # fmt: skip
    """Draws one image per text and seed.

    Args:
        network: the stage's U-Net, in evaluation mode.
        stage: its configuration.
        sampling: sampler, threshold, aug level, tiles and chunks.
        text: embeddings of the prompts, on the network's device.
        seeds: one per prompt, non-negative.
        guidance_weight: w; at w = 1 the unconditional pass is skipped, at w = 0 the conditional one.
        low_res: images of the stage before (N,3,h,w) in [-1, 1], for a super-resolution stage.
        size: height and width of a base stage's images; None for what it was trained on.

    Returns:
        Images (N,3,H,W) float32 in [-1, 1] on the network's device; H and W are `size`, or for super-resolution
        the input's times the stage's enlargement.

    Raises:
        InputError: the counts of prompts, seeds and images differ, or images are given to a base stage or not to
            a super-resolution stage.
        ModelError: a size, tile or aug level that the stage cannot do.
    """
    _check_inputs(stage, text, seeds, low_res)
    if low_res is not None:
        size = (low_res.shape[-2] * stage.enlargement, low_res.shape[-1] * stage.enlargement)
    size = size or (stage.image_size, stage.image_size)
    tiling = check_sampling(stage, sampling, size)
    chunk = sampling.chunk or len(seeds)
    parts = []
    for first in range(0, len(seeds), chunk):
        rows = slice(first, first + chunk)
        guidance = Guidance(guidance_weight, sampling.guidance_interval)
        parts.append(
            _draw(
                network, stage, sampling, text.rows(rows), seeds[rows], guidance,
                None if low_res is None else low_res[rows], size, tiling,
            )
        )  # fmt: skip
    return torch.cat(parts)


@torch.inference_mode()
def _draw(
    network: nn.Module, stage: StageConfig, sampling: Sampling, text: TextBatch, seeds: Sequence[int],
    guidance: Guidance, low_res: Tensor | None, size: tuple[int, int], tiling: Tiling | None,
) -> Tensor:  # fmt: skip
    """Draws samples that go through the network together."""
    device = next(network.parameters()).device
    noises = SampleNoise([stage_seed(seed, stage.name) for seed in seeds], device)
    aug_log_snr = None
    if low_res is not None:
        level = torch.full((len(seeds),), sampling.aug_level, device=device)
        low_res, aug_log_snr = low_res_input(
            low_res.to(device), level, noises(low_res.shape[1:]), stage.enlargement
        )  # fmt: skip
    x0_of = Denoiser(network, stage, text, guidance, sampling.threshold, low_res, aug_log_snr, tiling)
    shape = (stage.unet.image_channels, *size)
    x0 = sampling.sampler(noises(shape), stage.diffusion.noise_schedule(), x0_of, lambda: noises(shape))
    return x0.clamp(-1.0, 1.0)


def _check_inputs(stage: StageConfig, text: TextBatch, seeds: Sequence[int], low_res: Tensor | None) -> None:
    """Refuses what does not belong together."""
    if not seeds or len(text.tokens) != len(seeds):
        raise InputError(f"found {len(text.tokens)} prompts and {len(seeds)} seeds, expected one seed a prompt")
    if low_res is None and stage.low_res_size is not None:
        raise InputError(f"stage {stage.name} enlarges images, and none were given: run the stage before it")
    if low_res is not None and stage.low_res_size is None:
        raise InputError(f"stage {stage.name} draws from text alone, and images were given: leave them out")
    if low_res is not None and len(low_res) != len(seeds):
        raise InputError(f"found {len(low_res)} images for {len(seeds)} prompts, expected one a prompt")


def check_sampling(stage: StageConfig, sampling: Sampling, size: tuple[int, int]) -> Tiling | None:
    """Refuses settings that a stage cannot do.

    Args:
        stage: the stage.
        sampling: its settings.
        size: height and width of the images that it shall draw.

    Returns:
        How its images are cut, None for whole ones.

    Raises:
        ModelError: the size, the tiles or the aug level do not suit the stage's network.
    """
    multiple = stage.unet.factor
    if size[0] % multiple or size[1] % multiple or min(size) <= 0:
        raise ModelError(
            f"stage {stage.name} cannot draw {size[1]}x{size[0]} pixels, expected multiples of {multiple}: "
            f"its network was made for {stage.image_size}x{stage.image_size}"
        )
    if stage.low_res_size is not None and sampling.aug_level > stage.aug_level_max:
        raise ModelError(
            f"aug_level of stage {stage.name} is {sampling.aug_level:g}, "
            f"expected at most {stage.aug_level_max:g}, the highest that it was trained on"
        )
    if sampling.tile is None:
        return None
    if stage.unet.position_size is not None:
        raise ModelError(f"stage {stage.name} learned positions of whole images and cannot be tiled: leave tile out")
    overlap = sampling.tile // 4 if sampling.tile_overlap is None else sampling.tile_overlap
    return Tiling(sampling.tile, overlap, multiple)


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
