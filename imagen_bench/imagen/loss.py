"""The training objective: regression on the network's target at random noise levels (Imagen, eq. 1 and section 2.1)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from imagen_bench.imagen.config import DiffusionConfig, StageConfig
from imagen_bench.imagen.lowres import augment_low_res, downscale, upscale
from imagen_bench.imagen.schedule import Schedule, diffuse, target_of
from imagen_bench.imagen.text import TextBatch


def diffusion_loss(
    network: nn.Module, stage: StageConfig, x: Tensor, text: TextBatch, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Weighted squared error of one batch.

    Args:
        network: a U-Net of the stage.
        stage: what the network is trained for.
        x: images (N,3,H,W) float32 in [-1, 1]; for super-resolution at the high resolution, full or cropped.
        text: embeddings of the captions; a share `text_drop` becomes the null condition here.
        generator: CPU generator of all randomness, so that a step can be repeated.

    Returns:
        Loss of each sample (N,), and its time t (N,).
    """
    n, device = len(x), x.device
    t = ((torch.rand((), generator=generator) + torch.arange(n) / n) % 1.0)[torch.randperm(n, generator=generator)].to(
        device
    )
    log_snr = Schedule(stage.diffusion.schedule, stage.diffusion.shift).log_snr(t)
    eps = torch.randn(x.shape, generator=generator).to(device)
    text = text.dropped((torch.rand(n, generator=generator) < stage.text_drop).to(device))
    low_res, aug_log_snr = None, None
    if stage.low_res_size is not None:
        aug_level = torch.rand(n, generator=generator).to(device) * stage.aug_level_max
        small = downscale(x, x.shape[-1] * stage.low_res_size // stage.image_size)
        noise = torch.randn(small.shape, generator=generator).to(device)
        small, aug_log_snr = augment_low_res(small, aug_level, noise)
        low_res = upscale(small, x.shape[-1])
    output = network(diffuse(x, eps, log_snr), log_snr, text.tokens, text.mask, low_res, aug_log_snr)
    target = target_of(stage.diffusion.prediction, x, eps, log_snr)
    error = (output.float() - target).square().flatten(1).mean(1)
    return error * loss_weight(stage.diffusion, log_snr), t


def loss_weight(diffusion: DiffusionConfig, log_snr: Tensor) -> Tensor:
    """Factor that turns the error of the network's own target into the error that `weighting` asks for.

    An error of x0 weighs SNR as an error of eps and SNR + 1 as one of v; "min-snr" weighs min(SNR, gamma)
    (Hang et al. 2023, arXiv 2303.09556). The factor is bounded to stay finite at both ends of the schedule.
    """
    snr = log_snr.exp()
    own = {"eps": snr, "v": snr + 1.0, "x0": torch.ones_like(snr)}[diffusion.prediction]
    wanted = {"eps": snr, "v": snr + 1.0, "min-snr": snr.clamp(max=diffusion.min_snr_gamma)}[diffusion.weighting]
    if diffusion.max_weight is not None:
        wanted = wanted.clamp(max=diffusion.max_weight)
    return (wanted / own).clamp(1e-4, 1e4)
