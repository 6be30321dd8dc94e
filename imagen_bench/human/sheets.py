"""Rating sheets: what a rater sees in which order, which arm on which side; their CSV, and the key."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from imagen_bench.files import digest_json, escape_formula
from imagen_bench.human.blinding import Blinder, balanced_sides
from imagen_bench.human.comparisons import Comparison, Shown, in_rounds, mix_in, with_repeats
from imagen_bench.human.design import Design

IMAGE_FOLDER = "images"
# Starts that make spreadsheet programs run a cell as a formula (OWASP, "CSV injection"), full-width forms
# included.
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
    "expected",
    "control_question",
    "repeat_of",
    "model_left",
    "model_right",
    "altered_left",
    "altered_right",
    "samples_left",
    "samples_right",
    "seeds_left",
    "seeds_right",
    "source_sha256_left",
    "source_sha256_right",
    "display_sha256_left",
    "display_sha256_right",
)
DEGRADED = "degraded"


@dataclass(frozen=True)
class Picture:
    """A picture file: its blind name and what it shows."""

    name: str
    shown: Shown


@dataclass(frozen=True)
class Item:
    """One item of a sheet; `order` counts from 1. A picture that is shown alone stands on the left.

    Attributes:
        item_id: Its blind id.
        order: Its place.
        comparison: What it shows.
        left: Picture on the left.
        right: Picture on the right; None where pictures are shown alone.
        repeat_of: Id of the item that showed the same before; empty for all but repeats.
    """

    item_id: str
    order: int
    comparison: Comparison
    left: Picture
    right: Picture | None
    repeat_of: str = ""

    @property
    def pictures(self) -> tuple[Picture, ...]:
        """The one or two pictures."""
        return (self.left,) if self.right is None else (self.left, self.right)

    @property
    def kind(self) -> str:
        """What it is for: "real", "control" or "repeat"."""
        return "repeat" if self.repeat_of else self.comparison.kind

    @property
    def expected(self) -> str:
        """The right answer of a control; empty for all others."""
        if self.kind != "control" or self.right is None:
            return self.comparison.expected
        return "left" if self.left.shown == self.comparison.first else "right"


@dataclass(frozen=True)
class Sheet:
    """What one rater fills in."""

    sheet_id: str
    items: tuple[Item, ...]


@dataclass(frozen=True)
class Part:
    """What one rater of a study sees: real comparisons and controls."""

    name: str
    real: Sequence[Comparison]
    controls: Sequence[Comparison]


def build_sheets(parts: Sequence[Part], design: Design, blinder: Blinder) -> list[tuple[Part, Sheet]]:
    """Draw the sheets: each part is given to `design.sheets` raters, in an order of its own for each.

    Sides are balanced within every pair of arms and category of a sheet, and every second rater of a part sees
    the mirror image of the sides of the one before, so that each comparison is balanced over two raters. The
    numbers of the sheets tell nothing of their part.
    """
    planned = [(part, rater) for part in parts for rater in range(design.sheets)]
    if len(parts) > 1:
        blinder.generator("sheets", design.seed).shuffle(planned)
    width = max(2, len(str(len(planned))))
    return [
        (part, _sheet(f"S{number:0{width}d}", part, rater, design, blinder))
        for number, (part, rater) in enumerate(planned, start=1)
    ]


def _sheet(sheet_id: str, part: Part, rater: int, design: Design, blinder: Blinder) -> Sheet:
    rng = blinder.generator("order", sheet_id, design.seed)
    on_left = _first_on_left(part, rater, design, blinder)
    real = with_repeats(in_rounds(part.real, rng), round(design.repeats * len(part.real)), rng)
    # After the repeats, so that their number and distance do not depend on where controls fall.
    sequence = mix_in(real, [(control, False) for control in part.controls], rng)
    items: list[Item] = []
    ids: dict[tuple[str, ...], str] = {}
    for comparison, again in sequence:
        item_id = blinder.token("i", sheet_id, *comparison.key, again, design.seed, length=12)
        ids.setdefault(comparison.key, item_id)
        pictures = _pictures(comparison, again, blinder)
        if on_left[comparison.key] == again:
            pictures.reverse()
        right = pictures[1] if len(pictures) == 2 else None
        repeat_of = ids[comparison.key] if again else ""
        items.append(Item(item_id, len(items) + 1, comparison, pictures[0], right, repeat_of))
    return Sheet(sheet_id, tuple(items))


def _first_on_left(part: Part, rater: int, design: Design, blinder: Blinder) -> dict[tuple[str, ...], bool]:
    """Draw for each comparison whether its first picture stands on the left."""
    rng = blinder.generator("sides", part.name, rater // 2, design.seed)
    found: dict[tuple[str, ...], bool] = {}
    for comparisons in (part.real, part.controls):
        sides = balanced_sides([comparison.cell for comparison in comparisons], rng)
        found |= {comparison.key: side != bool(rater % 2) for comparison, side in zip(comparisons, sides, strict=True)}
    return found


def _pictures(comparison: Comparison, again: bool, blinder: Blinder) -> list[Picture]:
    """Name a comparison's pictures. No two comparisons share a name, which would tell that they share an arm."""
    return [
        Picture(f"{blinder.token('m', *comparison.key, number, again)}.png", shown)
        for number, shown in enumerate((comparison.first, comparison.second))
        if shown is not None
    ]


