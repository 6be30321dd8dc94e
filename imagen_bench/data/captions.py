"""Captions of images: csv, jsonl, txt and COCO annotation files, and which image each belongs to."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from imagen_bench.errors import InputError

FILE_COLUMNS = ("file", "file_name", "filename", "image", "path")
CAPTION_COLUMNS = ("caption", "prompt", "text")
CATEGORY_COLUMN = "category"
_SHOWN = 3


@dataclass(frozen=True)
class Caption:
    """One caption of one image.

    Attributes:
        file: Name of the image as the file states it; None in a text file, whose lines follow the images'
        order.
        text: The caption.
        category: Category of the prompt; empty where the file states none.
    """

    file: str | None
    text: str
    category: str = ""


@dataclass(frozen=True)
class Captions:
    """The content of a caption file.

    Attributes:
        source: The file, for messages.
        rows: Captions in the order of the file; an image may have several.
        covers_more: Whether captions of other images are normal, as in an annotation file of a whole dataset.
    """

    source: str
    rows: tuple[Caption, ...]
    covers_more: bool = False


def load_captions(path: Path | str) -> Captions:
    """Read a caption file.

    Kinds: `.csv` with a header and `.jsonl` (a file column: file, file_name, filename, image or path; a
    caption column: caption, prompt or text; optionally category), `.txt` (one caption a line, in the sorted
    order of the images), and `.json` in the layout of COCO's `captions_val2014.json`.

    Raises:
        InputError: Missing, of another kind, broken, without a needed column, or an empty caption; names the
        line.
    """
    file = Path(path)
    reader = _READERS.get(file.suffix.lower())
    if reader is None:
        raise InputError(f"{str(file)!r} is no caption file: expected {' '.join(sorted(_READERS))}")
    try:
        text = file.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InputError(f"cannot read captions {str(file)!r}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"captions {str(file)!r} are not UTF-8 ({error.reason}): save the file as UTF-8") from error
    captions = reader(text, str(file))
    if not captions.rows:
        raise InputError(f"{str(file)!r} holds no captions: expected one for each image")
    return captions


def match_captions(images: Sequence[str], captions: Captions) -> list[tuple[Caption, ...]]:
    """Return the captions of each image.

    Names are compared as paths; where these differ, as file names, and then without suffix (captions of
    `1.jpg` for a generated `1.png`), as long as that stays unambiguous. Every image needs a caption; a
    caption without an image is refused unless the file covers a whole dataset.

    Args:
        images: Names of the images, relative to their folder, in sorted order.
        captions: What `load_captions` returned.

    Raises:
        InputError: They do not fit; names the first offenders on both sides.
    """
    if captions.rows[0].file is None:
        return _match_lines(images, captions)
    by_file = _by_file(captions)
    best = _best_match(images, by_file)
    gaps = _gaps(images, captions, by_file, best)
    if gaps.lost or gaps.spare:
        raise InputError(_mismatch(captions.source, gaps))
    return [tuple(by_file[best[name]]) for name in images]


@dataclass(frozen=True)
class CaptionGaps:
    """Where images and captions do not fit.

    Attributes:
        lost: Images without a caption.
        spare: Captions without an image: the file names that they state, or their lines.
    """

    lost: tuple[str, ...]
    spare: tuple[str, ...]


def caption_gaps(images: Sequence[str], captions: Captions) -> CaptionGaps:
    """Return what `match_captions` would refuse, all of it.

    Args:
        images: Names of the images, relative to their folder, in sorted order.
        captions: What `load_captions` returned.
    """
    if captions.rows[0].file is None:
        lines = tuple(f"line {number}" for number in range(len(images) + 1, len(captions.rows) + 1))
        return CaptionGaps(tuple(images[len(captions.rows) :]), lines)
    by_file = _by_file(captions)
    return _gaps(images, captions, by_file, _best_match(images, by_file))


def _by_file(captions: Captions) -> dict[str, list[Caption]]:
    by_file: dict[str, list[Caption]] = {}
    for row in captions.rows:
        by_file.setdefault(row.file or "", []).append(row)
    return by_file


def _best_match(images: Sequence[str], files: Iterable[str]) -> Mapping[str, str]:
    """Return image -> caption file by the finest comparison that finds all images, else the one that finds most."""
    return max((_match_by(key, images, list(files)) for key in _KEYS), key=len)


def _gaps(images: Sequence[str], captions: Captions, files: Iterable[str], best: Mapping[str, str]) -> CaptionGaps:
    found = set(best.values())
    spare = () if captions.covers_more else tuple(name for name in files if name not in found)
    return CaptionGaps(tuple(name for name in images if name not in best), spare)


_KEYS: tuple[Callable[[str], str], ...] = (
    lambda name: PurePosixPath(name.replace("\\", "/")).as_posix(),
    lambda name: PurePosixPath(name.replace("\\", "/")).name,
    lambda name: PurePosixPath(name.replace("\\", "/")).stem,
)


def _match_by(key: Callable[[str], str], images: Iterable[str], files: Iterable[str]) -> Mapping[str, str]:
    """Return image -> caption file for names equal under `key`; nothing if it makes two names one."""
    image_keys, file_keys = {name: key(name) for name in images}, {key(name): name for name in files}
    files_ambiguous = len(file_keys) < len(set(files))
    if files_ambiguous or len(set(image_keys.values())) < len(image_keys):
        return {}
    return {name: file_keys[value] for name, value in image_keys.items() if value in file_keys}


def _match_lines(images: Sequence[str], captions: Captions) -> list[tuple[Caption, ...]]:
    if len(images) != len(captions.rows):
        raise InputError(
            f"{captions.source!r} has {len(captions.rows)} lines for {len(images)} images: expected one "
            "caption a line, in the sorted order of the images' paths"
        )
    return [(row,) for row in captions.rows]


def _mismatch(source: str, gaps: CaptionGaps) -> str:
    parts = []
    if gaps.lost:
        parts.append(f"{len(gaps.lost)} image(s) without a caption ({_some(gaps.lost)})")
    if gaps.spare:
        parts.append(f"{len(gaps.spare)} caption(s) without an image ({_some(gaps.spare)})")
    return f"{source!r} does not match the images: {' and '.join(parts)}; expected a caption for each image"


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "")


def _lines(text: str) -> list[str]:
    """Return the lines of a text; unlike `splitlines`, breaks at line ends alone."""
    return text.replace("\r\n", "\n").rstrip("\n").split("\n")


def _read_txt(text: str, source: str) -> Captions:
    rows = [Caption(None, _text(line, f"line {n} of {source!r}")) for n, line in enumerate(_lines(text), 1)]
    return Captions(source, tuple(rows))


def _read_csv(text: str, source: str) -> Captions:
    reader = csv.DictReader(io.StringIO(text, newline=""))
    try:
        return Captions(source, tuple(_row(row, f"line {reader.line_num} of {source!r}") for row in reader))
    except csv.Error as error:
        raise InputError(f"line {reader.line_num} of {source!r} is not CSV ({error}): save it again") from error


def _read_jsonl(text: str, source: str) -> Captions:
    rows = []
    for number, line in enumerate(_lines(text), 1):
        where = f"line {number} of {source!r}"
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise InputError(f"{where} is not JSON ({error.msg}): expected one object") from error
        if not isinstance(row, dict):
            raise InputError(f"{where} is {type(row).__name__}: expected one JSON object")
        rows.append(_row(row, where))
    return Captions(source, tuple(rows))


def _read_coco(text: str, source: str) -> Captions:
    """Read COCO's layout: `images` with id and file_name, `annotations` with image_id, id and caption."""
    try:
        data = json.loads(text)
        names = {image["id"]: str(image["file_name"]) for image in data["images"]}
        notes = sorted(data["annotations"], key=lambda note: note["id"])
        rows = [(note["id"], names.get(note["image_id"]), note["caption"]) for note in notes]
    except json.JSONDecodeError as error:
        raise InputError(f"{source!r} is not JSON (line {error.lineno}: {error.msg})") from error
    except (KeyError, TypeError) as error:
        raise InputError(
            f"{source!r} is not in COCO's layout ({type(error).__name__}: {error}): expected images with id "
            "and file_name, annotations with id, image_id and caption"
        ) from error
    lost = [str(identity) for identity, name, _ in rows if name is None]
    if lost:
        raise InputError(f"{source!r} has annotations of unknown images ({_some(lost)}): take the official file")
    doubled = [name for name, count in Counter(names.values()).items() if count > 1]
    if doubled:
        raise InputError(f"{source!r} lists image files twice ({_some(doubled)}): take the official file")
    captions = tuple(
        Caption(name, _text(caption, f"annotation {identity} of {source!r}")) for identity, name, caption in rows
    )
    return Captions(source, captions, covers_more=True)


def _row(row: Mapping[Any, Any], where: str) -> Caption:
    if None in row:
        raise InputError(f"{where} has more cells than the header: quote captions with commas")
    file = _column(row, FILE_COLUMNS, where)
    caption = _column(row, CAPTION_COLUMNS, where)
    category = str(row.get(CATEGORY_COLUMN) or "").strip()
    return Caption(_text(row[file], where), _text(row[caption], where), category)


def _column(row: Mapping[Any, Any], accepted: Sequence[str], where: str) -> str:
    column = next((column for column in accepted if column in row), None)
    if column is None:
        raise InputError(f"{where} has {', '.join(map(str, row)) or 'nothing'}; expected one of {', '.join(accepted)}")
    return column


def _text(value: object, where: str) -> str:
    if not isinstance(value, str) or not value.strip():
        raise InputError(f"{where} has an empty or missing text: expected a caption and its image")
    return value.strip()


_READERS: dict[str, Callable[[str, str], Captions]] = {
    ".csv": _read_csv,
    ".json": _read_coco,
    ".jsonl": _read_jsonl,
    ".txt": _read_txt,
}
