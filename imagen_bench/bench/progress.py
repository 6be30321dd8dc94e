"""Progress on stderr; stdout belongs to results."""

from __future__ import annotations

import sys
from typing import Any

from tqdm import tqdm

_LOG_INTERVAL_SECONDS = 30.0


def progress_bar(what: str, total: int, done: int = 0, show: bool = True) -> tqdm[Any]:
    """Return a bar over `total` items of which `done` are there already; its time left counts the others.

    In a log file (stderr is no terminal) it prints a line every 30 seconds.
    """
    interval = 0.1 if sys.stderr.isatty() else _LOG_INTERVAL_SECONDS
    return tqdm(
        desc=what,
        total=total,
        initial=done,
        unit="img",
        disable=not show,
        file=sys.stderr,
        mininterval=interval,
        dynamic_ncols=True,
    )
