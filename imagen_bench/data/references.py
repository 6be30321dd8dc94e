"""Sets of images to compare with, or to score: a folder, or parquet in the layout of Hugging Face datasets.

A set's digest covers the content of its images and what is done to them, not their names or order, which no
distance depends on: a folder and a parquet file of the same image files have one digest, and a changed folder
never has that of the old one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property, partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from imagen_bench.errors import InputError
from imagen_bench.files import digest_json, sha256_bytes, sha256_file

if TYPE_CHECKING:
    import torch

PARQUET = ".parquet"
IMAGE_COLUMN = "image"
_READERS = 8
_SHOWN = 3


class ImageSet(Protocol):
    """Images in a fixed order."""

    @property
    def name(self) -> str:
        """What people call the set."""

    @property
    def names(self) -> tuple[str, ...]:
        """Name of each image: its path below the folder, or the path that the parquet row states."""

    @property
    def hashes(self) -> tuple[str, ...]:
        """Hex SHA-256 of each image file, in order."""

    @property
    def preprocessing(self) -> str:
        """What `batches` does to the images beyond decoding them; empty for nothing."""

    @property
    def digest(self) -> str:
        """Hex SHA-256 over the content of the image files, whatever their order, and the preprocessing."""

    def __len__(self) -> int:
        """Return the number of images."""

    def files(self) -> Iterator[tuple[str, bytes]]:
        """Yield the name and the content of each image file, in order.

        Raises:
            InputError: Names the file that cannot be read, or that changed since it was hashed.
        """

    def batches(self, batch_size: int) -> Iterator[list[torch.Tensor]]:
        """Yield the images in order, as lists of uint8 tensors 3 x H x W of any sizes.

        Raises:
            InputError: Names the image that cannot be read.
        """

    def decoders(self) -> Iterator[Callable[[], torch.Tensor]]:
        """Yield for each image, in order, what returns it as a uint8 tensor 3 x H x W; fit for threads."""


@runtime_checkable
class HashedOnUse(Protocol):
    """An image set that reads its files to hash them, unless a pass that has read them all tells it the hashes."""

    def remember(self, hashes: Sequence[str]) -> None:
        """Take over the files' hashes, in order."""


def open_reference_images(name: str) -> ImageSet:
    """Open the images of a reference set by name.

    Args:
        name: A COCO set such as "coco-val2014" or "coco-val2014:/path/to/coco", a folder of images, a parquet file
            or a folder of parquet shards.

    Raises:
        ConfigError: It is nearly the name of a COCO set.
        InputError: Nothing readable there.
    """
    from imagen_bench.data.coco_images import is_coco_reference, open_coco_reference

    return open_coco_reference(name) if is_coco_reference(name) else open_image_set(name)


def open_image_set(path: Path | str) -> ImageSet:
    """Open a folder of images, a parquet file, or a folder of parquet shards.

    Raises:
        InputError: Nothing there, no image in it, or a parquet file without an `image` column of {bytes,
        path}.
    """
    source = Path(path)
    if source.is_file() and source.suffix.lower() == PARQUET:
        return ParquetImageSet(source.stem, [source])
    if source.is_file():
        raise InputError(f"{str(source)!r} is no image set: expected a folder of images or a {PARQUET} file")
    shards = sorted(source.rglob(f"*{PARQUET}")) if source.is_dir() else []
    if shards:
        from imagen_bench.images import SUFFIXES

        if any(file.suffix.lower() in SUFFIXES for file in source.rglob("*")):
            raise InputError(f"{str(source)!r} holds both images and parquet files: name one kind of them")
        return ParquetImageSet(source.resolve().name, shards)
    return FolderImageSet(source)


class FolderImageSet:
    """The images below a folder, sorted by path.

    Args:
        folder: Folder of png, jpg, jpeg, webp or bmp files, searched recursively.
        only: Names of the files to take, if not all: plain names of files that lie in the folder itself.

    Raises:
        InputError: No such folder, or no images in it; or one of those named is not there.
    """

    preprocessing = ""

    def __init__(self, folder: Path, only: Sequence[str] | None = None) -> None:
        from imagen_bench.images import list_images

        self.name = folder.resolve().name
        self.paths = tuple(list_images(folder) if only is None else _named(folder, only))
        self.names = tuple(path.relative_to(folder).as_posix() for path in self.paths)

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.paths)

    @cached_property
    def hashes(self) -> tuple[str, ...]:
        """Hex SHA-256 of each image file, in order."""
        return hash_files(self.paths)

    @cached_property
    def digest(self) -> str:
        """Hex SHA-256 over the content of the image files."""
        return set_digest(self.hashes)

    def files(self) -> Iterator[tuple[str, bytes]]:
        """Yield the name and the content of each image file, in order."""
        for index, name in enumerate(self.names):
            yield name, self._read(index)

    def batches(self, batch_size: int) -> Iterator[list[torch.Tensor]]:
        """Yield the images in order, as lists of uint8 tensors 3 x H x W of any sizes."""
        for start in range(0, len(self.paths), batch_size):
            part = range(start, min(start + batch_size, len(self.paths)))
            yield [self._decode(index) for index in part]

    def decoders(self) -> Iterator[Callable[[], torch.Tensor]]:
        """Yield for each image, in order, what reads and decodes it."""
        yield from (partial(self._decode, index) for index in range(len(self.paths)))

    def _decode(self, index: int) -> torch.Tensor:
        from imagen_bench.images import decode_image

        return decode_image(self._read(index), str(self.paths[index]))

    def remember(self, hashes: Sequence[str]) -> None:
        """Take over the files' hashes from a pass that has read them all; each is checked when the file is used."""
        self.__dict__["hashes"] = tuple(hashes)

    def _read(self, index: int) -> bytes:
        """Return a file's content; what was hashed is what is read, or features would go by another's digest."""
        path = self.paths[index]
        data = read_file(path)
        if "hashes" in self.__dict__ and sha256_bytes(data) != self.hashes[index]:
            raise InputError(f"image {str(path)!r} was changed while it was in use: start again when nothing writes")
        return data


