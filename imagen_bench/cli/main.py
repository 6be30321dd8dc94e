"""The `imagen-bench` command: a table of commands that are imported when they are used.

Exit codes: 0 done; 1 a refused input or a failed run, told in one line on stderr; 2 wrong usage; 130 interrupted.
"""

from __future__ import annotations

import errno

import click

from imagen_bench.cli.interrupt import one_line_on_interrupt
from imagen_bench.cli.lazy import LazyGroup
from imagen_bench.devices import keep_freed_memory
from imagen_bench.errors import ImagenBenchError

COMMANDS = {
    "demo": "imagen_bench.cli.demo:command",
    "run": "imagen_bench.cli.run:command",
    "plan": "imagen_bench.cli.plan:command",
    "generate": "imagen_bench.cli.generate:command",
    "score": "imagen_bench.cli.score:command",
    "report": "imagen_bench.cli.report:command",
    "pareto": "imagen_bench.cli.pareto:command",
    "compare": "imagen_bench.cli.compare:command",
    "drawbench": "imagen_bench.cli.drawbench:command",
    "merge": "imagen_bench.cli.merge:command",
    "rerun": "imagen_bench.cli.rerun:command",
    "prompts": "imagen_bench.cli.prompts:command",
    "models": "imagen_bench.cli.models:command",
    "data": "imagen_bench.cli.data:command",
    "weights": "imagen_bench.cli.weights:command",
    "cache": "imagen_bench.cli.cache:command",
    "train": "imagen_bench.cli.train:command",
    "doctor": "imagen_bench.cli.doctor:command",
}


_FULL = "make room, then run the same command again: what is finished stays"
_READ_ONLY = "give a folder that you may write to as --out"
_ADVICE = {
    errno.ENOSPC: _FULL,
    errno.EDQUOT: _FULL,
    errno.EFBIG: _FULL,
    errno.EROFS: _READ_ONLY,
    errno.EACCES: _READ_ONLY,
}


class MainGroup(LazyGroup):
    """The whole program; an error of any command becomes one line."""

    def invoke(self, ctx: click.Context) -> object:
        """Run the command; turn an error into one line on stderr and status 1, unless `--debug` is given."""
        try:
            with one_line_on_interrupt("run the same command again"):
                return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except Exception as error:
            if ctx.params["debug"] or getattr(error, "errno", None) == errno.EPIPE:
                raise
            click.echo(f"error: {_one_line(error)}", err=True)
            ctx.exit(1)


@click.group(cls=MainGroup, table=COMMANDS, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--debug", is_flag=True, help="Show the Python traceback of an error.")
@click.version_option(package_name="imagen-bench")
def main(debug: bool) -> None:
    """Benchmark text-to-image models: images, scores, guidance sweeps, rating sheets and reports.

    Start with `imagen-bench demo`, which runs everything on a small bundled model, offline on a CPU.
    """
    keep_freed_memory()


def _one_line(error: Exception) -> str:
    """Return the message of an error; one that nobody foresaw is named by its type, with what to do."""
    message = " ".join(str(error).split())
    if isinstance(error, ImagenBenchError):
        return message
    if isinstance(error, OSError):
        advice = _ADVICE.get(error.errno or 0)
        return f"{type(error).__name__}: {message}" + (f"; {advice}" if advice else "")
    return f"unexpected {type(error).__name__}: {message}; run `imagen-bench --debug ...` to see where"
