"""Reads JSON from strangers: an error in one line instead of a crash, whatever the file holds."""

from __future__ import annotations

import json
from typing import Any

from imagen_bench.errors import InputError


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
