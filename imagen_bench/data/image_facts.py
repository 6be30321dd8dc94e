"""What is unusual about one image file, seen while it is decoded once."""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

from imagen_bench.errors import InputError
from imagen_bench.files import sha256_bytes

if TYPE_CHECKING:
    from PIL import Image

TINY_SIDE = 32
"""Shorter images than this hold too little for any feature extractor."""

_ORIENTATION = 0x0112
_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PNG_DEPTH = 24
"""Offset of the bit depth in a PNG file: Pillow opens 16-bit colour as 8-bit and does not say so."""


@dataclass(frozen=True)
class ImageFacts:
    """One image file.

    Attributes:
        name: Its name in the set.
        sha256: Hex SHA-256 of the file.
        problems: Kinds of finding that it is part of, such as "cmyk" or "truncated".
        format: "PNG", "JPEG", "WEBP" or "BMP", by content; empty where it is none of them.
        size: Width and height in pixels, EXIF orientation applied; None where it cannot be decoded.
        pixels: Hex SHA-256 over shape and decoded pixels; None where it was not decoded.
    """

    name: str
    sha256: str
    problems: tuple[str, ...]
    format: str = ""
    size: tuple[int, int] | None = None
    pixels: str | None = None


def image_facts(name: str, data: bytes) -> ImageFacts:
    """Decode an image once and say what is unusual about it; never raises for a broken file."""
    import torch

    from imagen_bench.images import decode_image

    sha256 = sha256_bytes(data)
    header = _header(data)
    if isinstance(header, str):
        return ImageFacts(name, sha256, (header,))
    kind, problems = header
    try:
        image = decode_image(data, name)
    except InputError:
        return ImageFacts(name, sha256, ("truncated",), kind)
    height, width = image.shape[1:]
    flat = image.flatten(1)
    if bool(torch.equal(flat.amin(dim=1), flat.amax(dim=1))):
        problems = (*problems, "blank")
    if min(height, width) < TINY_SIDE:
        problems = (*problems, "tiny")
    return ImageFacts(name, sha256, problems, kind, (width, height), pixel_digest(image.numpy().tobytes(), image.shape))


def pixel_digest(pixels: bytes, shape: tuple[int, ...]) -> str:
    """Return the hex SHA-256 over the shape and the pixels of a decoded image."""
    return sha256_bytes(repr(tuple(shape)).encode() + pixels)


def header_size(data: bytes) -> tuple[int, int] | None:
    """Return width and height of an image file without decoding it, EXIF orientation applied; None if unreadable."""
    from PIL import Image

    from imagen_bench.images import FORMATS

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(data), formats=FORMATS) as image:
                turned = image.getexif().get(_ORIENTATION, 1) in (5, 6, 7, 8)
                return (image.height, image.width) if turned else (image.width, image.height)
    except Exception:  # Pillow's plug-ins raise whatever they meet in a broken file
        return None


def _header(data: bytes) -> tuple[str, tuple[str, ...]] | str:
    """Return format and problems that the header shows, or the one problem that keeps it from being decoded."""
    from PIL import Image, UnidentifiedImageError

    from imagen_bench.images import FORMATS, MAX_PIXELS

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(data), formats=FORMATS) as image:
                if image.width * image.height > MAX_PIXELS:
                    return "giant"
                return image.format or "", _unusual(image, data)
    except Image.DecompressionBombError:
        return "giant"
    except UnidentifiedImageError:
        return "unreadable"
    except Exception:  # Pillow's plug-ins raise whatever they meet in a broken file
        return "truncated"


def _unusual(image: Image.Image, data: bytes) -> tuple[str, ...]:
    deep = image.mode.startswith("I") or (data.startswith(_PNG_SIGNATURE) and data[_PNG_DEPTH] == 16)
    found = {
        "cmyk": image.mode == "CMYK",
        "sixteen-bit": deep,
        "palette": image.mode == "P",
        "rotated": image.getexif().get(_ORIENTATION, 1) in range(2, 9),
        "animated": bool(getattr(image, "is_animated", False)),
        "transparent": image.has_transparency_data and not image.mode.startswith("I") and _lets_through(image),
    }
    return tuple(kind for kind, is_so in found.items() if is_so)


def _lets_through(image: Image.Image) -> bool:
    """Return whether some pixel is not opaque; an alpha channel alone changes nothing."""
    return image.convert("RGBA").getchannel("A").tobytes().strip(b"\xff") != b""
