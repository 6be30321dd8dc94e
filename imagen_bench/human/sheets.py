"""Rating sheets: what a rater sees in which order, which arm on which side; their CSV, and the key."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from imagen_bench.files import digest_json
from imagen_bench.human.arms import PromptSamples
from imagen_bench.human.blinding import Blinder, balanced_sides

IMAGE_FOLDER = "images"
# Starts that make spreadsheet programs run a cell as a formula (OWASP, "CSV injection"), full-width forms
# included.
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠")
KEY_COLUMNS = (
    "study_id",
    "sheet_id",
    "item_id",
    "order",
    "prompt_id",
    "cluster_id",
    "category",
    "prompt",
    "kind",
    "model_left",
    "model_right",
    "samples_left",
    "samples_right",
    "seeds_left",
    "seeds_right",
    "source_sha256_left",
    "source_sha256_right",
    "display_sha256_left",
    "display_sha256_right",
)


@dataclass(frozen=True)
class Picture:
    """The picture of one prompt in one arm: the arm's label, the file's name, what it shows."""

    label: str
    name: str
    row: PromptSamples


@dataclass(frozen=True)
class Item:
    """One comparison of a sheet; `order` counts from 1."""

    item_id: str
    order: int
    left: Picture
    right: Picture


@dataclass(frozen=True)
class Sheet:
    """What one rater fills in."""

    sheet_id: str
    items: tuple[Item, ...]


def name_pictures(arms: Mapping[str, Mapping[str, PromptSamples]], blinder: Blinder) -> dict[str, list[Picture]]:
    """Give each arm's pictures their blind names; lists of the arms run in the same order of prompts."""
    return {
        label: [Picture(label, f"{blinder.token('m', label, prompt_id)}.png", row) for prompt_id, row in rows.items()]
        for label, rows in arms.items()
    }


def build_sheets(pictures: Mapping[str, Sequence[Picture]], count: int, seed: int, blinder: Blinder) -> list[Sheet]:
    """Draw the sheets: every sheet holds all prompts, with its own order and its own balanced sides.

    Args:
        pictures: Two arms' pictures, in the same order of prompts.
        count: Number of sheets.
        seed: The study's seed; another one gives other sides and orders under the same secret.
        blinder: Source of names and randomness.
    """
    width = max(2, len(str(count)))
    return [_sheet(f"S{number:0{width}d}", pictures, seed, blinder) for number in range(1, count + 1)]


def _sheet(sheet_id: str, pictures: Mapping[str, Sequence[Picture]], seed: int, blinder: Blinder) -> Sheet:
    first, second = pictures.values()
    rng = blinder.generator("sheet", sheet_id, seed)
    sides = balanced_sides([picture.row.category for picture in first], rng)
    pairs = [
        (one, other) if on_left else (other, one) for one, other, on_left in zip(first, second, sides, strict=True)
    ]
    rng.shuffle(pairs)
    items = (
        Item(blinder.token("i", sheet_id, left.row.prompt_id, seed, length=12), order, left, right)
        for order, (left, right) in enumerate(pairs, start=1)
    )
    return Sheet(sheet_id, tuple(items))


def sheet_columns(questions: Iterable[str]) -> list[str]:
    """Return the columns of a rater's CSV; one `q_` column a question, sorted."""
    answers = [f"q_{name}" for name in sorted(questions)]
    return [
        "study_id",
        "sheet_id",
        "item_id",
        "order",
        "prompt",
        "image_left",
        "image_right",
        *answers,
        "comment",
        "rater_id",
    ]


def public_items(sheet: Sheet) -> list[dict[str, str | int]]:
    """Return what a rater may know of each item: id, order, prompt and the two picture files."""
    return [
        {
            "item_id": item.item_id,
            "order": item.order,
            "prompt": item.left.row.prompt,
            "image_left": f"{IMAGE_FOLDER}/{item.left.name}",
            "image_right": f"{IMAGE_FOLDER}/{item.right.name}",
        }
        for item in sheet.items
    ]


def sheet_csv(study_id: str, sheet: Sheet, columns: Sequence[str]) -> bytes:
    """Return a sheet as CSV for people: UTF-8 with byte-order mark, CRLF, no cell that runs as a formula."""
    buffer = io.StringIO(newline="")
    writer = csv.DictWriter(buffer, columns, restval="", lineterminator="\r\n")
    writer.writeheader()
    for item in public_items(sheet):
        cells = {"study_id": study_id, "sheet_id": sheet.sheet_id, **item}
        writer.writerow({name: escape_formula(str(value)) for name, value in cells.items()})
    return buffer.getvalue().encode("utf-8-sig")


def escape_formula(text: str) -> str:
    """Put an apostrophe before a text that a spreadsheet program would run as a formula."""
    return f"'{text}" if text.startswith(_FORMULA_STARTS) else text


def sheet_hash(study_id: str, sheet: Sheet, instrument: object) -> str:
    """Return the digest of all that a rater of the sheet is asked: items, names of pictures, questions."""
    return digest_json([study_id, sheet.sheet_id, public_items(sheet), instrument])


def key_csv(study_id: str, sheets: Iterable[Sheet], displayed: Mapping[str, str]) -> bytes:
    """Return the key that un-blinds answers: plain UTF-8 CSV, one row an item, lists separated by blanks.

    Args:
        study_id: The study.
        sheets: Its sheets.
        displayed: SHA-256 of each picture file, by name.
    """
    buffer = io.StringIO(newline="")
    writer = csv.DictWriter(buffer, KEY_COLUMNS, lineterminator="\n")
    writer.writeheader()
    for sheet in sheets:
        for item in sheet.items:
            row = item.left.row
            common = {
                "study_id": study_id,
                "sheet_id": sheet.sheet_id,
                "item_id": item.item_id,
                "order": item.order,
                "prompt_id": row.prompt_id,
                "cluster_id": row.prompt_id,
                "category": row.category,
                "prompt": row.prompt,
                "kind": "real",
            }
            sides = {**_side("left", item.left, displayed), **_side("right", item.right, displayed)}
            writer.writerow({**common, **sides})
    return buffer.getvalue().encode("utf-8")


def _side(side: str, picture: Picture, displayed: Mapping[str, str]) -> dict[str, str]:
    samples = picture.row.samples
    return {
        f"model_{side}": picture.label,
        f"samples_{side}": " ".join(str(sample.index) for sample in samples),
        f"seeds_{side}": " ".join(str(sample.seed) for sample in samples),
        f"source_sha256_{side}": " ".join(sample.sha256 for sample in samples),
        f"display_sha256_{side}": displayed[picture.name],
    }
