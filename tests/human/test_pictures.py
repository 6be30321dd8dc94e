"""Pictures for raters: bare pixels, equal size on both sides."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from PIL import Image

from imagen_bench.errors import RunFolderError
from imagen_bench.human.arms import Arm, read_arm
from imagen_bench.human.comparisons import Shown
from imagen_bench.human.pictures import GRID_EDGE, PictureMaker, cut, degrade, fit, grid
from imagen_bench.images import decode_image, read_image

MakeRun = Callable[..., Path]


def png_chunks(data: bytes) -> list[bytes]:
    """Return the chunk types of a PNG, read by the format's own rule: length, type, data, checksum."""
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    kinds, at = [], 8
    while at < len(data):
        kinds.append(data[at + 4 : at + 8])
        at += 12 + int.from_bytes(data[at : at + 4], "big")
    return kinds


def test_files_hold_pixels_alone_and_have_one_size(make_run: MakeRun) -> None:
    arms = {
        "x": read_arm(Arm("x", make_run("small", size=(12, 12)), 3.625)),
        "y": read_arm(Arm("y", make_run("wide", size=(24, 18)), 3.625)),
    }
    maker = PictureMaker(arms, 2)
    sizes = set()
    for label, rows in arms.items():
        data = maker.compose(Shown(label, rows["zebra-01"]))
        assert set(png_chunks(data)) == {b"IHDR", b"IDAT", b"IEND"}
        sizes.add(tuple(decode_image(data, label).shape))
    assert sizes == {(3, 18, 24 * 2 + 2)}
    (warning,) = maker.warnings()
    assert "x: 12 x 12; y: 18 x 24" in warning


def test_images_of_one_size_are_shown_pixel_by_pixel(make_run: MakeRun) -> None:
    rows = read_arm(Arm("x", make_run("run"), 3.625))
    maker = PictureMaker({"x": rows, "y": rows}, 2)
    shown = decode_image(maker.compose(Shown("x", rows["yak-01"])), "x")
    for number, sample in enumerate(rows["yak-01"].samples):
        assert torch.equal(shown[:, :, number * 14 : number * 14 + 12], read_image(sample.path))
    assert maker.warnings() == []


def test_large_grids_are_scaled_to_what_a_screen_shows(make_run: MakeRun) -> None:
    rows = read_arm(Arm("x", make_run("run", size=(1024, 512), prompts=[("a", "a", "a")], samples=8), 3.625))
    assert PictureMaker({"x": rows, "y": rows}, 8).tile == (GRID_EDGE // 6, GRID_EDGE // 3)


def test_an_image_changed_after_the_run_is_refused(make_run: MakeRun) -> None:
    rows = read_arm(Arm("x", make_run("run"), 3.625))
    Image.new("RGB", (12, 12), "red").save(rows["yak-01"].samples[0].path)
    with pytest.raises(RunFolderError, match="not the image that the run recorded"):
        PictureMaker({"x": rows, "y": rows}, 2).compose(Shown("x", rows["yak-01"]))


def test_flat_images_are_reported(make_run: MakeRun) -> None:
    rows = read_arm(Arm("x", make_run("run", size=(1, 1)), 3.625))
    maker = PictureMaker({"x": rows, "y": rows}, 2)
    for _ in range(2):
        maker.compose(Shown("x", rows["yak-01"]))
    assert maker.warnings() == ["2 images of x are of one flat colour, as a safety filter leaves: raters will notice"]


def test_fit_keeps_the_aspect_and_fills_with_white() -> None:
    tile = fit(torch.zeros(3, 4, 8, dtype=torch.uint8), (16, 16))
    black = (tile == 0).all(0)
    assert black[4:12].all()
    assert not black[:4].any()
    assert not black[12:].any()


def test_grid_leaves_grey_between_tiles_and_in_the_empty_place() -> None:
    tiles = [torch.full((3, 4, 4), value, dtype=torch.uint8) for value in (1, 2, 3)]
    sheet = grid(tiles, 2)[0]
    assert sheet.shape == (10, 10)
    assert sheet[0, 0] == 1
    assert sheet[0, 9] == 2
    assert sheet[9, 0] == 3
    assert {int(value) for value in sheet[4]} == {int(sheet[9, 9])} == {0x90}


@pytest.mark.parametrize(("size", "expected"), [((4, 4), (6, 6)), ((4, 8), (5, 10)), ((9, 3), (6, 2))])
def test_real_images_are_cut_around_their_centre(size: tuple[int, int], expected: tuple[int, int]) -> None:
    image = torch.arange(60, dtype=torch.uint8).reshape(1, 6, 10).repeat(3, 1, 1)
    piece = cut(image, size)
    assert tuple(piece.shape[1:]) == expected
    assert torch.equal(piece.flip(1, 2), cut(image.flip(1, 2), size)) or (6 - expected[0]) % 2 or (10 - expected[1]) % 2


def test_real_images_get_the_size_of_the_models_without_borders(make_run: MakeRun) -> None:
    models = read_arm(Arm("x", make_run("run", samples=1), 3.625))
    photos = read_arm(Arm("y", make_run("photos", samples=1, size=(40, 30)), 3.625))
    maker = PictureMaker({"x": models, "y": photos}, 1, ["y"])
    shown = decode_image(maker.compose(Shown("y", photos["yak-01"])), "y")
    assert tuple(shown.shape) == (3, 12, 12)
    assert not bool((shown == 255).all(0)[:, 2:].any())
    assert maker.warnings() == []
    small = PictureMaker({"x": photos, "y": models}, 1, ["y"])
    assert ["enlarged" in text for text in small.warnings()] == [True]


def test_a_degraded_copy_is_plainly_worse_and_of_one_size() -> None:
    stripes = (torch.arange(64) // 4 % 2 * 255).to(torch.uint8).repeat(3, 64, 1)
    worse = degrade(stripes, 1)
    assert worse.shape == stripes.shape
    assert torch.equal(worse, degrade(stripes, 1))
    assert not torch.equal(worse, degrade(stripes, 2))
    error = ((worse.float() - stripes.float()) ** 2).mean()
    # Below 20 dB of PSNR: far outside what any encoder or resampling does.
    assert 10 * torch.log10(255**2 / error) < 20
