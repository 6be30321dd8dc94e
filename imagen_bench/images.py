"""The only place that converts images: files, PIL, uint8 tensors and the model's range.

Between parts of the project an image is uint8, RGB, on the CPU, values 0-255: CHW alone, NCHW in a batch.
Inside the model it is float32 in [-1, 1]. Colour profiles embedded in files are ignored, as the usual metric
libraries do.
"""

from __future__ import annotations

import io
import struct
import warnings
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from imagen_bench.errors import InputError, ModelError
from imagen_bench.files import atomic_path

MAX_PIXELS = 100_000_000
SUFFIXES = (".bmp", ".jpeg", ".jpg", ".png", ".webp")
# Naming the formats keeps Pillow from trying the others, some of which start outside programs.
FORMATS = ("PNG", "JPEG", "WEBP", "BMP")
_BROKEN = (OSError, SyntaxError, ValueError, EOFError, struct.error)
_WHITE = 255


def list_images(folder: Path | str) -> list[Path]:
    """Return the image files below a folder, sorted by path; hidden files and folders are skipped.

    Raises:
        InputError: The folder does not exist or holds no image.
    """
    root = Path(folder)
    if not root.is_dir():
        raise InputError(f"no folder {str(root)!r}: expected a folder of images")
    found = [path for path in root.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file()]
    visible = [path for path in found if not any(part.startswith(".") for part in path.relative_to(root).parts)]
    if not visible:
        kinds = " ".join(suffix[1:] for suffix in SUFFIXES)
        raise InputError(f"no images in {str(root)!r}: expected files of these kinds: {kinds}")
    return sorted(visible, key=lambda path: path.relative_to(root).as_posix())


def read_image(path: Path | str) -> torch.Tensor:
    """Read an image file.

    EXIF orientation is applied, transparency is composited on white, 16-bit grey, palette and CMYK become
    8-bit RGB; of an animation the first frame is taken.

    Returns:
        uint8 tensor, 3 x H x W, RGB, 0-255.

    Raises:
        InputError: Names the file: missing, empty, no image, truncated, or above 100 megapixels.
    """
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise InputError(f"cannot read image {str(path)!r}: {error.strerror}") from error
    return decode_image(data, str(path))


def decode_image(data: bytes, name: str) -> torch.Tensor:
    """Decode the bytes of an image file, as `read_image` does.

    Args:
        data: Content of a PNG, JPEG, WebP or BMP file.
        name: What error messages call it.

    Returns:
        uint8 tensor, 3 x H x W, RGB, 0-255.

    Raises:
        InputError: The bytes are empty, no image, truncated, or above 100 megapixels.
    """
    if not data:
        raise InputError(f"image {name!r} is empty (0 bytes): write it again or remove it")
    try:
        with _open(data, name) as image:
            image.load()
            return from_pil(ImageOps.exif_transpose(image))
    except UnidentifiedImageError as error:
        raise InputError(f"{name!r} is not an image: expected PNG, JPEG, WebP or BMP") from error
    except _BROKEN as error:
        raise InputError(f"image {name!r} is broken or truncated ({error}): write it again or remove it") from error


def from_pil(image: Image.Image) -> torch.Tensor:
    """Convert a PIL image of any mode to a uint8 tensor, 3 x H x W, RGB, transparency composited on white."""
    if image.mode.startswith("I"):
        array = np.repeat(_grey16_to_grey8(image)[:, :, None], 3, axis=2)
    elif image.has_transparency_data:
        opaque = image.convert("RGBA")
        white = Image.new("RGBA", opaque.size, (_WHITE,) * 4)
        array = np.array(Image.alpha_composite(white, opaque).convert("RGB"))
    else:
        array = np.array(image.convert("RGB"))
    return torch.from_numpy(array).permute(2, 0, 1).contiguous()


def to_pil(image: torch.Tensor) -> Image.Image:
    """Convert a uint8 tensor, 3 x H x W, RGB, to a PIL image of mode RGB.

    Raises:
        InputError: Another shape or dtype.
    """
    if image.ndim != 3 or image.shape[0] != 3 or image.dtype != torch.uint8:
        raise InputError(f"expected a uint8 image of shape 3 x H x W, found {image.dtype} {tuple(image.shape)}")
    return Image.fromarray(image.permute(1, 2, 0).contiguous().cpu().numpy())


