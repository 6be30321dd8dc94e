"""Every kind of image file becomes RGB uint8 or an error that names it; conversions are exact both ways."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from imagen_bench.errors import InputError, ModelError
from imagen_bench.images import (
    contact_sheet,
    decode_image,
    from_pil,
    image_size,
    list_images,
    read_image,
    to_model,
    to_pil,
    to_uint8,
    write_png,
)

ORIENTATION = 0x0112


def pixel(path: Path, y: int = 0, x: int = 0) -> tuple[int, ...]:
    return tuple(read_image(path)[:, y, x].tolist())


def noise(height: int, width: int) -> torch.Tensor:
    return torch.randint(0, 256, (3, height, width), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def encoded(image: Image.Image, kind: str) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind)
    return buffer.getvalue()


def png_header(width: int, height: int) -> bytes:
    """A PNG that says its size and holds hardly any pixels."""
    size = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = [(b"IHDR", size), (b"IDAT", zlib.compress(b"\0")), (b"IEND", b"")]
    chunks = [
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in parts
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def test_rgb_png_is_read_as_chw_uint8(tmp_path: Path) -> None:
    array = noise(5, 7).permute(1, 2, 0).numpy()
    Image.fromarray(array).save(tmp_path / "a.png")
    image = read_image(tmp_path / "a.png")
    assert image.dtype == torch.uint8
    assert image.is_contiguous()
    assert np.array_equal(image.numpy(), array.transpose(2, 0, 1))


def test_sixteen_bit_grey_is_scaled_not_clipped(tmp_path: Path) -> None:
    values = np.array([[0, 128, 257, 32896, 65535]], dtype=np.uint16)
    Image.fromarray(values).save(tmp_path / "a.png")
    # 65535 / 255 = 257, so 257 is 1 and 32896 is 128; 128 is 0.498 of a step.
    assert read_image(tmp_path / "a.png")[1].tolist() == [[0, 0, 1, 128, 255]]


def test_sixteen_bit_grey_transparent_value_becomes_white(tmp_path: Path) -> None:
    Image.fromarray(np.array([[300, 0]], dtype=np.uint16)).save(tmp_path / "a.png", transparency=300)
    assert read_image(tmp_path / "a.png")[0].tolist() == [[255, 0]]


def test_palette_transparency_is_composited_on_white(tmp_path: Path) -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([255, 0, 0, 0, 0, 255])
    image.putpixel((1, 0), 1)
    image.save(tmp_path / "a.png", transparency=0)
    assert pixel(tmp_path / "a.png", x=0) == (255, 255, 255)
    assert pixel(tmp_path / "a.png", x=1) == (0, 0, 255)


def test_palette_without_transparency(tmp_path: Path) -> None:
    image = Image.new("P", (1, 1))
    image.putpalette([10, 20, 30])
    image.save(tmp_path / "a.png")
    assert pixel(tmp_path / "a.png") == (10, 20, 30)


def test_rgb_transparent_colour_becomes_white(tmp_path: Path) -> None:
    image = Image.new("RGB", (2, 1), (1, 2, 3))
    image.putpixel((1, 0), (4, 5, 6))
    image.save(tmp_path / "a.png", transparency=(1, 2, 3))
    assert pixel(tmp_path / "a.png", x=0) == (255, 255, 255)
    assert pixel(tmp_path / "a.png", x=1) == (4, 5, 6)


def test_grey_with_alpha(tmp_path: Path) -> None:
    Image.new("LA", (1, 1), (0, 51)).save(tmp_path / "a.png")
    # black at 20 % over white: 255 * 0.8 = 204
    assert pixel(tmp_path / "a.png") == (204, 204, 204)


def test_rgba_webp_is_composited_on_white(tmp_path: Path) -> None:
    Image.new("RGBA", (1, 1), (255, 0, 0, 0)).save(tmp_path / "a.webp", lossless=True)
    assert pixel(tmp_path / "a.webp") == (255, 255, 255)


@pytest.mark.parametrize("mode", ["1", "L"])
def test_grey_is_repeated(tmp_path: Path, mode: str) -> None:
    Image.new(mode, (1, 1), 255).save(tmp_path / "a.png")
    assert pixel(tmp_path / "a.png") == (255, 255, 255)


def test_cmyk_jpeg(tmp_path: Path) -> None:
    Image.new("CMYK", (8, 8), (0, 255, 255, 0)).save(tmp_path / "a.jpg", quality=100)
    red, green, blue = pixel(tmp_path / "a.jpg")
    assert red > 250
    assert green < 5
    assert blue < 5


def test_exif_orientation_is_applied(tmp_path: Path) -> None:
    image = Image.new("RGB", (4, 2), "black")
    image.putpixel((0, 0), (255, 255, 255))
    exif = Image.Exif()
    exif[ORIENTATION] = 6  # to be turned 90 degrees clockwise: the top left corner goes to the top right
    image.save(tmp_path / "a.png", exif=exif)
    turned = read_image(tmp_path / "a.png")
    assert turned.shape == (3, 4, 2)
    assert turned[0, 0].tolist() == [0, 255]


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "BMP"])
@pytest.mark.parametrize("kept", [0.02, 0.5, 0.9])
def test_truncated_file_is_refused_by_name(kind: str, kept: float) -> None:
    data = encoded(to_pil(noise(32, 32)), kind)
    with pytest.raises(InputError, match="'cut'"):
        decode_image(data[: int(len(data) * kept)], "cut")


def test_damaged_pixels_are_refused() -> None:
    data = bytearray(encoded(to_pil(noise(32, 32)), "PNG"))
    data[len(data) // 2] ^= 0xFF
    with pytest.raises(InputError, match="broken or truncated"):
        decode_image(bytes(data), "x")


def test_empty_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.png").touch()
    with pytest.raises(InputError, match=r"a\.png' is empty \(0 bytes\)"):
        read_image(tmp_path / "a.png")


@pytest.mark.parametrize(
    "data", [b"<html>404</html>", b"GIF89a\x01\x00\x01\x00\x00\x00\x00;", b"%!PS-Adobe-3.0 EPSF-3.0\n"]
)
def test_what_is_no_image_is_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "a.png").write_bytes(data)
    with pytest.raises(InputError, match=r"a\.png' is not an image"):
        read_image(tmp_path / "a.png")


def test_missing_file_and_folder_are_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "none.png", tmp_path):
        with pytest.raises(InputError, match="cannot read image"):
            read_image(path)


@pytest.mark.parametrize(("width", "height"), [(9_000, 11_112), (11_000, 10_000), (100_000, 100_000)])
def test_giant_image_is_refused_before_its_pixels_are_read(width: int, height: int) -> None:
    with pytest.raises(InputError, match=r"'giant' is too large: .* 100 megapixels"):
        decode_image(png_header(width, height), "giant")


def test_limit_is_a_hundred_megapixels_and_not_less() -> None:
    with pytest.raises(InputError, match="broken or truncated"):
        decode_image(png_header(10_000, 10_000), "large")


def test_listing_is_recursive_sorted_and_skips_the_hidden(tmp_path: Path) -> None:
    for name in ["b.PNG", "a/z.jpg", "a/y.webp", "c.txt", ".hidden.png", ".cache/d.png", "e.jpeg", "f.bmp"]:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    found = [path.relative_to(tmp_path).as_posix() for path in list_images(tmp_path)]
    assert found == ["a/y.webp", "a/z.jpg", "b.PNG", "e.jpeg", "f.bmp"]


def test_folder_that_is_missing_or_empty_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no folder"):
        list_images(tmp_path / "none")
    with pytest.raises(InputError, match="no images in"):
        list_images(tmp_path)


def test_png_round_trip_is_exact_and_bytes_are_deterministic(tmp_path: Path) -> None:
    image = noise(9, 6)
    write_png(tmp_path / "new" / "a.png", image)
    write_png(tmp_path / "b.png", image.permute(1, 2, 0).contiguous().permute(2, 0, 1))
    assert torch.equal(read_image(tmp_path / "new" / "a.png"), image)
    data = (tmp_path / "b.png").read_bytes()
    assert data == (tmp_path / "new" / "a.png").read_bytes()
    assert {kind for kind in (b"tEXt", b"tIME", b"eXIf", b"iTXt", b"iCCP") if kind in data} == set()


@pytest.mark.parametrize(
    "image", [torch.zeros(3, 2, 2), torch.zeros(1, 2, 2, dtype=torch.uint8), torch.zeros(3, 2).byte()]
)
def test_what_is_no_rgb_image_is_not_written(tmp_path: Path, image: torch.Tensor) -> None:
    with pytest.raises(InputError, match="expected a uint8 image of shape 3 x H x W"):
        write_png(tmp_path / "a.png", image)
    assert list(tmp_path.iterdir()) == []


def test_pil_round_trip() -> None:
    image = noise(3, 4)
    assert torch.equal(from_pil(to_pil(image)), image)


def test_model_range_round_trip_is_exact_for_all_values() -> None:
    values = torch.arange(256, dtype=torch.uint8).reshape(1, 1, 16, 16)
    mapped = to_model(values)
    assert (mapped.min().item(), mapped.max().item()) == (-1.0, 1.0)
    assert torch.equal(to_uint8(mapped), values)
    assert torch.equal(to_uint8(mapped.to(torch.float64)), values)


@given(st.floats(-1e6, 1e6, width=32))
def test_to_uint8_rounds_to_the_nearest_and_clamps(value: float) -> None:
    found = to_uint8(torch.tensor([value])).item()
    exact = min(max((value + 1) * 127.5, 0), 255)
    assert abs(found - exact) <= 0.5 + 1e-4


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_pixels_that_are_not_finite_are_a_model_error(value: float) -> None:
    with pytest.raises(ModelError, match="NaN or infinite"):
        to_uint8(torch.tensor([0.0, value]))


def test_wrong_dtypes_are_refused() -> None:
    with pytest.raises(InputError, match="expected uint8"):
        to_model(torch.zeros(1))
    with pytest.raises(InputError, match="expected float"):
        to_uint8(torch.zeros(1, dtype=torch.uint8))


@given(st.integers(1, 7), st.integers(1, 9), st.integers(0, 3))
def test_contact_sheet_holds_each_image_at_its_place(count: int, columns: int, pad: int) -> None:
    images = torch.arange(count, dtype=torch.uint8).reshape(count, 1, 1, 1).expand(count, 3, 2, 4).contiguous()
    sheet = contact_sheet(images, columns, pad)
    wide = min(columns, count)
    assert sheet.shape == (3, pad + -(-count // wide) * (2 + pad), pad + wide * (4 + pad))
    for index in range(count):
        top, left = pad + index // wide * (2 + pad), pad + index % wide * (4 + pad)
        assert torch.equal(sheet[:, top : top + 2, left : left + 4], images[index])
    assert int((sheet[0] < 255).sum()) == count * 2 * 4


@pytest.mark.parametrize(
    ("shape", "columns", "pad"),
    [((0, 3, 2, 2), 1, 0), ((1, 1, 2, 2), 1, 0), ((1, 3, 2, 2), 0, 0), ((1, 3, 2, 2), 1, -1)],
)
def test_contact_sheet_refuses_what_it_cannot_lay_out(shape: tuple[int, ...], columns: int, pad: int) -> None:
    with pytest.raises(InputError):
        contact_sheet(torch.zeros(shape, dtype=torch.uint8), columns, pad)


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_the_size_in_a_header_is_that_of_the_image_read(tmp_path: Path, orientation: int) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    Image.new("RGB", (7, 5)).save(tmp_path / "turned.jpg", exif=exif)
    height, width = read_image(tmp_path / "turned.jpg").shape[1:]
    assert image_size(tmp_path / "turned.jpg") == (width, height)


def test_the_size_of_what_is_no_image_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("no image")
    with pytest.raises(InputError, match="is not an image"):
        image_size(tmp_path / "text.png")
    with pytest.raises(InputError, match="cannot read image"):
        image_size(tmp_path / "missing.png")
