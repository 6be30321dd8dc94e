"""Prompt sets whose texts do not ship: their definition, and the check of a copy against it.

A definition is a folder below `drawbench/` with `definition.toml` and `rows.csv`. The second holds one line a
row: its id, category and digest, no text. So a copy from anywhere can be verified row by row, and a copy that
differs is told where.

Before the comparison, a copy is normalised: blanks around a cell are dropped (the official DrawBench sheet
says "Gary Marcus et al. "), rows without prompt and category are dropped, columns that the definition does not
name are dropped, and rows are put in the official order. Nothing else is changed: not a typo, not a quote.
"""

from __future__ import annotations

import csv
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from pathlib import Path

from pydantic import Field

from imagen_bench.config import Count, Section, read_toml, validate
from imagen_bench.data.prompt_files import RawPrompt
from imagen_bench.errors import InputError
from imagen_bench.files import digest_json

DEFINITION = "definition.toml"
ROWS = "rows.csv"
DIGEST_LENGTH = 16
_STRAIGHT_QUOTES = str.maketrans("‘’“”", "''\"\"")
_SHOWN_TEXT = 60


class OutsideDefinition(Section):
    """Content of a `definition.toml`.

    `columns` are the further columns of the source that belong to the set; `category_column` is the one that
    holds the category. `digest` is `PromptSet.digest`; `probes` says what each category is about.
    """

    id: str = Field(min_length=1)
    version: str = Field(min_length=1)
    title: str
    summary: str
    licence: str
    source: str
    url: str = Field(pattern=r"^https://")
    format: str = Field(pattern=r"^\.(csv|tsv|jsonl)$")
    category_column: str = "category"
    columns: tuple[str, ...] = ()
    digest: str = Field(pattern=r"^[0-9a-f]{64}$")
    categories: dict[str, Count]
    probes: dict[str, str]

    @property
    def prompts(self) -> int:
        """The number of prompts in the set."""
        return sum(self.categories.values())


@dataclass(frozen=True)
class RowPin:
    """What is known of one row: its id, its category, and the start of its hex SHA-256."""

    prompt_id: str
    category: str
    digest: str


@dataclass(frozen=True)
class Difference:
    """One row that differs: its kind (missing, extra, changed), place in the official order, and the words for it."""

    kind: str
    number: int
    text: str


class CopyDiffersError(InputError):
    """A copy is not the set that it should be.

    Attributes:
        differences: One line for each row that is missing, extra or changed.
    """

    def __init__(self, message: str, differences: Sequence[str]) -> None:
        super().__init__(message)
        self.differences = tuple(differences)


def read_definition(folder: Path) -> tuple[OutsideDefinition, list[RowPin]]:
    """Read a definition and the digests of its rows, in the official order.

    Raises:
        ConfigError: The definition is wrong.
    """
    source = folder / DEFINITION
    definition = validate(OutsideDefinition, read_toml(source), str(source))
    with (folder / ROWS).open(encoding="utf-8", newline="") as stream:
        pins = [RowPin(row["prompt_id"], row["category"], row["digest"]) for row in csv.DictReader(stream)]
    return definition, pins


def row_digest(category: str, prompt: str, columns: Iterable[str] = ()) -> str:
    """Return the digest of one normalised row: the first 16 hex digits of SHA-256 over a JSON list.

    Args:
        category: Its category.
        prompt: Its text.
        columns: Its cells in the definition's `columns`, in that order; empty where the source has none.
    """
    return digest_json([category, prompt, *columns])[:DIGEST_LENGTH]


def normalised(definition: OutsideDefinition, raw: Sequence[RawPrompt], source: str) -> list[RawPrompt]:
    """Return a copy's rows as the module's introduction says.

    Raises:
        InputError: The copy lacks a column that the set has.
    """
    for name in _lacking(definition, raw):
        expected = ", ".join(["prompt", definition.category_column, *definition.columns])
        raise InputError(f"{source}: no column {name!r}; use a copy of {definition.id} with the columns {expected}")
    rows = [
        replace(
            row,
            prompt=row.prompt.strip(),
            category=(row.category or row.meta.get(definition.category_column, "")).strip(),
            meta={name: text for name in definition.columns if (text := row.meta.get(name, "").strip())},
        )
        for row in raw
    ]
    return [row for row in rows if row.prompt or row.category]


def in_official_order(
    definition: OutsideDefinition, pins: Sequence[RowPin], rows: Sequence[RawPrompt], source: str, advice: str
) -> list[RawPrompt]:
    """Return normalised rows in the official order, with the official ids.

    Args:
        definition: What the set is.
        pins: Its rows.
        rows: The rows of a copy, as `normalised` returns them.
        source: Where they come from, the start of the message where they differ.
        advice: What to do then, the end of the message.

    Raises:
        CopyDiffersError: Some row is missing, extra or changed.
    """
    by_digest = dict(zip(_digests(definition, rows), rows, strict=True))
    if len(rows) != len(pins) or not all(pin.digest in by_digest for pin in pins):
        raise _refusal(definition, pins, rows, source, advice)
    return [replace(by_digest[pin.digest], prompt_id=pin.prompt_id) for pin in pins]


