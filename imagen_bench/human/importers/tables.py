"""Reads separated text as spreadsheet programs write it: any usual separator and encoding, within limits."""

from __future__ import annotations

import csv
import io
import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from imagen_bench.errors import InputError
from imagen_bench.human.importers.rows import quoted

MAX_ROWS = 200_000
MAX_COLUMNS = 1000
_SEPARATORS = (",", ";", "\t", "|")
# A table that we can read names its items in one of these columns.
ITEM_COLUMNS = ("item_id", "input.item_id")
_UTF8_BOM = b"\xef\xbb\xbf"
_UTF16_BOMS = (b"\xff\xfe", b"\xfe\xff")
_SHOWN_COLUMNS = 12


@dataclass(frozen=True)
class TableRow:
    """One row: the line where it starts (from 1), its cells by column, and cells beyond the header's."""

    line: int
    cells: dict[str, str]
    surplus: tuple[str, ...] = ()


@dataclass(frozen=True)
class Table:
    """A table with the names of its columns made uniform; `titles` keeps them as they were written."""

    columns: tuple[str, ...]
    titles: dict[str, str]
    rows: tuple[TableRow, ...]


def decode(data: bytes) -> tuple[str, tuple[str, ...]]:
    """Turn a file's bytes into text.

    Returns:
        The text without a byte-order mark, and a warning where the file is not UTF-8.

    Raises:
        InputError: The bytes are no text in UTF-8, UTF-16 or Windows-1252.
    """
    encoding, warnings = _encoding(data)
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        raise InputError(f"is no readable text ({error.reason} at byte {error.start}); save it as CSV UTF-8") from None
    if "\0" in text:
        raise InputError("holds NUL bytes, so it is no text; save it as CSV UTF-8")
    return text.removeprefix("\ufeff"), warnings


def _encoding(data: bytes) -> tuple[str, tuple[str, ...]]:
    if data.startswith(_UTF8_BOM):
        return "utf-8-sig", ()
    if data.startswith(_UTF16_BOMS):
        return "utf-16", ("is in UTF-16, not UTF-8; read as such",)
    head = data[:4096]
    for start, name in ((1, "utf-16-le"), (0, "utf-16-be")):
        # Every other byte of Latin text in UTF-16 is zero.
        if len(head) >= 4 and head[start::2].count(0) > 0.9 * len(head[start::2]) and not head[1 - start :: 2].count(0):
            return name, ("is in UTF-16, not UTF-8; read as such",)
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return "cp1252", ("is not UTF-8; read as Windows-1252, so check names and comments with accents",)
    return "utf-8", ()


def read_table(text: str) -> Table:
    """Read a table with a header line; blank lines and Excel's `sep=` line are passed over.

    Raises:
        InputError: No column of items, a column given twice, quotation marks that do not pair, or too many
            rows.
    """
    separator = _separator(text)
    lines = _lines(text, separator)
    header = next((cells for _, cells in lines if not _is_hint(cells)), [])
    header = header[: max((number for number, cell in enumerate(header, start=1) if cell.strip()), default=0)]
    if len(header) > MAX_COLUMNS:
        raise InputError(f"has {len(header)} columns, expected at most {MAX_COLUMNS}; give a filled sheet")
    columns = tuple(column_name(cell) for cell in header)
    twice = sorted({name for name in columns if name and columns.count(name) > 1})
    if twice:
        raise InputError(f"has the column {quoted(twice[0])} twice; keep the filled one")
    rows: list[TableRow] = []
    for line, cells in lines:
        if len(rows) == MAX_ROWS:
            raise InputError(f"has more than {MAX_ROWS} rows; a study's sheets are smaller, so split or check the file")
        surplus = tuple(cell for cell in cells[len(columns) :] if cell.strip())
        rows.append(TableRow(line, dict(zip(columns, cells, strict=False)), surplus))
    titles = {name: title.strip().removeprefix("\ufeff") for name, title in zip(columns, header, strict=False)}
    return Table(columns, titles, tuple(rows))


def column_name(title: str) -> str:
    """Return a column's title in small letters, with `_` for blanks and hyphens."""
    plain = unicodedata.normalize("NFKC", title).replace("\ufeff", "").strip().strip("'\"").casefold()
    return re.sub(r"[\s-]+", "_", plain)


def _separator(text: str) -> str:
    """Return the separator under which the header names items."""
    best: list[str] = []
    for separator in _SEPARATORS:
        try:
            titles = next((cells for _, cells in _lines(text, separator) if not _is_hint(cells)), [])
        except InputError:
            continue
        if any(column_name(title) in ITEM_COLUMNS for title in titles[:MAX_COLUMNS]):
            return separator
        best = max(best, titles, key=len)
    found = ", ".join(quoted(title) for title in best[:_SHOWN_COLUMNS]) or "nothing"
    raise InputError(
        f"has no column item_id (the first line holds {found}); give the filled sheet as a CSV file with its header"
    )


def _is_hint(cells: Sequence[str]) -> bool:
    return len([cell for cell in cells if cell]) <= 1 and bool(re.fullmatch(r"\ufeff?sep=.?", "".join(cells)))


def _lines(text: str, separator: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the rows that are not blank, each with the line where it starts."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    while True:
        line = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise InputError(
                f"cannot be read from line {line} on ({error}): a quotation mark is not paired, or a cell is too long"
            ) from None
        if any(cell.strip() for cell in cells):
            yield line, cells
