"""Cuts of a training batch: crops of its pictures, and parts that go through the network one after the other."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class NetworkPass(nn.Module):
    """The network as the loss sees it: in the recipe's precision, and on some rows of a batch only.

    The other rows of the output are zero, so that a batch whose noise was drawn as a whole can go through in parts.

    Args:
        network: a U-Net.
        precision: "fp32", or "bf16" for autocast.
        rows: rows of the batch, all of them where it is None.
    """

    def __init__(self, network: nn.Module, precision: str = "fp32", rows: slice | None = None) -> None:
        super().__init__()
        self.network, self.precision, self.rows = network, precision, rows

    def forward(self, z: Tensor, *conditions: Tensor | None) -> Tensor:
        """The network's output for z (N,3,H,W) and its other inputs, each with the batch first or None."""
        n = len(z)
        start, stop = (0, n) if self.rows is None else (self.rows.start, self.rows.stop)
        with torch.autocast(z.device.type, torch.bfloat16, enabled=self.precision == "bf16"):
            output = self.network(
                z[start:stop], *(None if value is None else value[start:stop] for value in conditions)
            )
        return output if stop - start == n else F.pad(output, (0, 0, 0, 0, 0, 0, start, n - stop))


def parts_of(n: int, count: int) -> list[slice]:
    """`count` slices of equal length that together are a batch of n."""
    size = -(-n // count)
    return [slice(start, min(start + size, n)) for start in range(0, n, size)]


def random_crop(x: Tensor, size: int, generator: torch.Generator, grid: int) -> Tensor:
    """A crop of each image of N3HW, at multiples of `grid`, so that low-resolution pixels stay whole."""
    places = grid * torch.randint((x.shape[-1] - size) // grid + 1, (len(x), 2), generator=generator)
    return torch.stack(
        [image[:, top : top + size, left : left + size] for image, (top, left) in zip(x, places.tolist(), strict=True)]
    )
