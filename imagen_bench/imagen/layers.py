"""Building blocks of the U-Nets: time embedding, residual block, position map, resampling. Tensors are NCHW float."""

from __future__ import annotations

import math
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn


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


def start_like_flax(network: nn.Module) -> None:
    """Draws every weight that does not start at zero from N(0, 1 / fan-in) and zeroes the biases (LeCun's start).

    It is the default of the framework that the paper's models were trained in, and unit variance stays unit variance
    along the network. PyTorch's default leaves a third of it at every layer that is not normalised: about a
    thousandth half-way through the paper's networks.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear) and not module.weight.is_meta and module.weight.any():
            nn.init.normal_(module.weight, std=module.weight[0].numel() ** -0.5)
            if module.bias is not None:
                nn.init.zeros_(module.bias)


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


class UpConv2d(nn.Conv2d):
    """3x3 convolution of an image that is first doubled by repetition: (N,C,H,W) -> (N,O,2H,2W).

    Every 2x2 pixels that it reads of the doubled image are copies of one, so each output pixel is a 2x2 convolution of
    the small image: four ninths of the products, and no doubled image in memory. On a CPU it is computed as that, a
    transposed convolution with the taps that meet in a pixel added up: twice as fast from 16x16 pixels on, the same
    numbers up to rounding. Parameters are those of the 3x3 convolution.
    """

    def __init__(self, channels: int, out_channels: int) -> None:
        super().__init__(channels, out_channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Doubles and convolves."""
        if x.device.type != "cpu" or x.shape[2] * x.shape[3] < 256:
            return super().forward(resample(x, "up"))
        # Row t: which of the three taps meet in tap t of the transposed convolution, along either axis.
        met = self.weight.new_tensor([[0, 0, 1], [0, 1, 1], [1, 1, 0], [1, 0, 0]])
        weight = torch.einsum("ta,ub,ocab->cotu", met, met, self.weight)
        return F.conv_transpose2d(x, weight, self.bias, stride=2, padding=1)


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
        up = resample == "up"
        self.conv1 = UpConv2d(channels, out_channels) if up else nn.Conv2d(channels, out_channels, 3, padding=1)
        self.conv2 = zero_init(nn.Conv2d(out_channels, out_channels, 3, padding=1))
        self.condition = nn.Linear(cond_dim, 2 * out_channels)
        self.dropout = nn.Dropout(dropout)
        self.shortcut = nn.Conv2d(channels, out_channels, 1) if channels != out_channels else nn.Identity()

    def forward(self, x: Tensor, cond: Tensor) -> Tensor:
        """Applies the block to N C H W under a condition (N, cond_dim) that went through a SiLU already."""
        h = silu(self.norm1(x))
        if self.resample is not None:
            x = resample(x, self.resample)
        h = self.conv1(resample(h, "down") if self.resample == "down" else h)
        scale, shift = self.condition(cond)[:, :, None, None].chunk(2, dim=1)
        h = torch.addcmul(shift, self.norm2(h), 1.0 + scale)
        return self.shortcut(x) + self.conv2(self.dropout(silu(h)))


class PositionMap(nn.Module):
    """A learned vector for every position of a feature map, interpolated where the map has another size.

    With a `cond_dim`, the map also has a part that is linear in the activated condition and starts at zero:
    the rough layout that a text asks for.
    """

    def __init__(self, channels: int, size: int, cond_dim: int | None = None) -> None:
        super().__init__()
        self.map = nn.Parameter(0.5 * torch.randn(1, channels, size, size))
        self.layout = None if cond_dim is None else zero_init(nn.Linear(cond_dim, channels * size * size))

    def forward(self, x: Tensor, cond: Tensor) -> Tensor:
        """The positions (1 or N, C, H, W) of a feature map N C H W under a condition, same precision."""
        positions = self.map.to(x.dtype)
        if self.layout is not None:
            positions = positions + self.layout(cond).reshape(len(cond), *self.map.shape[1:])
        if x.shape[2:] != positions.shape[2:]:
            positions = F.interpolate(positions, size=x.shape[2:], mode="bilinear", align_corners=False)
        return positions.contiguous(memory_format=torch.channels_last)


def silu(x: Tensor) -> Tensor:
    """SiLU of a tensor that nothing else reads: in place where no gradient needs the input."""
    return F.silu(x, inplace=not torch.is_grad_enabled())


def resample(x: Tensor, direction: Literal["down", "up"]) -> Tensor:
    """Halves by the mean of 2x2 pixels, or doubles by repetition."""
    if direction == "down":
        return F.avg_pool2d(x, 2)
    return F.interpolate(x, scale_factor=2, mode="nearest")
