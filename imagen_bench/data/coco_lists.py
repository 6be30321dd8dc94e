"""Published lists of COCO captions: tables with a prompt, the id of its image and often a seed.

Such lists go round under several headers; the columns are found by the names that they have there.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

from imagen_bench.data.prompt_files import READERS, RawPrompt
from imagen_bench.errors import InputError
from imagen_bench.suggest import did_you_mean

IMAGE_COLUMNS = ("image_id", "coco_id", "cocoid", "img_id", "imgid")
SEED_COLUMNS = ("seed", "evaluation_seed")


def read_list(path: Path, count: int | None) -> list[RawPrompt]:
    """Read a published list.

    The prompt's id is made of the image's id, and counted on where an image comes again; a seed column becomes
    the metadata `seed`, which the first sample of the prompt is made with.

    Args:
        path: A csv, tsv, jsonl or parquet file.
        count: How many prompts it has to have; None for any number.

    Raises:
        InputError: It cannot be read, lacks a column, an image's id is no number, or it has another length.
    """
    if path.suffix.lower() not in READERS or path.suffix.lower() == ".txt":
        raise InputError(f"{path}: a list of COCO captions ends in .csv .tsv .jsonl .parquet; found {path.suffix!r}")
    raw = READERS[path.suffix.lower()](path)
    if not raw:
        raise InputError(f"{path}: no prompts found; expected at least one row")
    if count is not None and len(raw) != count:
        raise InputError(
            f"{path}: {len(raw):,} prompts, expected {count:,}; use coco-subset:{path}, whose scores say so"
        )
    image_column = _column(path, raw[0], IMAGE_COLUMNS)
    seen: Counter[int] = Counter()
    return [_row(path, row, image_column, seen) for row in raw]


def _row(path: Path, row: RawPrompt, image_column: str, seen: Counter[int]) -> RawPrompt:
    text = row.meta.get(image_column, "").strip()
    digits = text.removesuffix(".0")  # a whole column of numbers with a gap is written so
    if not (digits.isascii() and digits.isdecimal()):
        raise InputError(f"{path}, {row.where}: {image_column} is {text!r}, expected the number of a COCO image")
    image_id = int(digits)
    seen[image_id] += 1
    again = f"-{seen[image_id]}" if seen[image_id] > 1 else ""
    meta = {"image_id": str(image_id)}
    seed = next((row.meta[name] for name in SEED_COLUMNS if row.meta.get(name)), "")
    if seed:
        meta["seed"] = seed
    return replace(row, prompt_id=f"{image_id:012d}{again}", prompt=row.prompt.strip(), category="", meta=meta)


def _column(path: Path, row: RawPrompt, names: tuple[str, ...]) -> str:
    found = next((name for name in names if name in row.meta), None)
    if found is None:
        raise InputError(
            f"{path}: no column with the image's id among {', '.join(row.meta) or 'no others'}: expected one of "
            f"{', '.join(names)}; {did_you_mean(names[0], row.meta)}"
        )
    return found
