"""The pictures that raters see: one side's samples as one grid, equal in size and encoding on both sides."""

from __future__ import annotations

import io
import math
from collections.abc import Collection, Mapping, Sequence

import torch
from PIL import Image, ImageFilter

from imagen_bench.errors import InputError
from imagen_bench.human.arms import ArmSamples, ShownSample
from imagen_bench.human.comparisons import Shown
from imagen_bench.images import decode_image, from_pil, to_pil

GRID_EDGE = 1536
"""Longest edge of a grid in pixels: what a wide screen can show of half its width."""
_WHITE = 255
# The ground of the rater page; images on white would run together without it.
_GUTTER_GREY = 0x90
# A copy made worse has to be worse than any model's image: details gone, grain everywhere.
_BLUR = 0.03
_NOISE = 28.0
_SHOWN_SIZES = 4


class PictureMaker:
    """Composes grids of equal size for all arms, and notes what could tell the arms apart.

    Every image is scaled (Lanczos, aspect kept) into a tile as high and as wide as the largest image of the
    models, or smaller where a grid of such tiles would exceed `GRID_EDGE`; what remains of the tile is white.
    Real images, whose sizes and aspects vary, are cut to the tile's aspect around their centre first. Files
    are PNG written from bare pixels, so no metadata of the source survives.

    Args:
        arms: Samples by prompt id, for each arm's label.
        samples_per_side: Images of a grid.
        real: Labels of the arms of real images.
    """

    def __init__(self, arms: Mapping[str, ArmSamples], samples_per_side: int, real: Collection[str] = ()) -> None:
        self.columns = math.ceil(math.sqrt(samples_per_side))
        self.real = frozenset(real)
        self.flat: dict[str, set[str]] = {label: set() for label in arms}
        self.sizes = {label: sorted(_sizes(rows)) for label, rows in arms.items()}
        models = [label for label in arms if label not in self.real]
        every = [size for label in models for size in self.sizes[label]]
        height, width = max(size[0] for size in every), max(size[1] for size in every)
        scale = min(1.0, GRID_EDGE / (max(height, width) * self.columns))
        self.tile = (max(1, round(height * scale)), max(1, round(width * scale)))

    def compose(self, shown: Shown, noise_seed: int = 0) -> bytes:
        """Return the picture of one side as a PNG file.

        Args:
            shown: What it shows.
            noise_seed: Seed of the noise of a picture made worse.

        Raises:
            RunFolderError: An image is not the one that the run recorded.
            InputError: An image is broken.
        """
        tiles = [self._tile(shown.label, sample) for sample in shown.row.samples]
        if shown.degraded:
            tiles = [degrade(tile, noise_seed + number) for number, tile in enumerate(tiles)]
        stream = io.BytesIO()
        to_pil(grid(tiles, self.columns)).save(stream, format="PNG", compress_level=6)
        return stream.getvalue()

    def display(self) -> dict[str, object]:
        """Describe the transform from sample to picture, for the study's record."""
        return {
            "tile_height": self.tile[0],
            "tile_width": self.tile[1],
            "columns": self.columns,
            "gutter": gutter(self.tile),
            "resize": "lanczos into the tile, aspect kept, rest white",
            "real_images": "cut to the tile's aspect around the centre, then lanczos to the tile" if self.real else "",
            "degraded": f"gaussian blur of {_BLUR:g} of the longer edge, gaussian noise of sd {_NOISE:g} of 255",
            "format": "png",
        }

    def warnings(self) -> list[str]:
        """Say what raters could notice about an arm apart from its images' merit."""
        found = []
        models = {label: sizes for label, sizes in self.sizes.items() if label not in self.real}
        if len({tuple(sizes) for sizes in models.values()}) > 1:
            listed = "; ".join(f"{label}: {_listed(sizes)}" for label, sizes in models.items())
            found.append(
                f"the arms differ in image size ({listed}): "
                f"all are scaled to {self.tile[0]} x {self.tile[1]}, but sharpness may tell them apart"
            )
        for label in sorted(self.real):
            small = [size for size in self.sizes[label] if size[0] < self.tile[0] or size[1] < self.tile[1]]
            if small:
                found.append(
                    f"real images of {label} are smaller ({_listed(small)}) than the {self.tile[0]} x {self.tile[1]} "
                    "of the models: they are enlarged, and raters may notice"
                )
        found.extend(
            f"{len(files)} images of {label} are of one flat colour, as a safety filter leaves: raters will notice"
            for label, files in self.flat.items()
            if files
        )
        return found

    def _tile(self, label: str, sample: ShownSample) -> torch.Tensor:
        image = decode_image(sample.content(), str(sample.path))
        flat = image.flatten(1)
        if bool((flat.amin(1) == flat.amax(1)).all()):
            self.flat[label].add(str(sample.path))
        return fit(cut(image, self.tile) if label in self.real else image, self.tile)


def cut(image: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """Cut the largest centred piece with the aspect of `size` (height, width) out of an image.

    Args:
        image: uint8, 3 x H x W, RGB.
        size: Height and width, of which only the ratio counts.

    Returns:
        uint8 tensor, 3 x h x w; h = H or w = W.
    """
    height, width = image.shape[1:]
    inner_height = max(1, min(height, round(width * size[0] / size[1])))
    inner_width = max(1, min(width, round(height * size[1] / size[0])))
    top, left = (height - inner_height) // 2, (width - inner_width) // 2
    return image[:, top : top + inner_height, left : left + inner_width]


def degrade(image: torch.Tensor, seed: int) -> torch.Tensor:
    """Return a copy that anyone sees to be worse: blurred, with noise on top; the size stays.

    Args:
        image: uint8, 3 x H x W, RGB.
        seed: Seed of the noise.

    Returns:
        uint8 tensor, 3 x H x W.
    """
    radius = max(1.0, _BLUR * max(image.shape[1:]))
    blurred = from_pil(to_pil(image).filter(ImageFilter.GaussianBlur(radius)))
    noise = torch.randn(image.shape, generator=torch.Generator().manual_seed(seed)) * _NOISE
    return (blurred + noise).round().clamp(0, _WHITE).to(torch.uint8)


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


def _sizes(rows: ArmSamples) -> set[tuple[int, int]]:
    """Return the sizes (height, width) of all images, from their headers."""
    return {_size(sample) for row in rows.values() for sample in row.samples}


def _size(sample: ShownSample) -> tuple[int, int]:
    try:
        with Image.open(sample.path if sample.data is None else io.BytesIO(sample.data)) as image:
            return image.height, image.width
    except OSError as error:
        raise InputError(f"{sample.path} cannot be read as an image ({error}); make it anew or run again") from error


def _listed(sizes: Sequence[tuple[int, int]]) -> str:
    shown = ", ".join(f"{height} x {width}" for height, width in sizes[:_SHOWN_SIZES])
    return shown + (", ..." if len(sizes) > _SHOWN_SIZES else "")
