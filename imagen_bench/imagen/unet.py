"""The base U-Net: ADM-style, text by concatenated keys and values and a pooled vector (Imagen, F.1 and D.3.1)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from imagen_bench.imagen.attention import Attention, TextContext
from imagen_bench.imagen.conditioning import ConditionedUNet
from imagen_bench.imagen.config import UNetConfig
from imagen_bench.imagen.layers import ResBlock


class Layer(nn.Module):
    """A residual block and, where the level attends, attention behind it."""

    def __init__(self, config: UNetConfig, level: int, channels: int, attend: bool = True) -> None:
        super().__init__()
        self.block = ResBlock(channels, config.channels(level), config.condition_width, config.dropout)
        self.attention = attention_of(config, level) if attend else None

    def forward(self, x: Tensor, cond: Tensor, text: TextContext) -> Tensor:
        """Applies block and attention."""
        x = self.block(x, cond)
        return x if self.attention is None else self.attention(x, text)


class UNet(ConditionedUNet):
    """Levels of residual blocks with a skip from each of them, as in ADM (arXiv 2105.05233, section 3).

    The way down keeps the output of every block, the way up has one block more a level and reads one of them
    in each; blocks that resample sit between the levels.
    """

    def add_trunk(self) -> None:
        """Way down, middle, way up."""
        config, cond_dim = self.config, self.config.condition_width
        self.down, self.up = nn.ModuleList(), nn.ModuleList()
        channels = config.dim
        skips, last = [channels], len(config.blocks) - 1
        for level, count in enumerate(config.blocks):
            for _ in range(count):
                self.down.append(Layer(config, level, channels))
                channels = config.channels(level)
                skips.append(channels)
            if level < last:
                self.down.append(ResBlock(channels, channels, cond_dim, config.dropout, resample="down"))
                skips.append(channels)
        self.middle = nn.ModuleList([Layer(config, last, channels), Layer(config, last, channels, attend=False)])
        for level in reversed(range(len(config.blocks))):
            for _ in range(config.blocks[level] + 1):
                self.up.append(Layer(config, level, channels + skips.pop()))
                channels = config.channels(level)
            if level:
                self.up.append(ResBlock(channels, channels, cond_dim, config.dropout, resample="up"))

    def trunk(self, x: Tensor, cond: Tensor, text: TextContext) -> Tensor:
        """Runs all levels."""
        skips = [x]
        for layer in self.down:
            x = self._run(layer, x, cond) if isinstance(layer, ResBlock) else self._run(layer, x, cond, text)
            skips.append(x)
        for layer in self.middle:
            x = self._run(layer, x, cond, text)
        for layer in self.up:
            if isinstance(layer, ResBlock):
                x = self._run(layer, x, cond)
            else:
                x = self._run(layer, torch.cat([x, skips.pop()], dim=1), cond, text)
        return x


def attention_of(config: UNetConfig, level: int) -> Attention | None:
    """The attention that a level's configuration asks for."""
    channels, kind = config.channels(level), config.attention[level]
    if kind == "none":
        return None
    return Attention(channels, config.head_count(channels), config.text_dim, kind, config.attention_expansion)
