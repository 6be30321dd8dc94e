"""Ctrl-C in a command that can be continued: one line and exit code 130 instead of a traceback."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import click

EXIT_INTERRUPTED = 130
"""128 + SIGINT, as a shell reports it."""


@contextmanager
def one_line_on_interrupt() -> Iterator[None]:
    """Turn KeyboardInterrupt into a line on stderr that says how to go on, and exit code 130."""
    try:
        yield
    except KeyboardInterrupt:
        click.echo("interrupted; run the same command to continue", err=True)
        raise click.exceptions.Exit(EXIT_INTERRUPTED) from None
