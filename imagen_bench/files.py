"""Writing files so that a reader never sees half of one, and digests of what was written."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

# What a spreadsheet program takes for the start of a formula, full-width signs included.
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠")


@contextmanager
def atomic_path(path: Path | str, durable: bool = True) -> Iterator[Path]:
    """Yield a temporary path beside `path`; on success it is synced to disk and renamed to `path`.

    Parents are made. The temporary name keeps the suffix, since some writers choose the format by it. When
    the body raises, the temporary file is removed and an existing `path` stays as it was.

    Args:
        path: The file.
        durable: Sync. Not needed for what holds its own digest and is made anew after a power cut, such as the many
            small files of a cache.

    Raises:
        FileNotFoundError: The body wrote nothing to the path that it was given.
    """
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".tmp-{secrets.token_hex(8)}{target.suffix}")
    try:
        yield temporary
        if durable:
            _sync(temporary, os.O_RDWR)
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)
    if durable and os.name == "posix":
        _sync(target.parent, os.O_RDONLY)


def atomic_write_bytes(path: Path | str, data: bytes) -> None:
    """Write `data` to `path` in one step: readers see the old file or the new one."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(data)


def atomic_write_text(path: Path | str, text: str) -> None:
    """Write `text` as UTF-8 to `path` in one step; line ends are written as they are."""
    atomic_write_bytes(path, text.encode("utf-8"))


def sha256_file(path: Path | str) -> str:
    """Return the hex SHA-256 of a file's content, read in blocks."""
    with Path(path).open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def sha256_bytes(data: bytes) -> str:
    """Return the hex SHA-256 of `data`."""
    return hashlib.sha256(data).hexdigest()


def digest_json(obj: Any) -> str:
    """Return the hex SHA-256 of an object's canonical JSON: sorted keys, no blanks, UTF-8.

    Tuples count as lists; the float 1.0 and the integer 1 differ.

    Raises:
        TypeError: The object holds something that JSON cannot.
        ValueError: The object holds NaN or an infinity.
    """
    canonical = json.dumps(obj, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return sha256_bytes(canonical.encode("utf-8"))


def _sync(path: Path, flags: int) -> None:
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def escape_formula(text: str) -> str:
    """Put an apostrophe before a text that a spreadsheet program would run as a formula."""
    return f"'{text}" if text.startswith(_FORMULA_STARTS) else text
