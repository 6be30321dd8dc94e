"""Ways from a picture to a vision transformer's input that definitions of metrics prescribe, named for ids."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from PIL import Image

from imagen_bench.metrics.extractors import PixelTransform

_LARGEST = 255


def normalised(image: Image.Image, mean: Sequence[float], std: Sequence[float]) -> torch.Tensor:
    """Return a picture as float32, 3 x H x W: values in [0, 1], less the mean, over the std of each channel."""
    unit = torch.from_numpy(np.array(image.convert("RGB"))).permute(2, 0, 1).to(torch.float32) / _LARGEST
    return (unit - torch.tensor(mean).view(3, 1, 1)) / torch.tensor(std).view(3, 1, 1)


def squash(image: Image.Image, side: int) -> Image.Image:
    """Resize to a square with Pillow's antialiased bicubic on 8-bit pixels, whatever the aspect ratio."""
    return image.resize((side, side), Image.Resampling.BICUBIC)


def crop_then_resize(image: Image.Image, side: int) -> Image.Image:
    """Cut the largest square from the centre, then resize it with Pillow's antialiased bicubic on 8-bit pixels."""
    short = min(image.size)
    left, top = (image.width - short) // 2, (image.height - short) // 2
    return squash(image.crop((left, top, left + short, top + short)), side)


def _cropped(side: int, mean: Sequence[float], std: Sequence[float]) -> Callable[[Image.Image], torch.Tensor]:
    return lambda image: normalised(crop_then_resize(image, side), mean, std)


CROP_THEN_RESIZE = PixelTransform("crop-then-bicubic-pil", _cropped)
"""As the reference code of CMMD (Jayasumana et al. 2024, arXiv:2401.09603): crop first, then resize."""
