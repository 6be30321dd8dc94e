"""The low-resolution input of the super-resolution stages: resizing and noise conditioning augmentation.

One resize each way, shared by training and sampling: area mean down, bilinear up. The augmentation (Imagen,
section 2.4) noises the low-resolution image in model range on a cosine schedule of its own, whatever the
stage's schedule is: aug level 0.1 / 0.2 / 0.3 keeps signal power 0.976 / 0.905 / 0.794.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from imagen_bench.imagen.schedule import Schedule, diffuse

AUG_SCHEDULE = Schedule("cosine")


def downscale(x: Tensor, size: int) -> Tensor:
    """N3HW -> N3(size)(size) by area means; H and W must be multiples of `size`."""
    return F.avg_pool2d(x, x.shape[-1] // size)


def upscale(x: Tensor, size: int) -> Tensor:
    """N3hw -> N3(size)(size), bilinear, pixel centres aligned."""
    return F.interpolate(x, size=(size, size), mode="bilinear", align_corners=False)


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
