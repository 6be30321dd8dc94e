"""The "did you mean" of error messages: find the known name nearest to a misspelt one."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

_CUTOFF = 0.5
_SHOWN = 12


def nearest(name: str, names: Iterable[str]) -> str:
    """Return the known name most like `name`, or an empty string where none is close.

    Args:
        name: The name as the user wrote it; case is ignored.
        names: The names that would have been accepted.
    """
    by_folded = {known.casefold(): known for known in sorted(names, reverse=True)}
    matches = difflib.get_close_matches(name.casefold(), list(by_folded), n=1, cutoff=_CUTOFF)
    return by_folded[matches[0]] if matches else ""


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """Return the closing phrase of an error about an unknown `name`.

    Returns:
        `did you mean 'x'? (known: a, b, x)`; where none is near, `known: a, b, x`; without names,
        `none are known`.
    """
    known = sorted(names)
    if not known:
        return "none are known"
    listing = ", ".join(known[:_SHOWN]) + (", ..." if len(known) > _SHOWN else "")
    close = nearest(name, known)
    return f"did you mean {close!r}? (known: {listing})" if close else f"known: {listing}"