def sheet_columns(questions: Iterable[str], two_sided: bool = True) -> list[str]:
    """Return the columns of a rater's CSV; one `q_` column a question, sorted."""
    images = ["image_left", "image_right"] if two_sided else ["image"]
    answers = [f"q_{name}" for name in sorted(questions)]
    known = ["study_id", "sheet_id", "sheet_hash", "item_id", "order", "prompt"]
    return [*known, *images, *answers, "comment", "rater_id"]


def public_items(sheet: Sheet) -> list[dict[str, str | int]]:
    """Return what a rater may know of each item: id, order, prompt and the picture files."""
    found: list[dict[str, str | int]] = []
    for item in sheet.items:
        names = ("image",) if item.right is None else ("image_left", "image_right")
        files = [f"{IMAGE_FOLDER}/{picture.name}" for picture in item.pictures]
        known: dict[str, str | int] = {
            "item_id": item.item_id,
            "order": item.order,
            "prompt": item.comparison.prompt.prompt,
        }
        found.append({**known, **dict(zip(names, files, strict=True))})
    return found


def sheet_csv(study_id: str, sheet: Sheet, digest: str, columns: Sequence[str]) -> bytes:
    """Return a sheet as CSV for people: UTF-8 with byte-order mark, CRLF, no cell that runs as a formula."""
    buffer = io.StringIO(newline="")
    writer = csv.DictWriter(buffer, columns, restval="", lineterminator="\r\n")
    writer.writeheader()
    for item in public_items(sheet):
        cells = {"study_id": study_id, "sheet_id": sheet.sheet_id, "sheet_hash": digest, **item}
        writer.writerow({name: escape_formula(str(value)) for name, value in cells.items()})
    return buffer.getvalue().encode("utf-8-sig")


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
    writer = csv.DictWriter(buffer, KEY_COLUMNS, restval="", lineterminator="\n")
    writer.writeheader()
    for sheet in sheets:
        for item in sheet.items:
            prompt = item.comparison.prompt
            common = {
                "study_id": study_id,
                "sheet_id": sheet.sheet_id,
                "item_id": item.item_id,
                "order": item.order,
                "prompt_id": prompt.prompt_id,
                "cluster_id": prompt.prompt_id,
                "category": prompt.category,
                "prompt": prompt.prompt,
                "kind": item.kind,
                "expected": item.expected,
                "control_question": item.comparison.control_question,
                "repeat_of": item.repeat_of,
            }
            sides = [
                _side(side, picture, item.comparison, displayed)
                for side, picture in zip(("left", "right"), item.pictures, strict=False)
            ]
            writer.writerow({**common, **{name: cell for cells in sides for name, cell in cells.items()}})
    return buffer.getvalue().encode("utf-8")


def _side(side: str, picture: Picture, comparison: Comparison, displayed: Mapping[str, str]) -> dict[str, str]:
    shown = picture.shown
    samples = shown.row.samples
    other = shown.row.prompt_id != comparison.prompt.prompt_id
    return {
        f"model_{side}": shown.label,
        f"altered_{side}": DEGRADED if shown.degraded else f"prompt:{shown.row.prompt_id}" if other else "",
        f"samples_{side}": " ".join(str(sample.index) for sample in samples),
        f"seeds_{side}": " ".join(str(sample.seed) for sample in samples if sample.seed is not None),
        f"source_sha256_{side}": " ".join(sample.sha256 for sample in samples),
        f"display_sha256_{side}": displayed[picture.name],
    }
