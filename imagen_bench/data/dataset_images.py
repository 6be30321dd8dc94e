"""The images of a dataset of the `datasets` library, from its local cache; nothing is downloaded."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imagen_bench.data.picture_sources import load_dataset_split
from imagen_bench.data.references import IMAGE_COLUMN, decode_batches, file_decoders, read_file, set_digest
from imagen_bench.errors import InputError
from imagen_bench.files import sha256_bytes

if TYPE_CHECKING:
    import torch

_NAME = re.compile(r"(?P<id>[A-Za-z0-9][\w.-]*/[\w.-]+)@(?P<split>[\w.+-]+)")


def is_dataset_name(name: str) -> bool:
    """Return whether a name is that of a dataset and its split: "owner/name@split"."""
    return _NAME.fullmatch(name) is not None


def open_dataset_images(name: str) -> DatasetImageSet:
    """Open the images of a dataset.

    Args:
        name: "owner/name@split", a hub id whose data lies in the cache of `datasets`.

    Raises:
        InputError: It is no such name, or not in the cache, or has no column `image` of images.
    """
    match = _NAME.fullmatch(name)
    if match is None:
        raise InputError(f"{name!r} is no dataset: expected owner/name@split")
    return DatasetImageSet(name, load_dataset_split(match["id"], match["split"]))


class DatasetImageSet:
    """The images of a dataset, in the order of its rows.

    Args:
        name: What people call it.
        data: A `datasets.Dataset` with a column `image`.

    Raises:
        InputError: There is no such column, or no row.
    """

    preprocessing = ""

    def __init__(self, name: str, data: Any) -> None:
        import datasets

        if not isinstance(data.features.get(IMAGE_COLUMN), datasets.Image):
            found = ", ".join(data.column_names)
            raise InputError(f"dataset {name!r} has columns {found}; expected a column {IMAGE_COLUMN!r} of images")
        if not len(data):
            raise InputError(f"dataset {name!r} holds no rows: expected at least one image")
        self.name = name
        self._data = data.select_columns([IMAGE_COLUMN]).cast_column(IMAGE_COLUMN, datasets.Image(decode=False))
        self.names = tuple(f"row {number}" for number in range(1, len(data) + 1))

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.names)

    @cached_property
    def hashes(self) -> tuple[str, ...]:
        """Hex SHA-256 of each image file, in order."""
        return tuple(sha256_bytes(data) for _, data in self.files())

    @cached_property
    def digest(self) -> str:
        """Hex SHA-256 over the content of the image files."""
        return set_digest(self.hashes)

    def files(self) -> Iterator[tuple[str, bytes]]:
        """Yield the name and the content of each image file, in order."""
        for name, row in zip(self.names, self._data, strict=True):
            cell = row[IMAGE_COLUMN] or {}
            data = cell.get("bytes")
            if data is None and cell.get("path"):
                data = read_file(Path(cell["path"]))
            if data is None:
                raise InputError(f"{name} of dataset {self.name!r} has no image: write the dataset with its images")
            yield name, data

    def batches(self, batch_size: int) -> Iterator[list[torch.Tensor]]:
        """Yield the images in order, as lists of uint8 tensors 3 x H x W of any sizes."""
        return decode_batches(self.files(), batch_size)

    def decoders(self) -> Iterator[Callable[[], torch.Tensor]]:
        """Yield for each image, in order, what decodes it; the bytes are read here."""
        return file_decoders(self.files())
