"""Classifier-free guidance and thresholding of the guided x0 (Imagen, sections 2.2 and 2.3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

ThresholdKind = Literal["none", "static", "dynamic"]


def guide(conditional: Tensor, unconditional: Tensor, guidance_weight: float) -> Tensor:
    """W * conditional + (1 - w) * unconditional (Imagen eq. 2): w = 1 is off, larger is stronger.

    The formula is linear, so it means the same on eps, x0 and v at a fixed z and time.
    """
    return guidance_weight * conditional + (1.0 - guidance_weight) * unconditional


@dataclass(frozen=True)
class Threshold:
    """How x0 is kept in [-1, 1] at every sampling step.

    Attributes:
        kind: "static" clips; "dynamic" takes the `percentile` of |x0| of each image as s, clips to [-s, s]
            and divides by s where s > 1 (Imagen, section 2.3); "none" leaves x0 alone.
        percentile: of the absolute values, in percent; 99.5 in the paper's figure A.10.
        cap: largest s, or None. (DeepFloyd IF caps at 1.5; a cap of 1 makes dynamic static.)
    """

    kind: ThresholdKind = "dynamic"
    percentile: float = 99.5
    cap: float | None = None

    def __call__(self, x0: Tensor) -> Tensor:
        """Thresholds a batch (N, ...), each image by itself."""
        if self.kind == "none":
            return x0
        if self.kind == "static":
            return x0.clamp(-1.0, 1.0)
        s = percentile_of(x0.flatten(1).abs(), self.percentile).clamp(min=1.0, max=self.cap)
        s = s.reshape(-1, *([1] * (x0.ndim - 1)))
        return torch.maximum(torch.minimum(x0, s), -s) / s


def percentile_of(values: Tensor, percent: float) -> Tensor:
    """Percentile of each row of (N, M), linear between ranks as in `numpy.percentile`.

    `torch.quantile` sorts everything and, in older releases, takes no more than 16 million values at once, which
    six images of 1024 pixels exceed; only the top of each row is needed here.
    """
    rank = percent / 100.0 * (values.shape[1] - 1)
    below = int(rank)
    top = values.topk(values.shape[1] - below, dim=1, sorted=True).values
    return torch.lerp(top[:, -1], top[:, -2], rank - below) if rank > below else top[:, -1]
