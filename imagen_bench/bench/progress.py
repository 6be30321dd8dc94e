"""Progress on stderr; stdout belongs to results."""

from __future__ import annotations

import sys
from typing import Any

from tqdm import tqdm

_LOG_INTERVAL_SECONDS = 30.0


def progress_bar(what: str, total: int | None, done: int = 0, show: bool = True, unit: str = "img") -> tqdm[Any]:
    """Return a bar over `total` items of which `done` are there already; its time left counts the others.

    A total of None is one that nobody knows; the unit "B" is written as kB, MB, GB.

    In a log file (stderr is no terminal) it prints a line every 30 seconds.
    """
    interval = 0.1 if sys.stderr.isatty() else _LOG_INTERVAL_SECONDS
    return tqdm(
        desc=what,
        total=total,
        initial=done,
        unit=unit,
        unit_scale=unit == "B",
        disable=not show,
        file=sys.stderr,
        mininterval=interval,
        dynamic_ncols=True,
    )
