"""`imagen-bench drawbench`: human evaluation in the manner of DrawBench, one command a file."""

from __future__ import annotations

import click

from imagen_bench.cli.lazy import LazyGroup

COMMANDS = {
    "plan": "imagen_bench.cli.drawbench_plan:command",
    "export": "imagen_bench.cli.drawbench_export:command",
    "import": "imagen_bench.cli.drawbench_import:command",
    "label-studio": "imagen_bench.cli.drawbench_label_studio:command",
    "score": "imagen_bench.cli.drawbench_score:command",
}


@click.group("drawbench", cls=LazyGroup, table=COMMANDS)
def command() -> None:
    """Compare models by blind human rating, as Imagen's DrawBench study did."""