def _named(folder: Path, names: Sequence[str]) -> list[Path]:
    odd = next((name for name in names if name in (".", "..") or re.search(r"[/\\:\0]", name)), None)
    if odd is not None:
        raise InputError(f"{odd!r} is no plain file name: expected an image that lies in {str(folder)!r} itself")
    missing = [name for name in names if not (folder / name).is_file()]
    if missing:
        more = ", ..." if len(missing) > _SHOWN else ""
        raise InputError(
            f"{str(folder)!r} lacks {len(missing):,} of {len(names):,} images ({', '.join(missing[:_SHOWN])}{more}): "
            "unpack the archive again"
        )
    return [folder / name for name in sorted(names)]


def file_decoders(files: Iterator[tuple[str, bytes]]) -> Iterator[Callable[[], torch.Tensor]]:
    """Yield what decodes each of some image files, in order."""
    from imagen_bench.images import decode_image

    for name, data in files:
        yield partial(decode_image, data, name)


def decode_batches(files: Iterator[tuple[str, bytes]], batch_size: int) -> Iterator[list[torch.Tensor]]:
    """Decode image files in order, as lists of uint8 tensors 3 x H x W of any sizes.

    Raises:
        InputError: Names the image that cannot be read.
    """
    from imagen_bench.images import decode_image

    while batch := [decode_image(data, name) for name, data in islice(files, batch_size)]:
        yield batch


def read_file(path: Path) -> bytes:
    """Return the content of an image file.

    Raises:
        InputError: It cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot read image {str(path)!r}: {error.strerror}") from error


def hash_files(paths: Sequence[Path]) -> tuple[str, ...]:
    """Return the hex SHA-256 of files, in order; several are read at once.

    Raises:
        InputError: Names the file that cannot be read.
    """

    def digest(path: Path) -> str:
        try:
            return sha256_file(path)
        except OSError as error:
            raise InputError(f"cannot read image {str(path)!r}: {error.strerror}") from error

    with ThreadPoolExecutor(_READERS) as pool:
        return tuple(pool.map(digest, paths))


def set_digest(hashes: Sequence[str], preprocessing: str = "") -> str:
    """Return the digest of an image set: over its files in any order, and over what is done to them."""
    files = sorted(hashes)
    return digest_json([files, preprocessing] if preprocessing else files)


class ParquetImageSet:
    """The images of parquet files with a column `image` of {bytes, path}, as Hugging Face `datasets` writes.

    Args:
        name: What people call the set.
        files: Parquet files, in order.

    Raises:
        InputError: A file is broken, lacks such a column, holds a row without bytes, or there are no rows.
    """

    preprocessing = ""

    def __init__(self, name: str, files: list[Path]) -> None:
        self.name = name
        self._files = files
        for file in files:
            _check_columns(file)
        hashes: list[str] = []
        names: list[str] = []
        for row_name, data in self.files():
            names.append(row_name)
            hashes.append(sha256_bytes(data))
        if not names:
            raise InputError(f"{str(files[0])!r} holds no rows: expected at least one image")
        self.names = tuple(names)
        self.hashes = tuple(hashes)
        self.digest = set_digest(hashes)

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.names)

    def batches(self, batch_size: int) -> Iterator[list[torch.Tensor]]:
        """Yield the images in order, as lists of uint8 tensors 3 x H x W of any sizes."""
        return decode_batches(self.files(), batch_size)

    def decoders(self) -> Iterator[Callable[[], torch.Tensor]]:
        """Yield for each image, in order, what decodes it; the bytes are read here."""
        return file_decoders(self.files())

    def files(self) -> Iterator[tuple[str, bytes]]:
        """Yield the name and the content of each image file, in order."""
        import pyarrow as pa

        for file in self._files:
            try:
                yield from _read_rows(file)
            except (pa.ArrowException, OSError) as error:
                raise InputError(_broken(file, error)) from error


def _read_rows(file: Path) -> Iterator[tuple[str, bytes]]:
    """Yield the name and the bytes of each image of a parquet file."""
    import pyarrow.parquet as pq

    number = 0
    for table in pq.ParquetFile(file).iter_batches(batch_size=256, columns=[IMAGE_COLUMN]):
        for cell in table.column(0).to_pylist():
            if cell is None or cell["bytes"] is None:
                raise InputError(f"row {number} of {str(file)!r} has no image bytes: write the dataset with its images")
            yield cell["path"] or f"{file.name} row {number}", cell["bytes"]
            number += 1


def _check_columns(file: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        schema = pq.read_schema(file)
    except (pa.ArrowException, OSError) as error:
        raise InputError(_broken(file, error)) from error
    if IMAGE_COLUMN not in schema.names:
        raise InputError(f"{str(file)!r} has columns {', '.join(schema.names)}; expected a column {IMAGE_COLUMN!r}")
    kind = schema.field(IMAGE_COLUMN).type
    parts = {field.name: field.type for field in kind} if pa.types.is_struct(kind) else {}
    if not {"bytes", "path"} <= set(parts):
        raise InputError(f"column {IMAGE_COLUMN!r} of {str(file)!r} is {kind}; expected a struct of bytes and path")


def _broken(file: Path, error: Exception) -> str:
    return f"cannot read parquet file {str(file)!r}: {' '.join(str(error).split())[:200]}; write it again"