def write_png(path: Path | str, image: torch.Tensor) -> None:
    """Write a uint8 tensor, 3 x H x W, RGB, as a PNG file in one step.

    The file holds pixels and no metadata; with the same Pillow and zlib, equal images give equal bytes.

    Raises:
        InputError: Another shape or dtype.
    """
    picture = to_pil(image)
    with atomic_path(path) as temporary:
        picture.save(temporary, format="PNG", compress_level=6)


def to_model(images: torch.Tensor) -> torch.Tensor:
    """Map uint8 images, 0-255, to the model's float32 in [-1, 1]; any layout.

    Raises:
        InputError: Another dtype.
    """
    if images.dtype != torch.uint8:
        raise InputError(f"expected uint8 images, found {images.dtype}")
    return images.to(torch.float32) / 127.5 - 1


def to_uint8(images: torch.Tensor) -> torch.Tensor:
    """Map float images in [-1, 1] to uint8, 0-255, rounding to the nearest and clamping what lies outside.

    Raises:
        InputError: The tensor is not of a floating type.
        ModelError: A value is NaN or infinite.
    """
    if not images.is_floating_point():
        raise InputError(f"expected float images in [-1, 1], found {images.dtype}")
    if not bool(torch.isfinite(images).all()):
        raise ModelError("the model produced NaN or infinite pixels: check its weights and the sampler's settings")
    return ((images.to(torch.float32) + 1) * 127.5).round().clamp(0, _WHITE).to(torch.uint8)


def contact_sheet(images: torch.Tensor, columns: int, pad: int = 2) -> torch.Tensor:
    """Lay images out in a grid on white, row by row.

    Args:
        images: uint8, N x 3 x H x W, RGB, at least one.
        columns: Images per row; fewer where there are fewer images.
        pad: White pixels around each image.

    Returns:
        uint8 tensor, 3 x (rows (H + pad) + pad) x (columns (W + pad) + pad).

    Raises:
        InputError: Another shape or dtype, no image, or `columns` below 1.
    """
    if images.ndim != 4 or images.shape[0] < 1 or images.shape[1] != 3 or images.dtype != torch.uint8:
        raise InputError(f"expected uint8 images of shape N x 3 x H x W, found {images.dtype} {tuple(images.shape)}")
    if columns < 1 or pad < 0:
        raise InputError(f"a contact sheet needs columns >= 1 and pad >= 0, found {columns} and {pad}")
    count, channels, height, width = images.shape
    columns = min(columns, count)
    rows = -(-count // columns)
    sheet_size = (channels, rows * (height + pad) + pad, columns * (width + pad) + pad)
    sheet = torch.full(sheet_size, _WHITE, dtype=torch.uint8)
    for index, image in enumerate(images):
        top = pad + (index // columns) * (height + pad)
        left = pad + (index % columns) * (width + pad)
        sheet[:, top : top + height, left : left + width] = image
    return sheet


def _grey16_to_grey8(image: Image.Image) -> NDArray[np.uint8]:
    """Scale 16-bit grey to H x W uint8; Pillow's own conversion clips at 255 instead."""
    values = np.asarray(image).astype(np.int64).clip(0, 65535)
    grey = ((values * 255 + 32767) // 65535).astype(np.uint8)
    transparent = image.info.get("transparency")
    return np.where(values == transparent, np.uint8(_WHITE), grey) if transparent is not None else grey


def _open(data: bytes, name: str) -> Image.Image:
    """Read the header of an image file, and refuse a giant before its pixels are decoded."""
    too_large = f"image {name!r} is too large: expected at most {MAX_PIXELS // 1_000_000} megapixels; resize it"
    try:
        with warnings.catch_warnings():
            # Pillow warns somewhat below our limit.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            image = Image.open(io.BytesIO(data), formats=FORMATS)
    except Image.DecompressionBombError as error:
        raise InputError(too_large) from error
    if image.width * image.height > MAX_PIXELS:
        raise InputError(too_large)
    return image
