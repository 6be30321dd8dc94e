"""Samplers: from noise to an image along a grid of times, with any number of steps.

All of them see the network only through `x0_of(z, log_snr)`, the guided and thresholded x0 (N,3,H,W), and
draw noise only through `noise()`, one standard normal of z's shape a call. z and x0 are float32; the last
step lands on x0 itself, without noise. Time runs from 1 to 0 in equal steps of the schedule's time (Imagen,
section 2.1 and appendix A).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from imagen_bench.imagen.schedule import Schedule, alpha_sigma, x0_to_eps

SamplerKind = Literal["ddim", "ddpm", "dpmpp-2m"]
X0Of = Callable[[Tensor, Tensor], Tensor]
Noise = Callable[[], Tensor]


@dataclass(frozen=True)
class Sampler:
    """A sampling rule.

    Attributes:
        kind: "ddim" (Song et al. 2021, eta = 0; deterministic), "ddpm" (ancestral, with the variance
            interpolated between its two bounds by `gamma`: Imagen, appendix A), "dpmpp-2m" (DPM-Solver++
            multistep of second order, Lu et al. 2022, arXiv 2211.01095, algorithm 2; deterministic).
        steps: evaluations of the network.
        gamma: ancestral variance is sigma_upper^(2 gamma) sigma_lower^(2 (1 - gamma)); 0.3 by default.
    """

    kind: SamplerKind = "ddim"
    steps: int = 50
    gamma: float = 0.3

    def __call__(self, z: Tensor, schedule: Schedule, x0_of: X0Of, noise: Noise) -> Tensor:
        """Samples from z at t = 1 (N,3,H,W) and returns x0."""
        times = torch.linspace(1.0, 0.0, self.steps + 1, device=z.device)
        log_snrs = schedule.log_snr(times)
        step = {"ddim": _ddim, "ddpm": self._ddpm, "dpmpp-2m": _dpmpp_2m}[self.kind]
        previous: tuple[Tensor, Tensor] | None = None
        for index in range(self.steps):
            now, following = log_snrs[index], log_snrs[index + 1]
            x0 = x0_of(z, now.expand(len(z)))
            if index == self.steps - 1:
                return x0
            z = step(z, x0, now, following, previous, noise)
            previous = (x0, now)
        return z

    def _ddpm(self, z: Tensor, x0: Tensor, now: Tensor, following: Tensor, _: object, noise: Noise) -> Tensor:
        """z_s ~ N(mu(x0, z_t), interpolated variance): Imagen, appendix A, "discrete time ancestral sampler"."""
        alpha_s, sigma_s = alpha_sigma(following)
        alpha_t, sigma_t = alpha_sigma(now)
        one_minus_r = -torch.expm1(now - following)
        mean = torch.exp(now - following) * (alpha_s / alpha_t) * z + one_minus_r * alpha_s * x0
        lower, upper = one_minus_r * sigma_s**2, one_minus_r * sigma_t**2
        return mean + (lower ** (1.0 - self.gamma) * upper**self.gamma).sqrt() * noise()


def _ddim(z: Tensor, x0: Tensor, now: Tensor, following: Tensor, _: object, __: Noise) -> Tensor:
    """z_s = alpha_s x0 + sigma_s eps(z_t, x0): the same x0 and eps at the next noise level."""
    alpha, sigma = alpha_sigma(following)
    return alpha * x0 + sigma * x0_to_eps(x0, z, now.expand(len(z)))


def _dpmpp_2m(
    z: Tensor, x0: Tensor, now: Tensor, following: Tensor, previous: tuple[Tensor, Tensor] | None, _: Noise
) -> Tensor:
    """Second-order multistep in lambda = log-SNR / 2, with x0 extrapolated from the step before."""
    h = 0.5 * (following - now)
    if previous is not None:
        x0_before, before = previous
        ratio = h / (0.5 * (now - before))
        x0 = (1.0 + 0.5 * ratio) * x0 - 0.5 * ratio * x0_before
    alpha, sigma = alpha_sigma(following)
    return sigma / alpha_sigma(now)[1] * z - alpha * torch.expm1(-h) * x0
