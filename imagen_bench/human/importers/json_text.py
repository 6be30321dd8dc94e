"""Reads JSON from strangers: an error in one line instead of a crash, whatever the file holds."""

from __future__ import annotations

import json
from collections.abc import Sized
from typing import Any

from imagen_bench.errors import InputError
from imagen_bench.human.importers.tables import MAX_ROWS


def parse_json(text: str) -> Any:
    """Parse a JSON document.

    Raises:
        InputError: No JSON, nested too deeply, or a number that no one writes.
    """
    try:
        return json.loads(text)
    except RecursionError:
        raise InputError("is JSON nested too deeply to be a sheet") from None
    except ValueError as error:
        raise InputError(f"is no complete JSON ({error}); download it again") from None


def check_length(entries: Sized) -> None:
    """Refuse a list with more entries than a table may have rows.

    Raises:
        InputError: It is too long.
    """
    if len(entries) > MAX_ROWS:
        raise InputError(f"has more than {MAX_ROWS} entries; a study's sheets are smaller, so split or check the file")


def as_text(value: Any) -> str:
    """Return a JSON value as the text that a sheet would hold: null as blank, lists and objects as JSON."""
    if value is None:
        return ""
    if isinstance(value, str):
        # A lone surrogate is valid in JSON and can be written nowhere.
        return value.encode("utf-8", "replace").decode("utf-8").replace("\0", "")
    try:
        return json.dumps(value, ensure_ascii=True)
    except (RecursionError, ValueError):
        return "(unreadable)"
