"""What stands between a training batch and the network: crops of its pictures, and the precision of the pass."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from imagen_bench.imagen.loss import Rows


class NetworkPass(nn.Module):
    """The network as the loss sees it: in the recipe's precision.

    Args:
        network: a U-Net.
        precision: "fp32", or "bf16" for autocast.
    """

    def __init__(self, network: nn.Module, precision: str = "fp32") -> None:
        super().__init__()
        self.network, self.precision = network, precision

    def forward(self, z: Tensor, *conditions: Tensor | None) -> Tensor:
        """The network's output for z (N,3,H,W) and its other inputs."""
        with torch.autocast(z.device.type, torch.bfloat16, enabled=self.precision == "bf16"):
            output: Tensor = self.network(z, *conditions)
        return output


def random_crop(x: Tensor, size: int, generator: torch.Generator, grid: int, rows: Rows | None = None) -> Tensor:
    """A crop of each image of N3HW, at multiples of `grid`, so that low-resolution pixels stay whole.

    `rows` says which rows of their batch the images are; the crops of the others are drawn too.
    """
    rows = rows or Rows(0, len(x), len(x))
    places = rows.of(grid * torch.randint((x.shape[-1] - size) // grid + 1, (rows.total, 2), generator=generator))
    return torch.stack(
        [image[:, top : top + size, left : left + size] for image, (top, left) in zip(x, places.tolist(), strict=True)]
    )
