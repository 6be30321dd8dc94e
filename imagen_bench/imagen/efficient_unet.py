"""The Efficient U-Net of the super-resolution stages (Imagen, appendix B, figures A.27 to A.30).

Against the base U-Net: parameters sit in the low resolutions, the long skips are scaled by 1/sqrt(2), a down
block downsamples before its residual blocks and an up block upsamples after them. One skip a level joins the
two sides.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from imagen_bench.imagen.attention import TextContext
from imagen_bench.imagen.conditioning import ConditionedUNet
from imagen_bench.imagen.config import UNetConfig
from imagen_bench.imagen.layers import PositionMap, ResBlock, UpConv2d, start_like_flax
from imagen_bench.imagen.mirrored_unet import MirroredUNet
from imagen_bench.imagen.unet import UNet, attention_of


class Stack(nn.Module):
    """The residual blocks of one level, conditioned on time and text, and attention at the end if the level has it."""

    def __init__(self, config: UNetConfig, level: int, channels: int) -> None:
        super().__init__()
        out = config.channels(level)
        widths = [channels, *([out] * (config.blocks[level] - 1))]
        self.blocks = nn.ModuleList([ResBlock(width, out, config.condition_width, config.dropout) for width in widths])
        self.attention = attention_of(config, level)

    def forward(self, x: Tensor, cond: Tensor, text: TextContext) -> Tensor:
        """Runs the level's blocks and its attention."""
        for block in self.blocks:
            x = block(x, cond)
        return x if self.attention is None else self.attention(x, text)


class DBlock(nn.Module):
    """Figure A.28: strided 3x3 convolution, then the level's residual blocks and attention."""

    def __init__(self, config: UNetConfig, level: int, channels: int, stride: int) -> None:
        super().__init__()
        out = config.channels(level)
        self.down = nn.Conv2d(channels, out, 3, stride=stride, padding=1)
        self.positions = position_map(config, level, out, config.condition_width)
        self.stack = Stack(config, level, out)

    def forward(self, x: Tensor, cond: Tensor, text: TextContext) -> Tensor:
        """Downsamples, adds the positions if the level has them, then runs the stack."""
        x = self.down(x)
        if self.positions is not None:
            x = x + self.positions(x, cond)
        return self.stack(x, cond, text)


class UBlock(nn.Module):
    """Figure A.29: the level's residual blocks and attention on [x, skip / sqrt(2)], then upsampling convolution."""

    def __init__(self, config: UNetConfig, level: int, channels: int, out: int, stride: int) -> None:
        super().__init__()
        self.skip_scale = config.skip_scale
        self.stack = Stack(config, level, channels + config.channels(level))
        channels = config.channels(level)
        self.up = UpConv2d(channels, out) if stride > 1 else nn.Conv2d(channels, out, 3, padding=1)

    def forward(self, x: Tensor, skip: Tensor, cond: Tensor, text: TextContext) -> Tensor:
        """Joins the skip, runs the stack, then upsamples."""
        x = self.stack(torch.cat([x, skip * self.skip_scale], dim=1), cond, text)
        return self.up(x)


class EfficientUNet(ConditionedUNet):
    """DBlocks down, UBlocks up, one of each a level.

    Every level has stride 2, as in the paper's tables; with `patch_size` > 1 the folding stands for the first
    stride.
    """

    def add_trunk(self) -> None:
        """Way down and way up."""
        config = self.config
        levels = range(len(config.blocks))
        strides = [1 if level == 0 and config.patch_size > 1 else 2 for level in levels]
        inputs = [config.dim, *(config.channels(level) for level in levels[:-1])]
        self.down = nn.ModuleList(DBlock(config, level, inputs[level], strides[level]) for level in levels)
        self.up = nn.ModuleList()
        channels = config.channels(levels[-1])
        for level in reversed(levels):
            self.up.append(UBlock(config, level, channels, inputs[level], strides[level]))
            channels = inputs[level]

    def trunk(self, x: Tensor, cond: Tensor, text: TextContext) -> Tensor:
        """Runs all levels."""
        skips = []
        for block in self.down:
            x = self._run(block, x, cond, text)
            skips.append(x)
        for block in self.up:
            x = self._run(block, x, skips.pop(), cond, text)
        return x


def position_map(config: UNetConfig, level: int, channels: int, cond_dim: int) -> PositionMap | None:
    """The learned positions of a level, at the size that training images have there; None where it has none."""
    if config.position_size is None or config.attention[level] == "none":
        return None
    stride = config.patch_size * 2**level if config.patch_size > 1 else 2 ** (level + 1)
    layout = config.text_layout and level == len(config.blocks) - 1
    return PositionMap(channels, config.position_size // stride, cond_dim if layout else None)


def build_unet(config: UNetConfig) -> nn.Module:
    """The network that a configuration describes, in channels-last layout (faster on CPU and GPU alike)."""
    network = {"base": UNet, "mirrored": MirroredUNet, "efficient": EfficientUNet}[config.kind](config)
    if config.start == "flax":
        start_like_flax(network)
    return network.to(memory_format=torch.channels_last)
