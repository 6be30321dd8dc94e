"""The ways in which FID codes bring an image to the 299 x 299 input of the Inception network, by name.

They differ in the kernel, in where pixel centres lie, in whether the kernel widens when an image shrinks
(antialiasing), and in the last bits of the scaling. On the same images the FID moves by up to tens of points,
so the mode is part of the extractor's id.

    torch-fidelity   bilinear as in TensorFlow 1, no half-pixel offset, no antialiasing; (x - 128) / 128. The code
                     of the original FID (Heusel et al. 2017, arXiv:1706.08500) and of most published values.
    pytorch-fid      bilinear of torch on x / 255, half-pixel centres, no antialiasing; 2 x - 1.
    clean            Pillow's antialiased bicubic on each channel in float32, clipped to 0-255; (x - 128) / 128
                     (Parmar et al. 2022, arXiv:2104.11222).
    torchmetrics     antialiased bilinear of torch, torchmetrics' default since 1.8; (x - 128) / 128.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

from imagen_bench.errors import ConfigError
from imagen_bench.suggest import did_you_mean

SIZE = 299
DEFAULT_RESIZE = "torch-fidelity"
_CLEAN = "clean"


@dataclass(frozen=True)
class ResizeMode:
    """A named way to the network's input.

    Attributes:
        name: What users write, and what the extractor's id holds.
        kernel: The kernel in two or three words, for the extractor's id.
        compares_with: Which published values and which code have the same.
    """

    name: str
    kernel: str
    compares_with: str


RESIZE_MODES = {
    mode.name: mode
    for mode in (
        ResizeMode(
            DEFAULT_RESIZE,
            "tf1-bilinear",
            "the original TensorFlow FID and most papers; torch-fidelity; torchmetrics before 1.8; StyleGAN, EDM",
        ),
        ResizeMode("pytorch-fid", "torch-bilinear", "values made with pytorch-fid, and forks of it"),
        ResizeMode(_CLEAN, "pil-bicubic-float", "values called Clean-FID; clean-fid in mode 'clean'"),
        ResizeMode("torchmetrics", "torch-bilinear-antialias", "torchmetrics 1.8 and later with its defaults"),
    )
}


def find_resize(name: str) -> ResizeMode:
    """Return the mode of a name.

    Raises:
        ConfigError: There is none.
    """
    if name not in RESIZE_MODES:
        known = ", ".join(RESIZE_MODES)
        raise ConfigError(f"unknown resize mode {name!r}: {did_you_mean(name, RESIZE_MODES)} (known: {known})")
    return RESIZE_MODES[name]


def prepare_for(mode: ResizeMode, image: torch.Tensor) -> torch.Tensor:
    """Do what a mode does with Pillow, on one image; the other modes leave it as it is.

    Args:
        mode: The mode.
        image: uint8 RGB, 3 x H x W.

    Returns:
        What `to_network_input` takes: the image itself, or float32 3 x 299 x 299 in 0-255.
    """
    if mode.name != _CLEAN:
        return image
    channels = [Image.fromarray(channel.astype(np.float32)) for channel in image.numpy()]
    resized = [np.asarray(channel.resize((SIZE, SIZE), Image.Resampling.BICUBIC)) for channel in channels]
    return torch.from_numpy(np.stack(resized).clip(0, 255))


def to_network_input(mode: ResizeMode, images: torch.Tensor) -> torch.Tensor:
    """Resize and scale images of one size.

    Args:
        mode: The mode.
        images: N x 3 x H x W as `prepare_for` returned them, on any device.

    Returns:
        float32, N x 3 x 299 x 299, about -1 to 1.
    """
    if mode.name == "pytorch-fid":
        unit = images.to(torch.float32) / 255
        return 2 * F.interpolate(unit, size=(SIZE, SIZE), mode="bilinear", align_corners=False) - 1
    pixels = images.to(torch.float32)
    if mode.name == "torchmetrics":
        pixels = F.interpolate(pixels, size=(SIZE, SIZE), mode="bilinear", align_corners=False, antialias=True)
    elif mode.name == DEFAULT_RESIZE:
        pixels = _bilinear_of_tensorflow1(pixels)
    return (pixels - 128) / 128


def _bilinear_of_tensorflow1(pixels: torch.Tensor) -> torch.Tensor:
    """Resize N x 3 x H x W: output pixel i reads at i * (input side / 299), counted from the corner.

    Rows and columns are resized by two matrix products, several times as fast as gathering four neighbours; the
    zeros of the matrices add nothing, so the result is the same to float32 rounding.
    """
    height, width = pixels.shape[-2:]
    return _tensorflow1_matrix(height, pixels.device) @ (pixels @ _tensorflow1_matrix(width, pixels.device).T)


def _tensorflow1_matrix(side: int, device: torch.device) -> torch.Tensor:
    """Return the 299 x side matrix that resizes one dimension; two entries a row."""
    # In float32, as TensorFlow computes the places.
    places = torch.arange(SIZE, dtype=torch.float32) * torch.tensor(side / SIZE, dtype=torch.float32)
    before = places.floor().long().clamp(max=side - 1)
    after = (before + 1).clamp(max=side - 1)
    share = places - before
    rows = torch.arange(SIZE)
    matrix = torch.zeros(SIZE, side)
    matrix[rows, before] = 1 - share
    matrix[rows, after] += share
    return matrix.to(device)
