"""The low-resolution input of the super-resolution stages: resizing and noise conditioning augmentation.

One resize each way, shared by training and sampling: area mean down, bilinear up. The augmentation (Imagen,
section 2.4) noises the low-resolution image in model range, at its own resolution, on a cosine schedule of its
own, whatever the stage's schedule is. The paper leaves that schedule open, and a level means nothing without it:

    aug level     0       0.1     0.2     0.3     0.5     1
    alpha         1.000   0.988   0.951   0.891   0.707   0.001
    sigma         0.000   0.156   0.309   0.454   0.707   1.000
    log-SNR       20      3.69    2.25    1.35    0       -15

alpha = cos(pi/2 level), sigma = sin(pi/2 level). The network is told the log-SNR, not the level.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from imagen_bench.imagen.schedule import Schedule, diffuse

AUG_SCHEDULE = Schedule("cosine")


def downscale(x: Tensor, factor: int) -> Tensor:
    """N3HW -> N3(H/factor)(W/factor) by area means; H and W must be multiples of `factor`."""
    return F.avg_pool2d(x, factor)


def upscale(x: Tensor, factor: int) -> Tensor:
    """N3hw -> N3(h factor)(w factor), bilinear, pixel centres aligned."""
    return F.interpolate(x, scale_factor=factor, mode="bilinear", align_corners=False)


def augment_low_res(small: Tensor, aug_level: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
    """Noises low-resolution images at their own resolution.

    Args:
        small: images N3hw float32 in [-1, 1].
        aug_level: (N,) in [0, 1]; 0 adds nothing visible, 1 leaves pure noise.
        noise: standard normal, shape of `small`.

    Returns:
        The noised images, and the log-SNR of the noise (N,), which the network is told.
    """
    log_snr = AUG_SCHEDULE.log_snr(aug_level)
    return diffuse(small, noise, log_snr), log_snr


def low_res_input(small: Tensor, aug_level: Tensor, noise: Tensor, factor: int) -> tuple[Tensor, Tensor]:
    """What a super-resolution network is given beside z, the same in training and sampling.

    Args:
        small: images N3hw float32 in [-1, 1], not noised.
        aug_level: (N,) in [0, 1].
        noise: standard normal, shape of `small`.
        factor: enlargement of the stage.

    Returns:
        The noised and enlarged images N3(h factor)(w factor), and the log-SNR of the noise (N,).
    """
    noised, log_snr = augment_low_res(small, aug_level, noise)
    return upscale(noised, factor), log_snr
