"""COCO as a reference set: which images, cropped to their short side and resized, all of it in name and digest.

A name such as `coco-val2014` means the whole validation set of 2014 (40,504 images), each cropped to a square
around its centre and resized to 256 x 256 by Pillow's antialiased Lanczos filter on 8-bit pixels. Further words
change one choice each, in any order: `coco-val2014-30k-bicubic-512px`. A copy follows a colon:
`coco-val2014:/path/to/coco`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from imagen_bench.data.coco import (
    SPLITS,
    CocoSplit,
    coco_advice,
    images_path,
    official_captions,
    registered_root,
)
from imagen_bench.data.coco_prompts import DRAWS, draw_captions
from imagen_bench.data.dataset_images import is_dataset_name, open_dataset_images
from imagen_bench.data.references import FolderImageSet, HashedOnUse, ImageSet, open_image_set, set_digest
from imagen_bench.errors import ConfigError, InputError
from imagen_bench.suggest import did_you_mean

if TYPE_CHECKING:
    import torch

Kernel = Literal["bicubic", "bilinear", "box", "lanczos"]
KERNELS: tuple[Kernel, ...] = ("bicubic", "bilinear", "box", "lanczos")
_DRAWN: Mapping[str, str] = {"10k": "coco-10k", "30k": "coco-30k"}
_SUBSET = "subset"
_MAX_SIDE = 4096


@dataclass(frozen=True)
class CocoReference:
    """Which images of COCO, and what is done to them.

    Attributes:
        split: Part of COCO.
        choice: "" for all images; "30k" or "10k" for the images of that prompt set; "subset" for all of a copy
            that has another number than was published.
        kernel: Pillow's resampling filter, antialiased.
        side: Width and height after the resize, in pixels.
    """

    split: CocoSplit
    choice: str = ""
    kernel: Kernel = "lanczos"
    side: int = 256

    @property
    def name(self) -> str:
        """The full name, with every choice in it: "coco-val2014-256px-lanczos"."""
        return "-".join(["coco", self.split.name, *filter(None, [self.choice]), f"{self.side}px", self.kernel])


def is_coco_reference(name: str) -> bool:
    """Return whether a reference's name means COCO: it starts with "coco-" and a split, or nearly so.

    Raises:
        ConfigError: It nearly is one.
    """
    head, colon, _ = name.partition(":")
    words = head.split("-")
    if words[0] != "coco" or len(words) < 2:
        return False
    if colon or words[1] in SPLITS:
        parse_coco_reference(head)
        return True
    return False


def parse_coco_reference(head: str) -> CocoReference:
    """Read a name without its place, such as "coco-val2014-30k-bicubic".

    Raises:
        ConfigError: A word that means nothing, or two for one choice.
    """
    coco, split, *words = head.split("-") if "-" in head else (head, "")
    if coco != "coco" or split not in SPLITS:
        known = [f"coco-{name}" for name in SPLITS]
        raise ConfigError(f"unknown COCO reference {head!r}: {did_you_mean(head, known)}")
    found: dict[str, str | int] = {}
    for word in words:
        key, value = _choice(head, word)
        if key in found:
            raise ConfigError(f"{head!r} says its {key} twice: give one of {found[key]} and {value}")
        found[key] = value
    reference = replace(CocoReference(SPLITS[split]), **found)  # type: ignore[arg-type]
    if reference.choice in _DRAWN and split != DRAWS[_DRAWN[reference.choice]].split.name:
        raise ConfigError(f"{head!r}: the images of {_DRAWN[reference.choice]} are drawn from val2014, not {split}")
    return reference


def open_coco_reference(name: str) -> CroppedImageSet:
    """Open a COCO reference set.

    Args:
        name: A name with or without its place, as the module's documentation has them. The place is a folder in
            COCO's layout, a parquet file or folder of them with the images, or a dataset of the `datasets` library,
            `owner/name@split`, that is in its cache.

    Raises:
        ConfigError: The name is wrong.
        InputError: No copy is known, or its images are not there, or another number than was published.
    """
    head, _, place = name.partition(":")
    reference = parse_coco_reference(head)
    root = Path(place).expanduser() if place else registered_root(reference.split)
    if root is None:
        raise InputError(f"no copy of COCO is known for {head!r}: {coco_advice(head)}")
    if is_dataset_name(place):
        images = _counted(_images_alone(open_dataset_images(place), place, reference), place, reference)
    elif root.exists():
        images = _images(root, reference)
    else:
        raise InputError(f"no folder {str(root)!r} for {head!r}: {coco_advice(head)}")
    return CroppedImageSet(images, reference.name, reference.side, reference.kernel)


class CroppedImageSet:
    """An image set whose images are cropped to a square around their centre and resized.

    Args:
        images: The set.
        name: What people call the result.
        side: Width and height of the result, in pixels.
        kernel: Pillow's resampling filter, antialiased.
    """

    def __init__(self, images: ImageSet, name: str, side: int, kernel: Kernel) -> None:
        self.images = images
        self.name = name
        self.side = side
        self.kernel = kernel
        self.preprocessing = f"centre-crop-short-side,{side}x{side},{kernel}-antialias-pil"

    @property
    def names(self) -> tuple[str, ...]:
        """Name of each image file."""
        return self.images.names

    @property
    def hashes(self) -> tuple[str, ...]:
        """Hex SHA-256 of each image file as it is on disk, in order."""
        return self.images.hashes

    @property
    def digest(self) -> str:
        """Hex SHA-256 over the content of the image files and the preprocessing."""
        return set_digest(self.hashes, self.preprocessing)

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.images)

    def files(self) -> Iterator[tuple[str, bytes]]:
        """Yield the name and the content of each image file, in order, as it is on disk."""
        return self.images.files()

    def remember(self, hashes: Sequence[str]) -> None:
        """Take over the files' hashes from a pass that has read them all."""
        if isinstance(self.images, HashedOnUse):
            self.images.remember(hashes)

    def batches(self, batch_size: int) -> Iterator[list[torch.Tensor]]:
        """Yield the images in order, as lists of uint8 tensors 3 x side x side."""
        for batch in self.images.batches(batch_size):
            yield [crop_and_resize(image, self.side, self.kernel) for image in batch]

    def decoders(self) -> Iterator[Callable[[], torch.Tensor]]:
        """Yield for each image, in order, what reads, decodes, crops and resizes it."""
        for decode in self.images.decoders():
            yield partial(self._cropped, decode)

    def _cropped(self, decode: Callable[[], torch.Tensor]) -> torch.Tensor:
        return crop_and_resize(decode(), self.side, self.kernel)


