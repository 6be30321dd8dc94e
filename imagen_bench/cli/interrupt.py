"""Ctrl-C: one line that says how to go on and exit code 130, instead of a traceback."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import click

EXIT_INTERRUPTED = 130
"""128 + SIGINT, as a shell reports it."""


@contextmanager
def one_line_on_interrupt(how: str = "run the same command to continue") -> Iterator[None]:
    """Turn KeyboardInterrupt into a line on stderr and exit code 130; of several workers, the first says it.

    Args:
        how: How to go on.
    """
    try:
        yield
    except KeyboardInterrupt:
        if os.environ.get("RANK", "0") == "0":
            click.echo(f"interrupted; {how}", err=True)
        raise click.exceptions.Exit(EXIT_INTERRUPTED) from None
