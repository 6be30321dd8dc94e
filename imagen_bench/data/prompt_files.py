"""Readers of prompt files: txt, csv, jsonl, parquet and tsv, with the line of whatever is wrong.

A table has a column `prompt` and optionally `prompt_id` and `category`; the spellings of the published
benchmark sheets (`Prompt`, `Prompts`, `Category`) count as these; without any, `caption` or `text` is the prompt.
All other columns become metadata.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from imagen_bench.errors import InputError
from imagen_bench.suggest import did_you_mean

# Spellings of the three columns that mean something to us: DrawBench's sheet says `Prompts`, PartiPrompts
# `Prompt`.
_COLUMNS = {
    "prompt": ("prompt", "Prompt", "Prompts", "prompts"),
    "prompt_id": ("prompt_id",),
    "category": ("category", "Category"),
}
# Lists of captions call it so; beside a prompt, a caption is metadata.
_CAPTION_COLUMNS = ("caption", "text")


@dataclass(frozen=True)
class RawPrompt:
    """One row as read, unchecked: `where` says its place for messages, such as "line 3"."""

    where: str
    prompt: str
    prompt_id: str | None = None
    category: str = ""
    meta: dict[str, str] = field(default_factory=dict)


def read_txt(path: Path) -> list[RawPrompt]:
    """Read one prompt a line."""
    return [RawPrompt(f"line {number}", line) for number, line in _lines(path)]


def read_csv(path: Path) -> list[RawPrompt]:
    """Read a comma-separated table with a header line."""
    return _read_table(path, csv.excel(), "put a cell that holds a comma in double quotes")


def read_tsv(path: Path) -> list[RawPrompt]:
    """Read a tab-separated table with a header line; quotes are part of the text."""
    return _read_table(path, _PlainTabs(), "no cell can hold a tab")


def read_quoted_tsv(path: Path) -> list[RawPrompt]:
    """Read a tab-separated table as spreadsheets write it: cells in double quotes where they hold one."""
    return _read_table(path, csv.excel_tab(), "put a cell that holds a tab in double quotes")


def read_jsonl(path: Path) -> list[RawPrompt]:
    """Read one JSON object a line."""
    rows: list[RawPrompt] = []
    for number, line in _lines(path):
        where = f"{path}, line {number}"
        try:
            record = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise InputError(f"{where}: not valid JSON: {error}; expected one object a line") from error
        if not isinstance(record, dict):
            raise InputError(f'{where}: found {type(record).__name__}, expected an object such as {{"prompt": "..."}}')
        rows.append(_row(record, _columns(list(record), where), f"line {number}", str(path)))
    return rows


def read_parquet(path: Path) -> list[RawPrompt]:
    """Read a parquet table; columns of bytes and nested columns (images) are left out."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        schema = pq.read_schema(path)
        names = [item.name for item in schema if not (pa.types.is_nested(item.type) or _is_binary(pa, item.type))]
        columns = _columns(names, str(path))
        records = pq.read_table(path, columns=names).to_pylist()
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{path}: not a readable parquet file ({_first_line(error)}); write it again") from error
    return [_row(record, columns, f"row {number}", str(path)) for number, record in enumerate(records, start=1)]


READERS: Mapping[str, Callable[[Path], list[RawPrompt]]] = {
    ".txt": read_txt,
    ".csv": read_csv,
    ".jsonl": read_jsonl,
    ".parquet": read_parquet,
    ".tsv": read_tsv,
}


class _PlainTabs(csv.excel_tab):
    quoting = csv.QUOTE_NONE


def _read_table(path: Path, dialect: csv.Dialect, advice: str) -> list[RawPrompt]:
    # Python's limit of 131,072 characters a cell stays: no prompt is that long.
    table = csv.reader(io.StringIO(_text(path), newline=""), dialect, strict=True)
    rows: list[RawPrompt] = []
    try:
        header = next(table, [])
        if len(header) != len(set(header)):
            raise InputError(f"{path}, line 1: a column name is given twice in {header}; rename one")
        columns = _columns(header, f"{path}, line 1")
        line = table.line_num + 1
        for cells in table:
            if cells:
                if len(cells) != len(header):
                    raise InputError(
                        f"{path}, line {line}: {len(cells)} cells, but the header has {len(header)}; {advice}"
                    )
                rows.append(_row(dict(zip(header, cells, strict=True)), columns, f"line {line}", str(path)))
            line = table.line_num + 1
    except csv.Error as error:
        raise InputError(f"{path}, line {table.line_num}: not valid CSV or TSV: {error}; mend the quotes") from error
    return rows


def _text(path: Path) -> str:
    """Return the file as text; a byte-order mark at the start is dropped."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot read prompt file {str(path)!r}: {error.strerror}") from error
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise InputError(f"{path}, line {line}: not UTF-8 text; save the file as UTF-8") from error


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield line numbers and lines. `str.splitlines` would also cut at characters that a prompt may hold."""
    lines = _text(path).replace("\r\n", "\n").split("\n")
    if lines[-1] == "":
        lines.pop()
    yield from enumerate(lines, start=1)


def _columns(names: Sequence[str], where: str) -> dict[str, str]:
    """Return which of the file's columns holds the prompt, the id and the category."""
    found: dict[str, str] = {}
    for meaning, spellings in _COLUMNS.items():
        matches = [name for name in names if name.strip() in spellings]
        if len(matches) > 1:
            raise InputError(f"{where}: both {matches[0]!r} and {matches[1]!r} could be the {meaning}; rename one")
        if matches:
            found[meaning] = matches[0]
    if "prompt" not in found:
        found.update([("prompt", name) for name in reversed(names) if name.strip() in _CAPTION_COLUMNS])
    if "prompt" not in found:
        raise InputError(
            f"{where}: no column 'prompt': {did_you_mean('prompt', map(str, names))}; rename it to 'prompt'"
        )
    return found


def _row(record: Mapping[str, Any], columns: Mapping[str, str], where: str, source: str) -> RawPrompt:
    prompt = record[columns["prompt"]]
    if not isinstance(prompt, str):
        raise InputError(f"{source}, {where}: the prompt is {prompt!r}, expected text; put it in quotes")
    named = {meaning: _as_text(record.get(name)) for meaning, name in columns.items()}
    meta = {name: text for name, value in record.items() if name not in columns.values() and (text := _as_text(value))}
    return RawPrompt(where, prompt, named.get("prompt_id") or None, named.get("category", ""), meta)


def _as_text(value: object) -> str:
    """Return a cell as text: missing values are empty, what is no text is written as JSON."""
    if value is None or value != value:  # NaN, which is how some tables mark a missing cell
        return ""
    return value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False)


def _is_binary(pa: Any, kind: Any) -> bool:
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind))


def _first_line(error: BaseException) -> str:
    return str(error).split("\n", 1)[0][:200]
