"""A group of commands whose modules are imported when a command is used, so that `--help` stays quick."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

import click

from imagen_bench.suggest import nearest


class LazyGroup(click.Group):
    """A group that finds its commands in a table and imports one on use.

    Args:
        table: For each command's name, where it is, written `module:attribute`; the help lists them in this
            order.
        **options: As for `click.Group`.
    """

    def __init__(self, *, table: Mapping[str, str], **options: Any) -> None:
        super().__init__(**options)
        self._table = table

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the command names in the order of a first session, not of the alphabet."""
        return list(self._table)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return one command, or None where the name is not in the table."""
        if cmd_name not in self._table:
            return None
        module, attribute = self._table[cmd_name].split(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command of `args`; an unknown one is a usage error that names the nearest.

        Raises:
            click.UsageError: No such command.
        """
        if args and args[0] not in self._table and not args[0].startswith("-"):
            close = nearest(args[0], self._table)
            hint = f" Did you mean {close!r}?" if close else ""
            raise click.UsageError(f"No such command {args[0]!r}.{hint}", ctx)
        return super().resolve_command(ctx, args)
