"""`imagen-bench run`: generate, evaluate and report what a configuration describes, or continue."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from imagen_bench.cli.interrupt import one_line_on_interrupt

if TYPE_CHECKING:
    from imagen_bench.bench.run import RunPlan
    from imagen_bench.config import RunConfig


@click.command(name="run")
@click.argument("config", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), help="Run folder. Default: runs/<name of the config>.")
@click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="KEY=VALUE",
    help='As in the file: --set "sweep.guidance_weights=[1,2]".',
)
@click.option("--limit", type=click.IntRange(min=1), help="Use the first N prompts only (recorded in the run).")
@click.option("--dry-run", is_flag=True, help="Say what would be done; open no model, write nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def command(
    config: Path,
    out: Path | None,
    overrides: tuple[str, ...],
    limit: int | None,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Run the benchmark that the TOML file CONFIG describes, or continue it.

    The same command continues an interrupted run. A folder that holds another run is refused; guidance
    weights may be added to the sweep.
    """
    from imagen_bench.config import load_config

    with one_line_on_interrupt():
        execute(load_config(config, overrides), out, limit, dry_run=dry_run, as_json=as_json)


def execute(config: RunConfig, out: Path | None, limit: int | None, *, dry_run: bool, as_json: bool) -> None:
    """Do what the commands `run` and `demo` share: run or plan a config, and print the outcome."""
    from imagen_bench.bench.run import plan_run, run_benchmark
    from imagen_bench.bench.summary import summary_json, summary_text
    from imagen_bench.cli.outputs import OUTPUTS, output_names

    out = out or Path("runs") / config.name
    if dry_run:
        plan = plan_run(config, out, limit)
        plan = replace(plan, stages=(*plan.stages, *output_names(config)))
        click.echo(json.dumps(asdict(plan), indent=2) if as_json else _plan_text(plan))
        return
    folder = run_benchmark(config, out, limit, progress=True, outputs=OUTPUTS)
    click.echo(json.dumps(summary_json(folder), indent=2) if as_json else summary_text(folder))


def _plan_text(plan: RunPlan) -> str:
    weights = ", ".join(f"{weight:g}" for weight in plan.guidance_weights)
    state = "continued" if plan.continues else "new"
    counts = f"{plan.prompts:,} prompts x {plan.samples_per_prompt} samples x {len(plan.guidance_weights)} weights"
    return "\n".join(
        [
            f"run      {plan.name} ({state}) in {plan.out}",
            f"weights  {weights}",
            f"images   {plan.images:,} ({counts}), {plan.images_done:,} there already",
            f"stages   {', '.join(plan.stages)}",
            "dry run: nothing was written",
        ]
    )
