"""Opens filled sheets, tells their format from what they hold, and looks into zip files, all within limits."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

from imagen_bench.errors import InputError
from imagen_bench.human.importers import label_studio, mturk
from imagen_bench.human.importers.json_text import parse_json
from imagen_bench.human.importers.page_json import read_page_json
from imagen_bench.human.importers.rows import FilledFile, Problems, quoted
from imagen_bench.human.importers.sheet_csv import read_sheet_csv
from imagen_bench.human.importers.tables import Table, decode, read_table

MAX_BYTES = 32 * 2**20
MAX_MEMBERS = 2000
_MAX_NAME = 200
_MEMBERS = (".csv", ".tsv", ".json")
_WORKBOOK_PARTS = {"[Content_Types].xml": ".xlsx", "mimetype": ".ods"}


def read_files(paths: Sequence[Path], questions: Sequence[str], problems: Problems) -> Iterator[FilledFile]:
    """Yield what each file, or each sheet in a zip file, holds; one that cannot be read becomes a problem.

    Args:
        paths: CSV, TSV, JSON or zip files.
        questions: Names of the study's questions.
        problems: Where problems are noted.
    """
    for path in paths:
        try:
            for name, data in _contents(path):
                yield from _read_one(name, data, questions, problems)
        except InputError as error:
            problems.add(_shown(path.name), str(error))


def _read_one(name: str, data: bytes, questions: Sequence[str], problems: Problems) -> Iterator[FilledFile]:
    before = problems.count
    try:
        found = _read_content(name, data, questions, problems)
    except InputError as error:
        problems.add(name, str(error))
        return
    if not any(row.answers for row in found.rows) and problems.count == before:
        found = replace(found, warnings=(*found.warnings, "holds no answers"))
    yield found


def _read_content(name: str, data: bytes, questions: Sequence[str], problems: Problems) -> FilledFile:
    text, warnings = decode(data)
    if not text.strip():
        raise InputError("is empty; give a filled sheet")
    if text.lstrip()[0] in "{[":
        found = _read_json(name, text, questions, problems)
    else:
        found = _read_text_table(name, read_table(text), questions, problems)
    return replace(found, warnings=(*warnings, *found.warnings))


def _read_json(name: str, text: str, questions: Sequence[str], problems: Problems) -> FilledFile:
    content = parse_json(text)
    if isinstance(content, dict):
        return read_page_json(name, text, content, problems)
    return label_studio.read_json_export(name, content, questions, problems)


def _read_text_table(name: str, table: Table, questions: Sequence[str], problems: Problems) -> FilledFile:
    for row in table.rows:
        if row.surplus:
            reason = f"has more cells than the header ({quoted(row.surplus[0])}); mend its separators or quotes"
            problems.add(name, reason, place=f"line {row.line}")
    table = replace(table, rows=tuple(row for row in table.rows if not row.surplus))
    columns = set(table.columns)
    if columns >= mturk.MARKERS:
        return mturk.read_mturk(name, table, questions, problems)
    if columns >= label_studio.MARKERS:
        return label_studio.read_table_export(name, table, questions)
    return read_sheet_csv(name, table, questions, problems)


def _contents(path: Path) -> Iterator[tuple[str, bytes]]:
    """Yield name and bytes of a file, or of each sheet in a zip file.

    Raises:
        InputError: The file cannot be read, is too large, or is a workbook.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise InputError(f"has more than {MAX_BYTES // 2**20} MiB; a filled sheet is far smaller")
        with path.open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror})") from None
    if data.startswith(b"PK\x03\x04"):
        yield from _members(path)
    elif data.startswith(b"\xd0\xcf\x11\xe0"):
        raise InputError("is an Excel workbook (.xls); save it as CSV UTF-8 and give that file")
    else:
        yield _shown(path.name), data


def _members(path: Path) -> Iterator[tuple[str, bytes]]:
    """Yield the sheets in a zip file; nothing is unpacked to disk and names serve only for messages."""
    left = MAX_BYTES
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            for part, suffix in _WORKBOOK_PARTS.items():
                if any(entry.filename == part for entry in entries):
                    raise InputError(f"is a workbook ({suffix}); save it as CSV UTF-8 and give that file")
            if len(entries) > MAX_MEMBERS:
                raise InputError(f"holds more than {MAX_MEMBERS} files; give the filled sheets alone")
            sheets = [entry for entry in entries if _is_sheet(entry.filename)]
            if not sheets:
                raise InputError("holds no .csv, .tsv or .json file; give the filled sheets")
            for entry in sheets:
                with archive.open(entry) as stream:
                    # The size in the zip's directory may lie, so what is read is counted.
                    data = stream.read(left + 1)
                left -= len(data)
                if left < 0:
                    raise InputError(f"holds more than {MAX_BYTES // 2**20} MiB of sheets; give fewer at once")
                yield _shown(f"{path.name}/{PurePosixPath(entry.filename.replace(chr(92), '/')).name}"), data
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError, ValueError, OSError) as error:
        raise InputError(f"is a zip file that cannot be read ({error}); send it again without a password") from None


def _is_sheet(name: str) -> bool:
    parts = PurePosixPath(name.replace("\\", "/"))
    hidden = "__MACOSX" in parts.parts or parts.name.startswith(".")
    return not hidden and not name.endswith("/") and parts.suffix.lower() in _MEMBERS


def _shown(name: str) -> str:
    """Return a file's name fit for messages and tables: short, and nothing that a terminal obeys."""
    plain = "".join(character if character.isprintable() else "?" for character in name)
    return plain.encode("utf-8", "replace").decode("utf-8")[-_MAX_NAME:]
