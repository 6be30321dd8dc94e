"""The `imagen-bench` command: a table of commands that are imported when they are used.

Exit codes: 0 done; 1 a refused input or a failed run, told in one line on stderr; 2 wrong usage.
"""

from __future__ import annotations

import errno
import importlib

import click

from imagen_bench.errors import ImagenBenchError
from imagen_bench.suggest import nearest

COMMANDS = {
    "demo": "imagen_bench.cli.demo:command",
    "run": "imagen_bench.cli.run:command",
    "generate": "imagen_bench.cli.generate:command",
    "score": "imagen_bench.cli.score:command",
    "report": "imagen_bench.cli.report:command",
    "pareto": "imagen_bench.cli.pareto:command",
    "drawbench": "imagen_bench.cli.drawbench:command",
    "prompts": "imagen_bench.cli.prompts:command",
    "models": "imagen_bench.cli.models:command",
    "data": "imagen_bench.cli.data:command",
    "train": "imagen_bench.cli.train:command",
}


class LazyGroup(click.Group):
    """A group whose commands are named in `COMMANDS` and imported on use; errors become one line."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the command names in the order of a first session, not of the alphabet."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return one command, or None where the name is not in the table."""
        if cmd_name not in COMMANDS:
            return None
        module, attribute = COMMANDS[cmd_name].split(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command of `args`; an unknown one is a usage error that names the nearest.

        Raises:
            click.UsageError: No such command.
        """
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            close = nearest(args[0], COMMANDS)
            hint = f" Did you mean {close!r}?" if close else ""
            raise click.UsageError(f"No such command {args[0]!r}.{hint}", ctx)
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> object:
        """Run the command; turn an error into one line on stderr and status 1, unless `--debug` is given."""
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except Exception as error:
            if ctx.params["debug"] or getattr(error, "errno", None) == errno.EPIPE:
                raise
            click.echo(f"error: {_one_line(error)}", err=True)
            ctx.exit(1)


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--debug", is_flag=True, help="Show the Python traceback of an error.")
@click.version_option(package_name="imagen-bench")
def main(debug: bool) -> None:
    """Benchmark text-to-image models: images, scores, guidance sweeps, rating sheets and reports.

    Start with `imagen-bench demo`, which runs everything on a small bundled model, offline on a CPU.
    """


def _one_line(error: Exception) -> str:
    """Return the message of an error; one that nobody foresaw is named by its type, with what to do."""
    message = " ".join(str(error).split())
    if isinstance(error, ImagenBenchError):
        return message
    if isinstance(error, OSError):
        return f"{type(error).__name__}: {message}"
    return f"unexpected {type(error).__name__}: {message}; run `imagen-bench --debug ...` to see where"
