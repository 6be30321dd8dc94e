"""The pictures that raters see: one side's samples as one grid, equal in size and encoding on both sides."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from PIL import Image

from imagen_bench.errors import RunFolderError
from imagen_bench.files import sha256_file
from imagen_bench.human.arms import PromptSamples, ShownSample
from imagen_bench.images import from_pil, read_image, to_pil, write_png

GRID_EDGE = 1536
"""Longest edge of a grid in pixels: what a wide screen can show of half its width."""
_WHITE = 255
# The ground of the rater page; images on white would run together without it.
_GUTTER_GREY = 0x90


class PictureMaker:
    """Composes grids of equal size from two arms, and notes what could tell the arms apart.

    Every image is scaled (Lanczos, aspect kept) into a tile as high and as wide as the largest image of both
    arms, or smaller where a grid of such tiles would exceed `GRID_EDGE`; what remains of the tile is white.
    Files are PNG written from bare pixels, so no metadata of the source survives.

    Args:
        arms: Samples by prompt id, for each arm's label.
        samples_per_side: Images of a grid.
    """

    def __init__(self, arms: Mapping[str, Mapping[str, PromptSamples]], samples_per_side: int) -> None:
        self.columns = math.ceil(math.sqrt(samples_per_side))
        self.flat: dict[str, int] = dict.fromkeys(arms, 0)
        self.sizes = {label: sorted(_sizes(rows)) for label, rows in arms.items()}
        every = [size for sizes in self.sizes.values() for size in sizes]
        height, width = max(size[0] for size in every), max(size[1] for size in every)
        scale = min(1.0, GRID_EDGE / (max(height, width) * self.columns))
        self.tile = (max(1, round(height * scale)), max(1, round(width * scale)))

    def write(self, path: Path, label: str, row: PromptSamples) -> str:
        """Write the grid of one prompt in one arm as PNG and return the file's SHA-256.

        Raises:
            RunFolderError: An image is not the one that the run recorded.
            InputError: An image is broken.
        """
        tiles = [self._tile(label, sample) for sample in row.samples]
        write_png(path, grid(tiles, self.columns))
        return sha256_file(path)

    def display(self) -> dict[str, object]:
        """Describe the transform from sample to picture, for the study's record."""
        return {
            "tile_height": self.tile[0],
            "tile_width": self.tile[1],
            "columns": self.columns,
            "gutter": gutter(self.tile),
            "resize": "lanczos into the tile, aspect kept, rest white",
            "format": "png",
        }

    def warnings(self) -> list[str]:
        """Say what raters could notice about an arm apart from its images' merit."""
        found = []
        (first, sizes), (second, other_sizes) = self.sizes.items()
        if sizes != other_sizes:
            found.append(
                f"the arms differ in image size ({first}: {_shown(sizes)}; {second}: {_shown(other_sizes)}): "
                f"all are scaled to {self.tile[0]} x {self.tile[1]}, but sharpness may tell them apart"
            )
        found.extend(
            f"{count} images of {label} are of one flat colour, as a safety filter leaves: raters will notice"
            for label, count in self.flat.items()
            if count
        )
        return found

    def _tile(self, label: str, sample: ShownSample) -> torch.Tensor:
        if sha256_file(sample.path) != sample.sha256:
            raise RunFolderError(f"{sample.path} is not the image that the run recorded; restore it or run again")
        image = read_image(sample.path)
        flat = image.flatten(1)
        self.flat[label] += bool((flat.amin(1) == flat.amax(1)).all())
        return fit(image, self.tile)


def fit(image: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """Scale an image into a tile, aspect kept, centred on white.

    Args:
        image: uint8, 3 x H x W, RGB.
        size: Height and width of the tile.

    Returns:
        uint8 tensor, 3 x height x width.
    """
    height, width = size
    scale = min(height / image.shape[1], width / image.shape[2])
    inner = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[2] * scale)))
    if inner != tuple(image.shape[1:]):
        image = from_pil(to_pil(image).resize((inner[1], inner[0]), Image.Resampling.LANCZOS))
    tile = torch.full((3, height, width), _WHITE, dtype=torch.uint8)
    top, left = (height - inner[0]) // 2, (width - inner[1]) // 2
    tile[:, top : top + inner[0], left : left + inner[1]] = image
    return tile


def grid(tiles: Sequence[torch.Tensor], columns: int) -> torch.Tensor:
    """Lay tiles out row by row with grey gutters between them, and grey where the last row is not full.

    Args:
        tiles: uint8, 3 x H x W each, all of one size, at least one.
        columns: Tiles per row.

    Returns:
        uint8 tensor, 3 x (rows H + (rows - 1) gap) x (columns W + (columns - 1) gap), gap as `gutter` says.
    """
    _, height, width = tiles[0].shape
    gap = gutter((height, width))
    columns = min(columns, len(tiles))
    rows = -(-len(tiles) // columns)
    size = (3, rows * (height + gap) - gap, columns * (width + gap) - gap)
    sheet = torch.full(size, _GUTTER_GREY, dtype=torch.uint8)
    for index, tile in enumerate(tiles):
        top, left = (index // columns) * (height + gap), (index % columns) * (width + gap)
        sheet[:, top : top + height, left : left + width] = tile
    return sheet


def gutter(tile: tuple[int, int]) -> int:
    """Return the width in pixels of the gap between tiles of this height and width."""
    return max(2, max(tile) // 32)


def _sizes(rows: Mapping[str, PromptSamples]) -> set[tuple[int, int]]:
    """Return the sizes (height, width) of all images, from their headers."""
    return {_size(sample.path) for row in rows.values() for sample in row.samples}


def _size(path: Path) -> tuple[int, int]:
    try:
        with Image.open(path) as image:
            return image.height, image.width
    except OSError as error:
        raise RunFolderError(f"{path} cannot be read as an image ({error}); run again to make it anew") from error


def _shown(sizes: Sequence[tuple[int, int]]) -> str:
    return ", ".join(f"{height} x {width}" for height, width in sizes)
