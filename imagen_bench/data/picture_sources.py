"""Captioned pictures to train on: a folder, a table of files, parquet files, or a dataset of the `datasets` library."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any, Protocol

import torch

from imagen_bench.data.captions import CAPTION_COLUMNS, FILE_COLUMNS, load_captions, match_captions
from imagen_bench.errors import InputError
from imagen_bench.images import decode_image, list_images, read_image
from imagen_bench.suggest import did_you_mean

CAPTION_FILES = ("metadata.csv", "metadata.jsonl", "captions.csv", "captions.jsonl")
IMAGE_COLUMNS = ("image", "img", "picture", "jpg", "png", *FILE_COLUMNS)
TEXT_COLUMNS = (*CAPTION_COLUMNS, "captions", "texts")


class PictureSource(Protocol):
    """Pictures by their place, each with at least one caption."""

    def __len__(self) -> int:
        """Number of pictures."""
        ...

    def picture(self, index: int) -> torch.Tensor:
        """The picture at a place, uint8 3HW, 0-255."""
        ...

    def captions(self, index: int) -> tuple[str, ...]:
        """Its captions."""
        ...


class PictureFiles:
    """Pictures in files, with their captions."""

    def __init__(self, paths: Sequence[Path], captions: Sequence[tuple[str, ...]]) -> None:
        self.paths, self._captions = paths, captions

    def __len__(self) -> int:
        return len(self.paths)

    def picture(self, index: int) -> torch.Tensor:
        """Reads a picture."""
        return read_image(self.paths[index])

    def captions(self, index: int) -> tuple[str, ...]:
        """The captions of a picture."""
        return self._captions[index]


def folder_source(root: Path, captions: Path | None = None) -> PictureFiles:
    """All pictures below a folder, sorted by path.

    Args:
        root: the folder.
        captions: a caption file as `load_captions` reads it. Where it is None, metadata.csv, metadata.jsonl,
            captions.csv or captions.jsonl in the folder is taken, else a text file beside every picture
            (`1.txt` for `1.png`; every line is a caption).

    Raises:
        InputError: no pictures, or they and the captions do not fit.
    """
    if root.is_file():
        raise InputError(f'{str(root)!r} is a file, expected a folder: set data.kind to "csv" or "parquet" for a table')
    paths = list_images(root)
    found = captions or next((root / name for name in CAPTION_FILES if (root / name).is_file()), None)
    if found is None:
        return PictureFiles(paths, [_beside(path) for path in paths])
    names = [path.relative_to(root).as_posix() for path in paths]
    matched = match_captions(names, load_captions(found))
    return PictureFiles(paths, [tuple(row.text for row in rows) for rows in matched])


def table_source(path: Path) -> PictureFiles:
    """The pictures that a .csv or .jsonl file names, in its order, at paths relative to the file's folder.

    Rows of the same file are captions of one picture.

    Raises:
        InputError: the table is broken, or names a file that is missing or outside its folder.
    """
    if path.suffix.lower() not in (".csv", ".jsonl"):
        raise InputError(f"{str(path)!r} is no table of pictures: expected a .csv or .jsonl file")
    captions: dict[str, tuple[str, ...]] = {}
    for row in load_captions(path).rows:
        name = row.file or ""
        captions[name] = (*captions.get(name, ()), row.text)
    return PictureFiles([_inside(path.parent, name, str(path)) for name in captions], list(captions.values()))


class DatasetSource:
    """A map-style dataset of the `datasets` library with a picture column and a caption column.

    Args:
        data: the dataset; it is read by place, so a large one stays on disk.
        name: what error messages call it.
        image_column: encoded pictures or names of files below `root`; found by its usual names where None.
        caption_column: texts or lists of texts; found likewise.
        root: folder of the files that the picture column names.

    Raises:
        InputError: a column is not there, or there is no row.
    """

    def __init__(
        self, data: Any, name: str, image_column: str | None = None, caption_column: str | None = None,
        root: Path = Path(),
    ) -> None:  # fmt: skip
        import datasets

        self.name, self._root = name, root
        self._image = _column(data.column_names, image_column, IMAGE_COLUMNS, f"{name}: picture column")
        self._caption = _column(data.column_names, caption_column, TEXT_COLUMNS, f"{name}: caption column")
        if isinstance(data.features[self._image], datasets.Image):
            # Our own decoder reads the bytes, so that a picture is the same whichever way it came.
            data = data.cast_column(self._image, datasets.Image(decode=False))
        self._data = data.select_columns([self._image, self._caption])
        if not len(self._data):
            raise InputError(f"{name} has no rows: expected pictures with captions")

    def __len__(self) -> int:
        return len(self._data)

    def picture(self, index: int) -> torch.Tensor:
        """Decodes a picture."""
        where = f"{self.name}, row {index + 1}"
        value: Any = self._data[index][self._image]
        if isinstance(value, dict) and value.get("bytes") is None and value.get("path"):
            return read_image(value["path"])  # a local file that `datasets` found itself
        if isinstance(value, dict):
            value = value.get("bytes")
        if isinstance(value, bytes):
            return decode_image(value, where)
        if isinstance(value, str):
            return read_image(_inside(self._root, value, where))
        raise InputError(f"{where}: {self._image!r} holds {type(value).__name__}, expected an encoded picture")

    def captions(self, index: int) -> tuple[str, ...]:
        """The captions of a picture."""
        value = self._data[index][self._caption]
        texts = [value] if isinstance(value, str) else value
        if (
            not isinstance(texts, list)
            or not texts
            or not all(isinstance(text, str) and text.strip() for text in texts)
        ):
            raise InputError(
                f"{self.name}, row {index + 1}: {self._caption!r} is {value!r}, expected a text or a list of texts"
            )
        return tuple(text.strip() for text in texts)


def parquet_source(path: Path, image_column: str | None = None, caption_column: str | None = None) -> DatasetSource:
    """A .parquet file, or all of them below a folder in the order of their names.

    The picture column holds encoded pictures (bytes, or the struct of bytes and path that `datasets` writes) or paths
    relative to the folder. `datasets` turns the file once into Arrow in its cache, from which rows are read by place.

    Raises:
        InputError: no such file, or it is not readable.
    """
    files = [path] if path.is_file() else sorted(path.rglob("*.parquet"))
    if not files or (path.is_file() and path.suffix.lower() != ".parquet"):
        raise InputError(f"{str(path)!r} is no parquet file and no folder with .parquet files")
    data = _load("parquet", str(path), "train", download=False, data_files=[str(file) for file in files])
    return DatasetSource(data, str(path), image_column, caption_column, path if path.is_dir() else path.parent)


def dataset_source(
    name: str, split: str = "train", image_column: str | None = None, caption_column: str | None = None,
    download: bool = False,
) -> DatasetSource:  # fmt: skip
    """A dataset of the `datasets` library: a folder of `save_to_disk`, another local dataset, or a hub id.

    Args:
        name: folder or hub id.
        split: of a dataset with several.
        image_column: see `DatasetSource`.
        caption_column: see `DatasetSource`.
        download: allow a hub id to be fetched; else it must be in the cache of `datasets`.

    Raises:
        InputError: no such dataset or split, or it is not in the cache.
    """
    folder = Path(name)
    data = _saved(folder, split) if folder.is_dir() else None
    if data is None:
        data = _load(name, name, split, download)
    return DatasetSource(data, name, image_column, caption_column, folder if folder.is_dir() else Path())


def load_dataset_split(name: str, split: str) -> Any:
    """The rows of a hub id's split, from the cache of `datasets`; nothing is downloaded.

    Raises:
        InputError: no such dataset or split, or it is not in the cache.
    """
    return _load(name, name, split, download=False)


def _saved(folder: Path, split: str) -> Any:
    """What `save_to_disk` wrote; None where the folder is another kind of dataset."""
    import datasets

    if not any((folder / name).is_file() for name in ("state.json", "dataset_dict.json")):
        return None
    try:
        data = datasets.load_from_disk(str(folder))
    except (OSError, ValueError, IndexError) as error:  # the last one where it has no rows
        raise InputError(f"dataset {str(folder)!r} cannot be read: {_first_line(error)}") from error
    if not isinstance(data, datasets.DatasetDict):
        return data
    if split not in data:
        raise InputError(f"dataset {str(folder)!r} has no split {split!r}: {did_you_mean(split, data)}")
    return data[split]


def _load(builder: str, name: str, split: str, download: bool, data_files: list[str] | None = None) -> Any:
    import datasets

    with _quiet_and_offline(download):
        try:
            return datasets.load_dataset(builder, data_files=data_files, split=split)
        except (OSError, ValueError, datasets.exceptions.DatasetsError) as error:
            local = download or Path(name).exists()
            hint = "" if local else "; expected a folder or a dataset in the cache, or allow the fetch with --download"
            raise InputError(
                f"dataset {name!r} cannot be read: {_first_line(error.__cause__ or error)}{hint}"
            ) from error


@contextmanager
def _quiet_and_offline(download: bool) -> Iterator[None]:
    """`datasets` without bars and log (an error becomes one line here), and without the network unless allowed."""
    import datasets

    bars, offline = datasets.are_progress_bars_disabled(), datasets.config.HF_HUB_OFFLINE
    verbosity = datasets.logging.get_verbosity()
    datasets.disable_progress_bars()
    datasets.logging.set_verbosity(datasets.logging.CRITICAL)
    datasets.config.HF_HUB_OFFLINE = offline or not download
    try:
        yield
    finally:
        datasets.config.HF_HUB_OFFLINE = offline
        datasets.logging.set_verbosity(verbosity)
        if not bars:
            datasets.enable_progress_bars()


def _beside(path: Path) -> tuple[str, ...]:
    """The lines of the text file beside a picture."""
    file = path.with_suffix(".txt")
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"no caption for {str(path)!r}: expected {', '.join(CAPTION_FILES)} in the folder, a text file {file.name} "
            "beside the picture, or data.captions"
        ) from error
    texts = tuple(line.strip() for line in lines if line.strip())
    if not texts:
        raise InputError(f"{str(file)!r} is empty: expected the caption of {path.name}")
    return texts


def _inside(root: Path, name: str, where: str) -> Path:
    """A file below a folder, by a name that comes from data."""
    relative = PurePosixPath(name.replace("\\", "/"))
    if relative.is_absolute() or ".." in relative.parts:
        raise InputError(f"{where}: {name!r} leads out of {str(root)!r}: expected a path relative to that folder")
    path = root / relative
    if not path.is_file():
        raise InputError(f"{where}: no picture {str(path)!r}: expected a path relative to {str(root)!r}")
    return path


def _column(names: Sequence[str], wanted: str | None, usual: Sequence[str], what: str) -> str:
    if wanted is not None:
        if wanted not in names:
            raise InputError(f"{what} {wanted!r} is not there: {did_you_mean(wanted, names)}")
        return wanted
    found = next((name for name in usual if name in names), None)
    if found is None:
        raise InputError(f"{what}: found {', '.join(names)}; expected one of {', '.join(usual)}, or name it in [data]")
    return found


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
