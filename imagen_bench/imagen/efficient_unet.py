"""The Efficient U-Net of the super-resolution stages (Imagen, appendix B, figures A.27 to A.30).

Against the base U-Net: parameters sit in the low resolutions, the long skips are scaled by 1/sqrt(2), a down
block downsamples before its residual blocks and an up block upsamples after them. One skip a level joins the
two sides.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from imagen_bench.imagen.config import UNetConfig
from imagen_bench.imagen.layers import Attention, PositionMap, ResBlock, group_norm, zero_init
from imagen_bench.imagen.unet import Conditioning, UNet, fold_inputs


class Stack(nn.Module):
    """The residual blocks of one level, conditioned on time and text, and attention at the end if the level has it."""

    def __init__(self, config: UNetConfig, level: int, channels: int, cond_dim: int) -> None:
        super().__init__()
        out, kind = config.channels(level), config.attention[level]
        widths = [channels, *([out] * (config.blocks[level] - 1))]
        self.blocks = nn.ModuleList([ResBlock(width, out, cond_dim, config.dropout) for width in widths])
        self.attention = None if kind == "none" else Attention(out, config.head_count(out), config.text_dim, kind)

    def forward(self, x: Tensor, cond: Tensor, text: Tensor, mask: Tensor) -> Tensor:
        """Runs the level's blocks and its attention."""
        for block in self.blocks:
            x = block(x, cond)
        return x if self.attention is None else self.attention(x, text, mask)


class DBlock(nn.Module):
    """Figure A.28: strided 3x3 convolution, then the level's residual blocks and attention."""

    def __init__(self, config: UNetConfig, level: int, channels: int, cond_dim: int, stride: int) -> None:
        super().__init__()
        out = config.channels(level)
        self.down = nn.Conv2d(channels, out, 3, stride=stride, padding=1)
        self.positions = position_map(config, level, out, cond_dim)
        self.stack = Stack(config, level, out, cond_dim)

    def forward(self, x: Tensor, cond: Tensor, text: Tensor, mask: Tensor) -> Tensor:
        """Downsamples, adds the positions if the level has them, then runs the stack."""
        x = self.down(x)
        if self.positions is not None:
            x = x + self.positions(x, cond)
        return self.stack(x, cond, text, mask)


class UBlock(nn.Module):
    """Figure A.29: the level's residual blocks and attention on [x, skip / sqrt(2)], then upsampling convolution."""

    def __init__(self, config: UNetConfig, level: int, channels: int, out: int, cond_dim: int, stride: int) -> None:
        super().__init__()
        self.skip_scale, self.stride = config.skip_scale, stride
        self.stack = Stack(config, level, channels + config.channels(level), cond_dim)
        self.up = nn.Conv2d(config.channels(level), out, 3, padding=1)

    def forward(self, x: Tensor, skip: Tensor, cond: Tensor, text: Tensor, mask: Tensor) -> Tensor:
        """Joins the skip, runs the stack, then upsamples."""
        x = self.stack(torch.cat([x, skip * self.skip_scale], dim=1), cond, text, mask)
        return self.up(F.interpolate(x, scale_factor=self.stride, mode="nearest") if self.stride > 1 else x)


class EfficientUNet(nn.Module):
    """Same inputs and output as `UNet`.

    Every level has stride 2, as in the paper's tables; with `patch_size` > 1 the folding stands for the first
    stride.
    """

    def __init__(self, config: UNetConfig) -> None:
        super().__init__()
        self.config = config
        cond_dim = config.cond_dim or 4 * config.dim
        self.conditioning = Conditioning(config, cond_dim)
        folded = config.image_channels * config.patch_size**2
        self.stem = nn.Conv2d(folded * (2 if config.low_res else 1), config.dim, 3, padding=1)
        levels = range(len(config.blocks))
        strides = [1 if level == 0 and config.patch_size > 1 else 2 for level in levels]
        inputs = [config.dim, *(config.channels(level) for level in levels[:-1])]
        self.down = nn.ModuleList(DBlock(config, level, inputs[level], cond_dim, strides[level]) for level in levels)
        self.up = nn.ModuleList()
        channels = config.channels(levels[-1])
        for level in reversed(levels):
            self.up.append(UBlock(config, level, channels, inputs[level], cond_dim, strides[level]))
            channels = inputs[level]
        self.out_norm = group_norm(channels)
        self.out = zero_init(nn.Conv2d(channels, folded, 3, padding=1))

    def forward(
        self, z: Tensor, log_snr: Tensor, text: Tensor, mask: Tensor,
        low_res: Tensor | None = None, aug_log_snr: Tensor | None = None,
    ) -> Tensor:  # fmt: skip
        """Predicts for a batch; see `UNet`."""
        cond = self.conditioning(log_snr, text, mask, aug_log_snr)
        x = self.stem(fold_inputs(z, low_res, self.config.patch_size))
        skips = []
        for block in self.down:
            x = block(x, cond, text, mask)
            skips.append(x)
        for block in self.up:
            x = block(x, skips.pop(), cond, text, mask)
        return F.pixel_shuffle(self.out(F.silu(self.out_norm(x))), self.config.patch_size)


def position_map(config: UNetConfig, level: int, channels: int, cond_dim: int) -> PositionMap | None:
    """The learned positions of a level, at the size that training images have there; None where it has none."""
    if config.position_size is None or config.attention[level] == "none":
        return None
    stride = config.patch_size * 2**level if config.patch_size > 1 else 2 ** (level + 1)
    layout = config.text_layout and level == len(config.blocks) - 1
    return PositionMap(channels, config.position_size // stride, cond_dim if layout else None)


def build_unet(config: UNetConfig) -> nn.Module:
    """The network that a configuration describes, in channels-last layout (faster on CPU and GPU alike)."""
    network: nn.Module = UNet(config) if config.kind == "base" else EfficientUNet(config)
    return network.to(memory_format=torch.channels_last)