def _refusal(
    definition: OutsideDefinition, pins: Sequence[RowPin], rows: Sequence[RawPrompt], source: str, advice: str
) -> CopyDiffersError:
    if not {pin.digest for pin in pins}.intersection(_digests(definition, rows)):
        first = f"; the first, {rows[0].where}, is {_quoted(rows[0])}" if rows else ""
        return CopyDiffersError(
            f"{source} is not {definition.id}: none of its {len(rows)} rows is one of the {len(pins)}{first}; {advice}",
            [],
        )
    found = describe_differences(definition, pins, rows)
    kinds = Counter(line.kind for line in found)
    counts = ", ".join(f"{kinds[kind]} {kind}" for kind in ("missing", "extra", "changed") if kinds[kind])
    agree = len(pins) - kinds["missing"] - kinds["changed"]
    words = f"{agree} of {len(pins)} rows agree ({counts}; first: {found[0].text})"
    return CopyDiffersError(
        f"{source} is not {definition.id}: {words}; {advice}",
        [line.text for line in found],
    )


def _lacking(definition: OutsideDefinition, raw: Sequence[RawPrompt]) -> list[str]:
    """Return the columns that every row lacks."""
    lacking = [name for name in definition.columns if not any(name in row.meta for row in raw)]
    column = definition.category_column
    if not any(row.category or column in row.meta for row in raw):
        lacking.insert(0, column)
    return lacking if raw else []


def describe_differences(
    definition: OutsideDefinition, pins: Sequence[RowPin], rows: Sequence[RawPrompt]
) -> list[Difference]:
    """Say which rows of a copy differ from the definition, in the order of the rows.

    A row counts as changed where it stands in the place of a missing one, or where a usual alteration (curly
    quotes, another category) explains it. Official rows are numbered from 1, without the header.
    """
    digests = _digests(definition, rows)
    explained = _explained(definition, pins, rows, digests)
    in_place = _in_place([pin.digest for pin in pins], digests)
    extra = _surplus(digests, {pin.digest for pin in pins})
    missing = [index for index, pin in enumerate(pins) if pin.digest not in set(digests)]
    found: list[Difference] = []
    for index in missing:
        name = f"row {index + 1} ({pins[index].category}, {pins[index].prompt_id})"
        if index in explained:
            at, why = explained[index]
        elif in_place.get(index) in extra:
            at, why = in_place[index], f"found {_quoted(rows[in_place[index]])}"
        else:
            found.append(Difference("missing", index + 1, f"{name} is missing"))
            continue
        extra.discard(at)
        found.append(Difference("changed", index + 1, f"{name} is changed in {rows[at].where}: {why}"))
    for at in sorted(extra):
        why = "stands there twice" if digests[at] in {pin.digest for pin in pins} else "is no row of the set"
        found.append(Difference("extra", at + 1, f"{rows[at].where} is extra: {_quoted(rows[at])} {why}"))
    return sorted(found, key=lambda line: line.number)


def _digests(definition: OutsideDefinition, rows: Sequence[RawPrompt]) -> list[str]:
    return [_digest(definition, row) for row in rows]


def _digest(definition: OutsideDefinition, row: RawPrompt) -> str:
    return row_digest(row.category, row.prompt, (row.meta.get(name, "") for name in definition.columns))


def _surplus(digests: Sequence[str], known: set[str]) -> set[int]:
    """Return the places of rows that are unknown or have come before."""
    seen: set[str] = set()
    surplus = set()
    for at, digest in enumerate(digests):
        if digest not in known or digest in seen:
            surplus.add(at)
        seen.add(digest)
    return surplus


def _explained(
    definition: OutsideDefinition, pins: Sequence[RowPin], rows: Sequence[RawPrompt], digests: Sequence[str]
) -> dict[int, tuple[int, str]]:
    """Return, by the place of a missing row, the place of the row that became of it and how."""
    present = set(digests)
    missing = {pin.digest: index for index, pin in enumerate(pins) if pin.digest not in present}
    explained: dict[int, tuple[int, str]] = {}
    if not missing:
        return explained
    known = {pin.digest for pin in pins}
    for at, row in enumerate(rows):
        if digests[at] in known:
            continue
        for why, variant in _unaltered(row, definition.categories):
            index = missing.get(_digest(definition, variant))
            if index is not None:
                explained.setdefault(index, (at, why))
                break
    return explained


def _unaltered(row: RawPrompt, categories: Mapping[str, int]) -> Iterable[tuple[str, RawPrompt]]:
    """Yield what the row may have been, each with what would then have been done to it."""
    yield "curly quotes or apostrophes", replace(row, prompt=row.prompt.translate(_STRAIGHT_QUOTES))
    yield "straight apostrophes for curly ones", replace(row, prompt=row.prompt.replace("'", "’"))
    yield "accents as characters of their own", replace(row, prompt=unicodedata.normalize("NFC", row.prompt))
    yield "further blanks inside", replace(row, prompt=re.sub(r"\s+", " ", row.prompt))
    yield "no full stop at the end", replace(row, prompt=f"{row.prompt}.")
    for category in categories:
        yield f"its category is {row.category!r}", replace(row, category=category)


def _in_place(expected: Sequence[str], found: Sequence[str]) -> dict[int, int]:
    """Return which found row stands where an expected one was replaced, between rows that agree."""
    places: dict[int, int] = {}
    for tag, start, stop, at, end in SequenceMatcher(None, expected, found, autojunk=False).get_opcodes():
        if tag == "replace":
            places.update(zip(range(start, stop), range(at, end), strict=False))
    return places


def _quoted(row: RawPrompt) -> str:
    text = row.prompt if len(row.prompt) <= _SHOWN_TEXT else f"{row.prompt[: _SHOWN_TEXT - 3]}..."
    return f"{text!r} ({row.category or 'no category'})"
