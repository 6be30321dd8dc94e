"""The training objective: regression on the network's target at random noise levels (Imagen, eq. 1 and section 2.1)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from imagen_bench.imagen.config import DiffusionConfig, StageConfig
from imagen_bench.imagen.lowres import downscale, low_res_input
from imagen_bench.imagen.schedule import diffuse, target_of
from imagen_bench.imagen.text import TextBatch

MAX_FACTOR = 1e4
"""Largest factor between the error of a network's own target and the error that is asked for."""


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
    log_snr = stage.diffusion.noise_schedule().log_snr(t)
    eps = torch.randn(x.shape, generator=generator).to(x)
    text = text.dropped((torch.rand(n, generator=generator) < stage.text_drop).to(device))
    low_res, aug_log_snr = None, None
    if stage.low_res_size is not None:
        aug_level = torch.rand(n, generator=generator).to(x) * stage.aug_level_max
        small = downscale(x, stage.enlargement)
        noise = torch.randn(small.shape, generator=generator).to(x)
        low_res, aug_log_snr = low_res_input(small, aug_level, noise, stage.enlargement)
    output = network(diffuse(x, eps, log_snr), log_snr, text.tokens, text.mask, low_res, aug_log_snr)
    target = target_of(stage.diffusion.prediction, x, eps, log_snr)
    error = (output.to(target.dtype) - target).square().flatten(1).mean(1)
    return error * loss_weight(stage.diffusion, log_snr), t


def loss_weight(diffusion: DiffusionConfig, log_snr: Tensor) -> Tensor:
    """Factor (N,) that turns the error of the network's own target into the error that `weighting` asks for.

    Stated as weights of a squared x0 error, with SNR = alpha^2 / sigma^2: "x0" 1, "eps" SNR (Imagen, appendix A;
    Ho et al. 2020, arXiv 2006.11239, eq. 14), "v" SNR + 1 (Salimans and Ho 2022, arXiv 2202.00512, section 4),
    "min-snr" min(SNR, gamma) (Hang et al. 2023, arXiv 2303.09556), "p2" SNR / (k + SNR)^gamma (Choi et al. 2022,
    arXiv 2204.00227). `max_weight` bounds that weight. The factor itself is bounded by 10^4, which it would pass
    where one quantity says nothing about the other: eps at high and x0 at low noise.
    """
    snr = log_snr.exp()
    one = torch.ones_like(snr)
    own = {"eps": snr, "v": snr + 1.0, "x0": one}[diffusion.prediction]
    wanted = {
        "eps": snr,
        "x0": one,
        "v": snr + 1.0,
        "min-snr": snr.clamp(max=diffusion.min_snr_gamma),
        "p2": snr / (diffusion.p2_k + snr) ** diffusion.p2_gamma,
    }[diffusion.weighting]
    if diffusion.max_weight is not None:
        wanted = wanted.clamp(max=diffusion.max_weight)
    return (wanted / own).clamp(max=MAX_FACTOR)
