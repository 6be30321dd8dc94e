"""The base U-Net as open implementations build it: the way up mirrors the way down, plain convolutions between levels.

Plain convolutions between the levels as in DDPM (arXiv 2006.11239, appendix B), as many blocks on the way up as on the
way down as in imagen-pytorch and MinImagen; blocks, attention and conditioning are the base U-Net's own. Four levels of
two blocks are 18 deep, where ADM's layout is 28 deep and takes about 60 % more work.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from imagen_bench.imagen.attention import TextContext
from imagen_bench.imagen.conditioning import ConditionedUNet
from imagen_bench.imagen.layers import UpConv2d
from imagen_bench.imagen.unet import Layer


class MirroredUNet(ConditionedUNet):
    """Levels of residual blocks, attention behind the last block of each, a skip from every block to its mirror image.

    A 3x3 convolution of stride 2 leads to the level below, a doubling one to the level above; both change the channels.
    """

    def add_trunk(self) -> None:
        """Way down, middle, way up."""
        config = self.config
        levels = range(len(config.blocks))
        self.down, self.up = nn.ModuleList(), nn.ModuleList()
        skips = []
        channels = config.dim
        for level in levels:
            if level:
                self.down.append(nn.Conv2d(channels, config.channels(level), 3, stride=2, padding=1))
                channels = config.channels(level)
            for number in range(config.blocks[level]):
                self.down.append(Layer(config, level, channels, attend=number == config.blocks[level] - 1))
                channels = config.channels(level)
                skips.append(channels)
        self.middle = nn.ModuleList(Layer(config, levels[-1], channels, attend=first) for first in (True, False))
        for level in reversed(levels):
            for number in range(config.blocks[level]):
                attend = number == config.blocks[level] - 1
                self.up.append(Layer(config, level, channels + skips.pop(), attend=attend))
                channels = config.channels(level)
            if level:
                self.up.append(UpConv2d(channels, config.channels(level - 1)))
                channels = config.channels(level - 1)

    def trunk(self, x: Tensor, cond: Tensor, text: TextContext) -> Tensor:
        """Runs all levels."""
        skips = []
        for module in self.down:
            if isinstance(module, Layer):
                x = self._run(module, x, cond, text)
                skips.append(x)
            else:
                x = module(x)
        for module in self.middle:
            x = self._run(module, x, cond, text)
        for module in self.up:
            joined = isinstance(module, Layer)
            x = self._run(module, torch.cat([x, skips.pop()], dim=1), cond, text) if joined else module(x)
        return x