def crop_and_resize(image: torch.Tensor, side: int, kernel: Kernel) -> torch.Tensor:
    """Crop an image to its short side around the centre, then resize it with antialiasing.

    The crop's left and top are (W - S) // 2 and (H - S) // 2, with S the short side; the resize is Pillow's, on
    8-bit pixels. An image that has the size already stays as it is.

    Args:
        image: uint8, 3 x H x W, 0-255.
        side: Width and height of the result, in pixels.
        kernel: Pillow's resampling filter.

    Returns:
        uint8, 3 x side x side, 0-255.
    """
    from PIL import Image

    from imagen_bench.images import from_pil, to_pil

    height, width = image.shape[1:]
    short = min(height, width)
    left, top = (width - short) // 2, (height - short) // 2
    square = image[:, top : top + short, left : left + short]
    if short == side:
        return square.contiguous()
    return from_pil(to_pil(square).resize((side, side), Image.Resampling[kernel.upper()]))


def _choice(head: str, word: str) -> tuple[str, str | int]:
    if word in KERNELS:
        return "kernel", word
    if word in _DRAWN or word == _SUBSET:
        return "choice", word
    side = word.removesuffix("px")
    if side != word and side.isdecimal() and 1 <= int(side) <= _MAX_SIDE:
        return "side", int(side)
    known = [*KERNELS, *_DRAWN, _SUBSET, "256px"]
    raise ConfigError(f"{head!r}: {word!r} is no choice of a COCO reference: {did_you_mean(word, known)}")


def _images(root: Path, reference: CocoReference) -> ImageSet:
    split, subset = reference.split, reference.choice == _SUBSET
    if root.is_file() or not any((root / part).is_dir() for part in ("annotations", split.name, "images")):
        return _counted(_images_alone(open_image_set(root), str(root), reference), str(root), reference)
    folder = images_path(root, split, subset)
    if reference.choice not in _DRAWN:
        return _counted(FolderImageSet(folder), str(folder), reference)
    draw = DRAWS[_DRAWN[reference.choice]]
    captions = official_captions(root, split)
    drawn = draw_captions(captions.rows, draw.count, draw.per_image)
    return FolderImageSet(folder, [row.file_name for row in drawn])


def _images_alone(images: ImageSet, place: str, reference: CocoReference) -> ImageSet:
    if reference.choice in _DRAWN:
        raise InputError(
            f"{place!r} holds images alone, but {reference.name} needs the captions that its images are drawn by: "
            f"give a folder with {reference.split.captions_file} and {reference.split.name}/"
        )
    return images


def _counted(images: ImageSet, place: str, reference: CocoReference) -> ImageSet:
    if reference.choice != _SUBSET and len(images) != reference.split.images:
        head = f"coco-{reference.split.name}"
        raise InputError(
            f"{place!r} has {len(images):,} images, {reference.split.name} has {reference.split.images:,}: complete it "
            f"(`imagen-bench data coco --root DIR` names what is missing), or use {head}-subset, whose scores say so"
        )
    return images
