"""Noise schedules in continuous time, as log-SNR, and the algebra between x0, eps and v.

The forward process is variance preserving: z_t = alpha_t x + sigma_t eps with alpha^2 = sigmoid(log-SNR) and
sigma^2 = sigmoid(-log-SNR) (Imagen, arXiv 2205.11487, section 2.1 and appendix A; Kingma et al., arXiv
2107.00630). Time runs from t = 0 (clean) to t = 1 (noise). Log-SNR is clamped, because x0 = (z - sigma eps) /
alpha amplifies an error of eps without bound where alpha vanishes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

LOG_SNR_MIN, LOG_SNR_MAX = -15.0, 20.0

ScheduleKind = Literal["cosine", "linear"]
Prediction = Literal["eps", "x0", "v"]


@dataclass(frozen=True)
class Schedule:
    """Log-SNR as a function of time.

    Attributes:
        kind: "cosine" (Nichol and Dhariwal 2021, used for base and 64 -> 256) or "linear" (1,000-step betas
            1e-4 to 0.02 in their continuous limit, used for 256 -> 1024).
        shift: resolution to which the cosine schedule is shifted, log-SNR + 2 log(64 / shift) (Hoogeboom et
            al. 2023, eq. 4); 64 leaves it as it is.
    """

    kind: ScheduleKind = "cosine"
    shift: int = 64

    def log_snr(self, t: Tensor) -> Tensor:
        """Log-SNR at times `t` in [0, 1], any shape, clamped to [-15, 20]; falls monotonically."""
        if self.kind == "cosine":
            t = t.clamp(1e-6, 1.0 - 1e-6)
            log_snr = -2.0 * torch.log(torch.tan(0.5 * math.pi * t))
        else:
            log_snr = -torch.log(torch.expm1(1e-4 + 10.0 * t * t))
        if self.shift != 64:
            log_snr = log_snr + 2.0 * math.log(64 / self.shift)
        return log_snr.clamp(LOG_SNR_MIN, LOG_SNR_MAX)


def alpha_sigma(log_snr: Tensor) -> tuple[Tensor, Tensor]:
    """Signal and noise scale at a log-SNR: alpha = sqrt(sigmoid(l)), sigma = sqrt(sigmoid(-l))."""
    return torch.sigmoid(log_snr).sqrt(), torch.sigmoid(-log_snr).sqrt()


def time_of(log_snr: Tensor) -> Tensor:
    """The cosine schedule's time with this log-SNR, 2/pi atan(exp(-l/2)), in (0, 1).

    Networks are conditioned on this: one scale for every schedule, so that a model never depends on how time
    was cut.
    """
    return torch.atan(torch.exp(-0.5 * log_snr)) * (2.0 / math.pi)


def diffuse(x: Tensor, eps: Tensor, log_snr: Tensor) -> Tensor:
    """z_t = alpha_t x + sigma_t eps for images N3HW and one log-SNR a sample (N)."""
    alpha, sigma = alpha_sigma(per_sample(log_snr, x))
    return alpha * x + sigma * eps


def per_sample(values: Tensor, like: Tensor) -> Tensor:
    """Values of shape (N,) shaped to broadcast over (N, ...)."""
    return values.reshape(-1, *([1] * (like.ndim - 1)))


def target_of(prediction: Prediction, x: Tensor, eps: Tensor, log_snr: Tensor) -> Tensor:
    """What the network learns to output: eps (Imagen), x0, or v = alpha eps - sigma x (Salimans and Ho 2022)."""
    if prediction == "eps":
        return eps
    if prediction == "x0":
        return x
    alpha, sigma = alpha_sigma(per_sample(log_snr, x))
    return alpha * eps - sigma * x


def output_to_x0(prediction: Prediction, output: Tensor, z: Tensor, log_snr: Tensor) -> Tensor:
    """The clean image that a network output stands for."""
    if prediction == "x0":
        return output
    alpha, sigma = alpha_sigma(per_sample(log_snr, z))
    if prediction == "eps":
        return (z - sigma * output) / alpha
    return alpha * z - sigma * output
