"""A copy of COCO on this machine: where it lies, its captions, and whether it is complete.

The official layout is `annotations/captions_val2014.json` beside the folder `val2014/` (`images/val2014/` is
taken too). A copy is named by its path, or once by `imagen-bench data coco --root DIR`, which remembers it in the
user's data folder; a folder `coco` there is found without being named.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from imagen_bench.errors import InputError
from imagen_bench.files import atomic_write_text
from imagen_bench.home import data_home

_SHOWN = 3


@dataclass(frozen=True)
class CocoSplit:
    """A part of COCO as it was published.

    Attributes:
        name: "val2014".
        images: Number of images.
        captions: Number of captions.
        captions_sha256: Hex SHA-256 of the caption file as published; None where no record of it was found.
    """

    name: str
    images: int
    captions: int
    captions_sha256: str | None = None

    @property
    def captions_file(self) -> str:
        """Path of the caption file below the root."""
        return f"annotations/captions_{self.name}.json"


_RECORDED = "7da4cc45cb76ee1642d163e846e1e0a33feffac2e841c9c426d585ea499165a4"
SPLITS: Mapping[str, CocoSplit] = {
    split.name: split
    for split in (
        CocoSplit("val2014", 40_504, 202_654, _RECORDED),
        CocoSplit("val2017", 5_000, 25_014),
        CocoSplit("train2014", 82_783, 414_113),
    )
}


@dataclass(frozen=True)
class CocoCaption:
    """One caption: ids as in the caption file, the image's file name, and the text without blanks at its ends."""

    image_id: int
    caption_id: int
    file_name: str
    text: str


@dataclass(frozen=True)
class CocoCaptions:
    """The content of a caption file.

    Attributes:
        source: The file.
        files: File name of each image by its id, with or without captions.
        rows: The captions, sorted by their ids.
    """

    source: Path
    files: Mapping[int, str]
    rows: tuple[CocoCaption, ...]


def registered_root(split: CocoSplit) -> Path | None:
    """Return the copy that this machine knows: the one registered for a part, else a folder `coco` in the data folder.

    The result may lie on a disk that is not there now.
    """
    found = _read_record().get(split.name)
    if found is not None:
        return Path(found)
    root = data_home() / "coco"
    return root if root.is_dir() else None


def register_root(root: Path, split: CocoSplit) -> Path:
    """Remember a copy of a part for names without a path; return the file that holds it.

    Raises:
        InputError: The data folder cannot be written.
    """
    record = _record()
    try:
        atomic_write_text(record, json.dumps({**_read_record(), split.name: str(root.resolve())}, indent=2) + "\n")
    except OSError as error:
        raise InputError(
            f"cannot write {str(record)!r}: {error.strerror}; set IMAGEN_BENCH_HOME to another folder"
        ) from error
    return record


def coco_advice(name: str) -> str:
    """Return what to do where no copy is known, for a name such as "coco-30k"."""
    return (
        "download annotations_trainval2014.zip and val2014.zip from https://cocodataset.org (docs/coco.md says how), "
        f"then `imagen-bench data coco --root DIR`, or write {name}:/path/to/coco"
    )


def captions_path(root: Path, split: CocoSplit, subset: bool = False) -> Path:
    """Return the caption file of a copy.

    Args:
        root: The copy.
        split: The part.
        subset: Take `annotations/captions.json` too, as parts that people cut out have it.

    Raises:
        InputError: There is none.
    """
    names = [split.captions_file, *(["annotations/captions.json"] if subset else [])]
    for name in names:
        if (root / name).is_file():
            return root / name
    raise InputError(
        f"no captions of {split.name} in {str(root)!r}: expected {' or '.join(names)}; unpack "
        f"annotations_trainval{split.name[-4:]}.zip there"
    )


def images_path(root: Path, split: CocoSplit, subset: bool = False) -> Path:
    """Return the image folder of a copy; the arguments are those of `captions_path`.

    Raises:
        InputError: There is none.
    """
    names = [split.name, f"images/{split.name}", *(["images"] if subset else [])]
    for name in names:
        if (root / name).is_dir():
            return root / name
    raise InputError(
        f"no images of {split.name} in {str(root)!r}: expected a folder {' or '.join(names)}; unpack "
        f"{split.name}.zip there"
    )


def read_coco_captions(path: Path) -> CocoCaptions:
    """Read a caption file; the last few are kept in memory, as long as the file does not change.

    Raises:
        InputError: It cannot be read, or is not in COCO's layout, or holds a caption twice or of no image.
    """
    try:
        stat = path.stat()
    except OSError as error:
        raise InputError(f"cannot read captions {str(path)!r}: {error.strerror}") from error
    return _read(path, stat.st_size, stat.st_mtime_ns)


def official_captions(root: Path, split: CocoSplit, subset: bool = False) -> CocoCaptions:
    """Read the captions of a copy and check their number.

    Args:
        root: The copy.
        split: The part.
        subset: Accept any number, for prompt sets that say so in their name.

    Raises:
        InputError: As `read_coco_captions`; or other numbers than were published.
    """
    captions = read_coco_captions(captions_path(root, split, subset))
    found, expected = (len(captions.files), len(captions.rows)), (split.images, split.captions)
    if not subset and found != expected:
        raise InputError(
            f"{str(captions.source)!r} has {found[0]:,} images and {found[1]:,} captions, {split.name} has "
            f"{expected[0]:,} and {expected[1]:,}: take the official file, or use coco-subset, whose scores say so"
        )
    return captions


@lru_cache(maxsize=3)
def _read(path: Path, size: int, mtime_ns: int) -> CocoCaptions:
    try:
        data = json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise InputError(f"cannot read captions {str(path)!r}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{str(path)!r} is not JSON ({error}): unpack the official archive again") from error
    try:
        files = {int(image["id"]): str(image["file_name"]) for image in data["images"]}
        notes = sorted((int(note["id"]), int(note["image_id"]), note["caption"]) for note in data["annotations"])
        _check(path, len(data["images"]), files, notes)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(
            f"{str(path)!r} is not in COCO's layout ({type(error).__name__}: {error}): expected images with id "
            "and file_name, annotations with id, image_id and caption"
        ) from error
    rows = tuple(CocoCaption(image, caption, files[image], text.strip()) for caption, image, text in notes)
    return CocoCaptions(path, files, rows)


def _check(path: Path, images: int, files: Mapping[int, str], notes: Sequence[tuple[int, int, str]]) -> None:
    if len(files) < images or len(set(files.values())) < len(files):
        raise InputError(f"{str(path)!r} lists an image twice: unpack the official archive again")
    problems = {
        "given twice": [number for number, count in Counter(note[0] for note in notes).items() if count > 1],
        "of images that it does not list": [number for number, image, _ in notes if image not in files],
        "without text": [number for number, _, text in notes if not text.strip()],
    }
    for what, numbers in problems.items():
        if numbers:
            some = ", ".join(map(str, numbers[:_SHOWN])) + (", ..." if len(numbers) > _SHOWN else "")
            raise InputError(f"{str(path)!r} has captions {what} (ids {some}): unpack the official archive again")


def _record() -> Path:
    return data_home() / "coco.json"


def _read_record() -> dict[str, str]:
    """Return the registered copies by the name of their part; none where the record is missing or broken."""
    try:
        found = json.loads(_record().read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return {key: value for key, value in found.items() if isinstance(value, str)} if isinstance(found, dict) else {}
