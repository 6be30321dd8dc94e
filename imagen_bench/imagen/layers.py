"""Building blocks of the U-Nets: time embedding, text pooling, residual block, attention with text, resampling.

Tensors are NCHW float; text is (N, L, D) with a boolean mask (N, L), true where a token stands.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

AttentionKind = Literal["self+text", "self", "cross", "none"]


def group_norm(channels: int) -> nn.GroupNorm:
    """GroupNorm with 32 groups, or fewer so that a group has at least 8 channels.

    A group of one channel would be an instance norm, which erases the level of a flat area: small networks
    then draw washed-out colours.
    """
    groups = max(1, min(32, channels // 8))
    return nn.GroupNorm(math.gcd(groups, channels), channels, eps=1e-5)


def zero_init(module: nn.Conv2d | nn.Linear) -> nn.Module:
    """Starts a layer at zero, so that its block starts as the identity."""
    nn.init.zeros_(module.weight)
    if module.bias is not None:
        nn.init.zeros_(module.bias)
    return module


class TimeEmbedding(nn.Module):
    """Sinusoidal embedding of a time in [0, 1] and an MLP: (N,) -> (N, dim)."""

    def __init__(self, dim: int, features: int = 128) -> None:
        super().__init__()
        self.features = features
        self.mlp = nn.Sequential(nn.Linear(features, dim), nn.SiLU(), nn.Linear(dim, dim))

    def forward(self, time: Tensor) -> Tensor:
        """Embeds a batch of times."""
        half = self.features // 2
        frequencies = torch.exp(
            -math.log(10_000.0) * torch.arange(half, device=time.device, dtype=torch.float32) / half
        )
        angles = 1000.0 * time.float()[:, None] * frequencies[None]
        return self.mlp(torch.cat([angles.sin(), angles.cos()], dim=1).to(next(self.mlp.parameters()).dtype))


class TextPooling(nn.Module):
    """One vector for a text: attention pooling with the mean token as query, or the masked mean.

    (N, L, D), (N, L) -> (N, dim). LayerNorm comes first (Imagen, section 2.5). Masked tokens have no influence, and an
    all-masked text gives a vector that does not depend on any token: the null condition. The last layer does not start
    at zero: texts must differ from the first step on, or the residual blocks learn to ignore them.
    """

    def __init__(self, text_dim: int, dim: int, heads: int, kind: Literal["attention", "mean"] = "attention") -> None:
        super().__init__()
        self.heads, self.kind = heads, kind
        self.norm = nn.LayerNorm(text_dim)
        self.query = nn.Linear(text_dim, dim)
        self.key_value = nn.Linear(text_dim, 2 * dim)
        self.out = nn.Sequential(nn.LayerNorm(dim), nn.Linear(dim, dim))

    def forward(self, text: Tensor, mask: Tensor) -> Tensor:
        """Pools a batch of texts."""
        text = self.norm(text) * mask[..., None]
        mean = text.sum(1) / mask.sum(1, keepdim=True).clamp(min=1)
        pooled = self.query(mean)
        if self.kind == "attention":
            key, value = split_heads(self.key_value(text), self.heads, 2)
            query = split_heads(pooled[:, None], self.heads, 1)[0]
            blocked = torch.where(mask, 0.0, -1e4).to(text.dtype)[:, None, None]
            attended = F.scaled_dot_product_attention(query, key, value * mask[:, None, :, None], attn_mask=blocked)
            pooled = pooled + merge_heads(attended)[:, 0]
        return self.out(pooled)


class ResBlock(nn.Module):
    """GroupNorm, SiLU, 3x3, GroupNorm scaled and shifted by the condition, SiLU, 3x3, plus a shortcut (Imagen A.27).

    `resample` = "down" or "up" changes the resolution inside the block before its first convolution, on both
    branches (the BigGAN-type block of ADM, arXiv 2105.05233, section 3).
    """

    def __init__(
        self, channels: int, out_channels: int, cond_dim: int, dropout: float = 0.0,
        resample: Literal["down", "up"] | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        self.resample = resample
        self.norm1, self.norm2 = group_norm(channels), group_norm(out_channels)
        self.conv1 = nn.Conv2d(channels, out_channels, 3, padding=1)
        self.conv2 = zero_init(nn.Conv2d(out_channels, out_channels, 3, padding=1))
        self.condition = nn.Linear(cond_dim, 2 * out_channels)
        self.dropout = nn.Dropout(dropout)
        self.shortcut = nn.Conv2d(channels, out_channels, 1) if channels != out_channels else nn.Identity()

    def forward(self, x: Tensor, cond: Tensor) -> Tensor:
        """Applies the block to N C H W under a condition (N, cond_dim)."""
        h = F.silu(self.norm1(x))
        if self.resample is not None:
            h, x = resample(h, self.resample), resample(x, self.resample)
        h = self.conv1(h)
        scale, shift = self.condition(F.silu(cond))[:, :, None, None].chunk(2, dim=1)
        h = torch.addcmul(shift, self.norm2(h), 1.0 + scale)
        return self.shortcut(x) + self.conv2(self.dropout(F.silu(h)))


class PositionMap(nn.Module):
    """A learned vector for every position of a feature map, interpolated where the map has another size.

    With a `cond_dim`, the map also has a part that is linear in the condition of time and text and starts at zero:
    the rough layout that a text asks for.
    """

    def __init__(self, channels: int, size: int, cond_dim: int | None = None) -> None:
        super().__init__()
        self.map = nn.Parameter(0.5 * torch.randn(1, channels, size, size))
        self.layout = None if cond_dim is None else zero_init(nn.Linear(cond_dim, channels * size * size))

    def forward(self, x: Tensor, cond: Tensor) -> Tensor:
        """The positions (1 or N, C, H, W) of a feature map N C H W under a condition (N, cond_dim), in its precision."""
        positions = self.map.to(x.dtype)
        if self.layout is not None:
            positions = positions + self.layout(F.silu(cond)).reshape(len(cond), *self.map.shape[1:])
        if x.shape[2:] != positions.shape[2:]:
            positions = F.interpolate(positions, size=x.shape[2:], mode="bilinear", align_corners=False)
        return positions.contiguous(memory_format=torch.channels_last)


class Attention(nn.Module):
    """Attention over the pixels of a feature map, with the text.

    "self+text": the text's keys and values are concatenated to the pixels' own (Imagen, D.3.1); "self":
    pixels only; "cross": text only (the 256 -> 1024 stage), with one zero key and value beside it, so that a
    null text is defined.
    """

    def __init__(self, channels: int, heads: int, text_dim: int, kind: AttentionKind = "self+text") -> None:
        super().__init__()
        self.heads, self.kind = heads, kind
        self.norm = group_norm(channels)
        self.qkv = nn.Conv2d(channels, channels if kind == "cross" else 3 * channels, 1)
        if kind != "self":
            self.text_norm = nn.LayerNorm(text_dim)
            self.text_kv = nn.Linear(text_dim, 2 * channels)
        self.out = zero_init(nn.Conv2d(channels, channels, 1))

    def forward(self, x: Tensor, text: Tensor, mask: Tensor) -> Tensor:
        """Adds what the pixels attend to; N C H W in and out."""
        n, c, h, w = x.shape
        own = self.qkv(self.norm(x)).flatten(2).transpose(1, 2)
        parts = split_heads(own, self.heads, 1 if self.kind == "cross" else 3)
        query, keys, values, blocked = parts[0], list(parts[1:2]), list(parts[2:3]), None
        if self.kind != "self":
            text_key, text_value = split_heads(self.text_kv(self.text_norm(text)), self.heads, 2)
            if self.kind == "cross":
                keys, values = (
                    [torch.zeros_like(text_key[:, :, :1])],
                    [torch.zeros_like(text_value[:, :, :1])],
                )
            always = mask.new_ones(n, keys[0].shape[2])
            blocked = torch.cat([always, mask], dim=1)[:, None, None, :]
            keys, values = [*keys, text_key], [*values, text_value]
        attended = F.scaled_dot_product_attention(query, torch.cat(keys, 2), torch.cat(values, 2), attn_mask=blocked)
        return x + self.out(merge_heads(attended).transpose(1, 2).reshape(n, c, h, w))


def split_heads(x: Tensor, heads: int, parts: int) -> tuple[Tensor, ...]:
    """(N, L, parts * C) -> `parts` tensors (N, heads, L, C / heads)."""
    n, length, width = x.shape
    return x.reshape(n, length, parts, heads, width // (parts * heads)).permute(2, 0, 3, 1, 4).unbind(0)


def merge_heads(x: Tensor) -> Tensor:
    """(N, heads, L, D) -> (N, L, heads * D)."""
    n, heads, length, width = x.shape
    return x.transpose(1, 2).reshape(n, length, heads * width)


def resample(x: Tensor, direction: Literal["down", "up"]) -> Tensor:
    """Halves by the mean of 2x2 pixels, or doubles by repetition."""
    if direction == "down":
        return F.avg_pool2d(x, 2)
    return F.interpolate(x, scale_factor=2, mode="nearest")
