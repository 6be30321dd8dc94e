"""Tiles: a network applied to overlapping parts of an image, so that memory follows the tile and not the image.

The predictions of the tiles are blended by a window that falls to nothing at a tile's edge, where the network
sees the zero padding of its convolutions instead of the picture. Blending network outputs at one z and noise
level is the same as blending the x0 that they stand for, since either is a linear function of the other.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from imagen_bench.errors import ModelError

Region = tuple[slice, slice]


@dataclass(frozen=True)
class Tiling:
    """How an image is cut.

    Attributes:
        side: height and width of a tile in pixels of the stage's output; no image side gets longer tiles.
        overlap: pixels that neighbouring tiles share at least.
        multiple: tiles start and end on this grid, the one that the network halves by.
    """

    side: int
    overlap: int
    multiple: int = 1

    def __post_init__(self) -> None:
        """Checks that the tiles can be laid.

        Raises:
            ModelError: the side is no multiple of what the network needs, or no larger than the overlap.
        """
        if self.side % self.multiple or self.side <= 0:
            raise ModelError(f"tile is {self.side} pixels, expected a multiple of {self.multiple} for this network")
        if not 0 <= self.overlap <= self.side - self.multiple:
            raise ModelError(
                f"tile_overlap is {self.overlap} pixels, expected 0 to {self.side - self.multiple} "
                f"for tiles of {self.side}"
            )

    def regions(self, height: int, width: int) -> list[Region]:
        """The tiles of an image, row by row; one if it covers the image."""
        return [(rows, columns) for rows in self._cuts(height) for columns in self._cuts(width)]

    def _cuts(self, length: int) -> list[slice]:
        side = min(self.side, length)
        stride = (self.side - self.overlap) // self.multiple * self.multiple
        gaps = math.ceil((length - side) / stride)
        # Even spacing, rounded down to the grid: neighbours are never further apart than `stride`.
        starts = [index * (length - side) // max(gaps, 1) // self.multiple * self.multiple for index in range(gaps + 1)]
        return [slice(start, start + side) for start in starts]

    def window(self, rows: int, columns: int) -> Tensor:
        """Blending weights (rows, columns), > 0: sin^2 over the overlap at each edge, 1 inside."""
        return self._ramp(rows)[:, None] * self._ramp(columns)

    def _ramp(self, length: int) -> Tensor:
        places = torch.arange(length, dtype=torch.float32)
        edge = torch.minimum(places, length - 1 - places) + 0.5
        return torch.sin(0.5 * math.pi * (edge / max(self.overlap, 1)).clamp(max=1.0)).square()


def tiled(predict: Callable[[Region], Tensor], tiling: Tiling | None, like: Tensor) -> Tensor:
    """Assembles an image batch (N,C,H,W) from predictions of its tiles.

    Args:
        predict: gives the part (N,C,h,w) of a region.
        tiling: how to cut; None, or tiles that cover the image, calls `predict` once for all of it.
        like: a batch of the wanted shape, type and device.
    """
    height, width = like.shape[-2:]
    regions = [(slice(None), slice(None))] if tiling is None else tiling.regions(height, width)
    if tiling is None or len(regions) == 1:
        return predict(regions[0])
    window = tiling.window(min(tiling.side, height), min(tiling.side, width)).to(like)
    total, weight = torch.zeros_like(like), like.new_zeros(height, width)
    for region in regions:
        total[..., region[0], region[1]] += window * predict(region)
        weight[region] += window
    return total / weight
