"""The training objective: regression on the network's target at random noise levels (Imagen, eq. 1 and section 2.1)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from imagen_bench.imagen.config import DiffusionConfig, StageConfig
from imagen_bench.imagen.lowres import downscale, low_res_input
from imagen_bench.imagen.schedule import diffuse, target_of
from imagen_bench.imagen.text import TextBatch

MAX_FACTOR = 1e4
"""Largest factor between the error of a network's own target and the error that is asked for."""


@dataclass(frozen=True)
class Rows:
    """Rows `start` to `stop` of a batch of `total`, which goes through the network in several parts or processes."""

    start: int
    stop: int
    total: int

    def of(self, values: Tensor) -> Tensor:
        """These rows of a tensor that holds all of them."""
        return values[self.start : self.stop]

    def parts(self, count: int) -> list[Rows]:
        """`count` runs of equal length that together are these rows."""
        size = -(-(self.stop - self.start) // count)
        starts = range(self.start, self.stop, size)
        return [Rows(start, min(start + size, self.stop), self.total) for start in starts]


def diffusion_loss(
    network: nn.Module, stage: StageConfig, x: Tensor, text: TextBatch, generator: torch.Generator,
    rows: Rows | None = None,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """Weighted squared error of one batch, or of some rows of one.

    The noise of a row does not depend on which rows come with it: a batch gives the same losses in parts.

    Args:
        network: a U-Net of the stage.
        stage: what the network is trained for.
        x: images (N,3,H,W) float32 in [-1, 1]; for super-resolution at the high resolution, full or cropped.
        text: embeddings of the captions; a share `text_drop` becomes the null condition here.
        generator: CPU generator of all randomness, so that a step can be repeated.
        rows: which rows of their batch x and text are; all of it where it is None.

    Returns:
        Loss of each sample (N,), and its time t (N,).
    """
    rows = rows or Rows(0, len(x), len(x))
    n, device = rows.total, x.device
    strata = (torch.rand((), generator=generator) + torch.arange(n) / n) % 1.0
    t = rows.of(strata[torch.randperm(n, generator=generator)]).to(device)
    log_snr = stage.diffusion.noise_schedule().log_snr(t)
    noise = _RowNoise(n, rows, generator)
    eps = noise.like(x)
    text = text.dropped(rows.of(torch.rand(n, generator=generator) < stage.text_drop).to(device))
    low_res, aug_log_snr = None, None
    if stage.low_res_size is not None:
        aug_level = rows.of(torch.rand(n, generator=generator)).to(x) * stage.aug_level_max
        small = downscale(x, stage.enlargement)
        low_res, aug_log_snr = low_res_input(small, aug_level, noise.like(small), stage.enlargement)
    output = network(diffuse(x, eps, log_snr), log_snr, text.tokens, text.mask, low_res, aug_log_snr)
    target = target_of(stage.diffusion.prediction, x, eps, log_snr)
    error = (output.to(target.dtype) - target).square().flatten(1).mean(1)
    return error * loss_weight(stage.diffusion, log_snr), t


class _RowNoise:
    """Normal noise for rows of a batch, each from a generator of its own, so that no other row need be drawn."""

    def __init__(self, total: int, rows: Rows, generator: torch.Generator) -> None:
        seeds = rows.of(torch.randint(2**62, (total,), generator=generator))
        self._generators = [torch.Generator().manual_seed(seed) for seed in seeds.tolist()]

    def like(self, x: Tensor) -> Tensor:
        """Standard normal noise in the shape, precision and place of N...; later calls give other noise."""
        drawn = [torch.randn(x.shape[1:], generator=generator) for generator in self._generators]
        return torch.stack(drawn).to(x)


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
