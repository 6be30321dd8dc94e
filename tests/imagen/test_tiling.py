"""Tiles cover an image, blend without seams, and keep the network's input small."""

from __future__ import annotations

import itertools

import pytest
import torch

from imagen_bench.errors import ModelError
from imagen_bench.imagen.tiling import Tiling, tiled


@pytest.mark.parametrize(("height", "width"), [(64, 64), (96, 160), (1024, 1024), (48, 128)])
@pytest.mark.parametrize(("side", "overlap", "multiple"), [(32, 8, 8), (64, 16, 16), (48, 0, 8), (40, 32, 8)])
def test_tiles_cover_every_pixel_and_overlap_as_asked(height, width, side, overlap, multiple):
    covered = torch.zeros(height, width)
    for rows, columns in Tiling(side, overlap, multiple).regions(height, width):
        covered[rows, columns] += 1
        assert (rows.stop - rows.start, columns.stop - columns.start) == (min(side, height), min(side, width))
        assert rows.start % multiple == columns.start % multiple == 0
        assert rows.stop <= height
        assert columns.stop <= width
    assert covered.min() >= 1
    if width > side:
        starts = sorted({columns.start for _, columns in Tiling(side, overlap, multiple).regions(height, width)})
        assert all(second - first <= side - overlap for first, second in itertools.pairwise(starts))


def test_tiles_of_what_is_the_same_everywhere_give_it_back():
    image = torch.randn(2, 3, 96, 64)
    for tiling in (None, Tiling(96, 16, 8), Tiling(32, 8, 8), Tiling(32, 24, 8)):
        out = tiled(lambda region: image[(..., *region)], tiling, image)
        torch.testing.assert_close(out, image, rtol=1e-5, atol=1e-5)


def blurred(x):
    """A network that sees 4 pixels around and, at its borders, the zeros of its padding."""
    kernel = torch.ones(3, 1, 9, 9) / 81
    return torch.nn.functional.conv2d(x, kernel, padding=4, groups=3)


def test_overlap_hides_the_seams_that_cut_tiles_leave():
    smooth = torch.ones(1, 3, 96, 96)
    whole = blurred(smooth)
    cut, blended = (
        tiled(lambda region: blurred(smooth[(..., *region)]), tiling, smooth)
        for tiling in (Tiling(48, 0, 8), Tiling(48, 24, 8))
    )
    inside = (..., slice(8, -8), slice(8, -8))
    assert (cut - whole)[inside].abs().max() > 0.4
    assert (blended - whole)[inside].abs().max() < 0.02
    jumps = (blended[inside][..., 1:] - blended[inside][..., :-1]).abs().max()
    assert jumps < 0.01


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((100, 16, 16), "tile is 100 pixels, expected a multiple of 16"),
        ((32, 32, 16), "tile_overlap is 32 pixels, expected 0 to 16"),
    ],
)
def test_tiles_that_cannot_be_laid_are_refused(arguments, message):
    with pytest.raises(ModelError, match=message):
        Tiling(*arguments)
