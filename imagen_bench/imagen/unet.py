"""The base U-Net: ADM-style, text by concatenated keys and values and a pooled vector (Imagen, F.1 and D.3.1)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from imagen_bench.imagen.config import UNetConfig
from imagen_bench.imagen.layers import Attention, ResBlock, TextPooling, TimeEmbedding, group_norm, zero_init
from imagen_bench.imagen.schedule import time_of


class Conditioning(nn.Module):
    """Time + pooled text (+ aug level) as one vector (N, cond_dim), shared by both kinds of U-Net."""

    def __init__(self, config: UNetConfig, cond_dim: int) -> None:
        super().__init__()
        self.time = TimeEmbedding(cond_dim)
        self.text = TextPooling(config.text_dim, cond_dim, config.head_count(cond_dim), config.pooling)
        self.aug = TimeEmbedding(cond_dim) if config.low_res else None

    def forward(self, log_snr: Tensor, text: Tensor, mask: Tensor, aug_log_snr: Tensor | None) -> Tensor:
        """The condition of a batch (N, cond_dim)."""
        cond = self.time(time_of(log_snr)) + self.text(text, mask)
        if self.aug is not None and aug_log_snr is not None:
            cond = cond + self.aug(time_of(aug_log_snr))
        return cond


class Layer(nn.Module):
    """A residual block and, where the level attends, attention behind it."""

    def __init__(self, config: UNetConfig, level: int, channels: int, cond_dim: int, attend: bool = True) -> None:
        super().__init__()
        out, kind = config.channels(level), config.attention[level]
        self.block = ResBlock(channels, out, cond_dim, config.dropout)
        self.attention = (
            Attention(out, config.head_count(out), config.text_dim, kind) if attend and kind != "none" else None
        )
        self.checkpointing = config.checkpointing

    def forward(self, x: Tensor, cond: Tensor, text: Tensor, mask: Tensor) -> Tensor:
        """Applies block and attention."""
        if self.checkpointing and self.training and torch.is_grad_enabled():
            return checkpoint(self._forward, x, cond, text, mask, use_reentrant=False)
        return self._forward(x, cond, text, mask)

    def _forward(self, x: Tensor, cond: Tensor, text: Tensor, mask: Tensor) -> Tensor:
        x = self.block(x, cond)
        return x if self.attention is None else self.attention(x, text, mask)


class UNet(nn.Module):
    """z (N,3,H,W) in model range, log-SNR (N,), text (N,L,D), mask (N,L) -> prediction (N,3,H,W).

    Super-resolution stages also take `low_res` (N,3,H,W), already resized to the stage's size and noised, and
    the log-SNR of that noise. H and W may differ from the training size: the network is convolutional.
    """

    def __init__(self, config: UNetConfig) -> None:
        super().__init__()
        self.config = config
        cond_dim = config.cond_dim or 4 * config.dim
        self.conditioning = Conditioning(config, cond_dim)
        folded = config.image_channels * config.patch_size**2
        channels = config.dim
        self.stem = nn.Conv2d(folded * (2 if config.low_res else 1), channels, 3, padding=1)
        self.down, self.up = nn.ModuleList(), nn.ModuleList()
        skips, last = [channels], len(config.blocks) - 1
        for level, count in enumerate(config.blocks):
            for _ in range(count):
                self.down.append(Layer(config, level, channels, cond_dim))
                channels = config.channels(level)
                skips.append(channels)
            if level < last:
                self.down.append(ResBlock(channels, channels, cond_dim, config.dropout, resample="down"))
                skips.append(channels)
        self.middle = nn.ModuleList(
            [Layer(config, last, channels, cond_dim), Layer(config, last, channels, cond_dim, attend=False)]
        )
        for level in reversed(range(len(config.blocks))):
            for _ in range(config.blocks[level] + 1):
                self.up.append(Layer(config, level, channels + skips.pop(), cond_dim))
                channels = config.channels(level)
            if level:
                self.up.append(ResBlock(channels, channels, cond_dim, config.dropout, resample="up"))
        self.out_norm = group_norm(channels)
        self.out = zero_init(nn.Conv2d(channels, folded, 3, padding=1))

    def forward(
        self, z: Tensor, log_snr: Tensor, text: Tensor, mask: Tensor,
        low_res: Tensor | None = None, aug_log_snr: Tensor | None = None,
    ) -> Tensor:  # fmt: skip
        """Predicts for a batch; a text whose mask is false everywhere is the null condition."""
        cond = self.conditioning(log_snr, text, mask, aug_log_snr)
        x = self.stem(fold_inputs(z, low_res, self.config.patch_size))
        skips = [x]
        for layer in self.down:
            x = layer(x, cond) if isinstance(layer, ResBlock) else layer(x, cond, text, mask)
            skips.append(x)
        for layer in self.middle:
            x = layer(x, cond, text, mask)
        for layer in self.up:
            if isinstance(layer, ResBlock):
                x = layer(x, cond)
            else:
                x = layer(torch.cat([x, skips.pop()], dim=1), cond, text, mask)
        return F.pixel_shuffle(self.out(F.silu(self.out_norm(x))), self.config.patch_size)


def fold_inputs(z: Tensor, low_res: Tensor | None, patch_size: int) -> Tensor:
    """z, and the low-resolution image beside it, with `patch_size` x `patch_size` pixels folded into channels."""
    x = z if low_res is None else torch.cat([z, low_res], dim=1)
    return F.pixel_unshuffle(x, patch_size).contiguous(memory_format=torch.channels_last)
