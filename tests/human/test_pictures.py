"""Pictures for raters: bare pixels, equal size on both sides."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from PIL import Image

from imagen_bench.errors import RunFolderError
from imagen_bench.human.arms import Arm, read_arm
from imagen_bench.human.pictures import GRID_EDGE, PictureMaker, fit, grid
from imagen_bench.images import read_image

MakeRun = Callable[..., Path]


def png_chunks(data: bytes) -> list[bytes]:
    """Return the chunk types of a PNG, read by the format's own rule: length, type, data, checksum."""
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    kinds, at = [], 8
    while at < len(data):
        kinds.append(data[at + 4 : at + 8])
        at += 12 + int.from_bytes(data[at : at + 4], "big")
    return kinds


def test_files_hold_pixels_alone_and_have_one_size(make_run: MakeRun, tmp_path: Path) -> None:
    arms = {
        "x": read_arm(Arm("x", make_run("small", size=(12, 12)), 3.625)),
        "y": read_arm(Arm("y", make_run("wide", size=(24, 18)), 3.625)),
    }
    maker = PictureMaker(arms, 2)
    sizes = set()
    for label, rows in arms.items():
        path = tmp_path / f"{label}.png"
        maker.write(path, label, rows["zebra-01"])
        assert set(png_chunks(path.read_bytes())) == {b"IHDR", b"IDAT", b"IEND"}
        sizes.add(tuple(read_image(path).shape))
    assert sizes == {(3, 18, 24 * 2 + 2)}
    (warning,) = maker.warnings()
    assert "x: 12 x 12; y: 18 x 24" in warning


def test_images_of_one_size_are_shown_pixel_by_pixel(make_run: MakeRun, tmp_path: Path) -> None:
    rows = read_arm(Arm("x", make_run("run"), 3.625))
    maker = PictureMaker({"x": rows, "y": rows}, 2)
    maker.write(tmp_path / "a.png", "x", rows["yak-01"])
    shown = read_image(tmp_path / "a.png")
    for number, sample in enumerate(rows["yak-01"].samples):
        assert torch.equal(shown[:, :, number * 14 : number * 14 + 12], read_image(sample.path))
    assert maker.warnings() == []


def test_large_grids_are_scaled_to_what_a_screen_shows(make_run: MakeRun) -> None:
    rows = read_arm(Arm("x", make_run("run", size=(1024, 512), prompts=[("a", "a", "a")], samples=8), 3.625))
    assert PictureMaker({"x": rows, "y": rows}, 8).tile == (GRID_EDGE // 6, GRID_EDGE // 3)


def test_an_image_changed_after_the_run_is_refused(make_run: MakeRun, tmp_path: Path) -> None:
    rows = read_arm(Arm("x", make_run("run"), 3.625))
    Image.new("RGB", (12, 12), "red").save(rows["yak-01"].samples[0].path)
    with pytest.raises(RunFolderError, match="not the image that the run recorded"):
        PictureMaker({"x": rows, "y": rows}, 2).write(tmp_path / "a.png", "x", rows["yak-01"])


def test_flat_images_are_reported(make_run: MakeRun, tmp_path: Path) -> None:
    rows = read_arm(Arm("x", make_run("run", size=(1, 1)), 3.625))
    maker = PictureMaker({"x": rows, "y": rows}, 2)
    maker.write(tmp_path / "a.png", "x", rows["yak-01"])
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
