"""Samplers: from noise to an image along a grid of noise levels, with any number of steps.

All of them see the network only through `x0_of(z, log_snr)`, the guided and thresholded x0 (N,C,H,W) of a batch
at one log-SNR, and draw noise only through `noise()`, one standard normal of z's shape a call. Coefficients are
computed in float64 on the host, so that a step costs a few elementwise operations on z. The last step lands on
x0 itself, without noise.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

import torch
from torch import Tensor

SamplerKind = Literal["ddim", "ddpm", "dpmpp-2m", "heun"]
Spacing = Literal["time", "log-snr", "karras"]
X0Of = Callable[[Tensor, float], Tensor]
Noise = Callable[[], Tensor]

# Karras et al. 2022 (arXiv 2206.00364), table 1: noise levels sigma / alpha and the exponent of their spacing.
KARRAS_MIN, KARRAS_MAX, KARRAS_RHO = 0.002, 80.0, 7.0


class LogSnrOfTime(Protocol):
    """What a sampler needs of a schedule."""

    def log_snr(self, t: Tensor) -> Tensor:
        """Log-SNR at times `t` in [0, 1]."""


@dataclass(frozen=True)
class Sampler:
    """A sampling rule.

    Attributes:
        kind: "ddim" (Song et al. 2021, arXiv 2010.02502, eta = 0; deterministic, first order), "ddpm" (ancestral,
            Imagen, appendix A), "dpmpp-2m" (DPM-Solver++ multistep, Lu et al. 2022, arXiv 2211.01095, algorithm
            2; deterministic, second order), "heun" (Karras et al. 2022, arXiv 2206.00364, algorithm 1 without
            churn; deterministic, second order, two evaluations of the network a step and one in the last).
        steps: noise levels that are visited, at least 1; any number, whatever the training was.
        gamma: of "ddpm": the variance is sigma_upper^(2 gamma) sigma_lower^(2 (1 - gamma)). The paper names the
            interpolation and no value; 0.3 is this project's default.
        spacing: "time" cuts the schedule's time into equal steps (Imagen), "log-snr" the log-SNR, "karras" takes
            rho = 7 between sigma / alpha of 80 and 0.002 (Karras et al. 2022, eq. 5). None means "karras" for
            "heun", whose trapezoid needs neighbouring levels of like size, and "time" for the others.
    """

    kind: SamplerKind = "ddim"
    steps: int = 50
    gamma: float = 0.3
    spacing: Spacing | None = None

    @property
    def evaluations(self) -> int:
        """How often the network runs for an image, guidance aside."""
        return 2 * self.steps - 1 if self.kind == "heun" else self.steps

    def levels(self, schedule: LogSnrOfTime) -> list[float]:
        """The log-SNRs at which x0 is predicted, `steps` of them, from noise to image."""
        spacing = self.spacing or ("karras" if self.kind == "heun" else "time")
        if spacing == "time":
            times = torch.linspace(1.0, 0.0, self.steps + 1, dtype=torch.float64)[:-1]
            levels: list[float] = schedule.log_snr(times).tolist()
            return levels
        first, last = schedule.log_snr(torch.tensor([1.0, 0.0], dtype=torch.float64)).tolist()
        if spacing == "log-snr":
            return [first + (last - first) * index / self.steps for index in range(self.steps)]
        high, low = (
            min(max(math.exp(-0.5 * level), KARRAS_MIN), KARRAS_MAX) ** (1.0 / KARRAS_RHO) for level in (first, last)
        )
        cuts = max(self.steps - 1, 1)
        return [-2.0 * KARRAS_RHO * math.log(high + (low - high) * index / cuts) for index in range(self.steps)]

    def __call__(self, z: Tensor, schedule: LogSnrOfTime, x0_of: X0Of, noise: Noise) -> Tensor:
        """Samples from z at t = 1, standard normal (N,C,H,W), and returns x0."""
        levels = self.levels(schedule)
        before: tuple[Tensor, float] | None = None
        for now, following in itertools.pairwise(levels):
            x0 = x0_of(z, now)
            if self.kind == "ddpm":
                z = ddpm_step(z, x0, now, following, self.gamma, noise())
            elif self.kind == "dpmpp-2m":
                z = dpmpp_2m_step(z, x0, now, following, before)
            else:
                euler = ddim_step(z, x0, now, following)
                z = euler if self.kind == "ddim" else heun_step(euler, x0, x0_of(euler, following), now, following)
            before = (x0, now)
        return x0_of(z, levels[-1])


def ddim_step(z: Tensor, x0: Tensor, now: float, following: float) -> Tensor:
    """z_s = alpha_s x0 + sigma_s eps with eps = (z_t - alpha_t x0) / sigma_t: Euler's step in sigma / alpha."""
    (alpha_t, sigma_t), (alpha_s, sigma_s) = _alpha_sigma(now), _alpha_sigma(following)
    ratio = sigma_s / sigma_t
    return ratio * z + (alpha_s - alpha_t * ratio) * x0


def ddpm_step(z: Tensor, x0: Tensor, now: float, following: float, gamma: float, noise: Tensor) -> Tensor:
    """z_s ~ N(mu(x0, z_t), variance interpolated in the log between its two bounds): Imagen, appendix A.

    The lower bound is the variance of q(z_s | z_t, x0), (1 - e^(l_t - l_s)) sigma_s^2, the upper that of
    q(z_t | z_s), (1 - e^(l_t - l_s)) sigma_t^2.
    """
    (alpha_t, sigma_t), (alpha_s, sigma_s) = _alpha_sigma(now), _alpha_sigma(following)
    kept, renewed = math.exp(now - following), -math.expm1(now - following)
    deviation = math.sqrt(renewed) * sigma_s ** (1.0 - gamma) * sigma_t**gamma
    return kept * alpha_s / alpha_t * z + renewed * alpha_s * x0 + deviation * noise


def dpmpp_2m_step(
    z: Tensor, x0: Tensor, now: float, following: float, before: tuple[Tensor, float] | None
) -> Tensor:  # fmt: skip
    """Second-order multistep in lambda = log-SNR / 2, with x0 extrapolated from the step before."""
    # Two levels that the schedule clamps to one value leave nothing to extrapolate from.
    if before is not None and now > before[1]:
        ratio = (following - now) / (now - before[1])
        x0 = (1.0 + 0.5 * ratio) * x0 - 0.5 * ratio * before[0]
    alpha, sigma = _alpha_sigma(following)
    return sigma / _alpha_sigma(now)[1] * z - alpha * math.expm1(-0.5 * (following - now)) * x0


def heun_step(euler: Tensor, x0: Tensor, x0_there: Tensor, now: float, following: float) -> Tensor:
    """Heun's correction of Euler's step, with x0 predicted again where that step arrived.

    In x = z / alpha and s = sigma / alpha the slope is (x - x0) / s, and the mean of both slopes moves x by
    (s_now / s_following - 1) / 2 times the change of x0 beyond Euler's step.
    """
    return euler + 0.5 * _alpha_sigma(following)[0] * math.expm1(0.5 * (following - now)) * (x0_there - x0)


def _alpha_sigma(log_snr: float) -> tuple[float, float]:
    """`schedule.alpha_sigma` of one number."""
    return 1.0 / math.sqrt(1.0 + math.exp(-log_snr)), 1.0 / math.sqrt(1.0 + math.exp(log_snr))
