"""`imagen-bench run`: generate, evaluate and report what a configuration describes, or continue."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from imagen_bench.cli.interrupt import one_line_on_interrupt
from imagen_bench.cli.report import BACKENDS
from imagen_bench.cli.shipped import config_file
from imagen_bench.workers import join_workers

if TYPE_CHECKING:
    from imagen_bench.bench.dry_run import RunPlan
    from imagen_bench.bench.generate import Part
    from imagen_bench.bench.run_folder import RunFolder
    from imagen_bench.config import RunConfig


class Weights(click.ParamType[Any]):
    """Guidance weights separated by commas, such as `1,2,4`."""

    name = "weights"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[float, ...]:
        """Return the weights as numbers."""
        try:
            return tuple(float(part) for part in str(value).split(","))
        except ValueError:
            self.fail(f"{value!r} is no list of numbers such as 1,2,4", param, ctx)


class PartOf(click.ParamType[Any]):
    """A part of a run, such as `2/4`."""

    name = "part"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Part:
        """Return the part."""
        from imagen_bench.bench.generate import Part

        number, _, count = str(value).partition("/")
        if not (number.isdecimal() and count.isdecimal() and 1 <= int(number) <= int(count)):
            self.fail(f"{value!r} is no part such as 2/4, the second of four", param, ctx)
        return Part(int(number), int(count))


@click.command(name="run")
@click.argument("config", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), help="Run folder. Default: runs/<name of the config>.")
@click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="KEY=VALUE",
    help='As in the file: --set "sweep.guidance_weights=[1,2]".',
)
@click.option("--limit", type=click.IntRange(min=1), help="Use the first N prompts only (recorded in the run).")
@click.option(
    "--weights",
    type=Weights(),
    metavar="W,W,...",
    help="Make only these weights of the sweep now; another start makes the others.",
)
@click.option(
    "--part",
    type=PartOf(),
    metavar="K/N",
    help="Make the K-th of N parts of the images and score nothing; `imagen-bench merge` joins the parts.",
)
@click.option(
    "--repair", is_flag=True, help="Make images anew that were lost or changed, and all scores, sheets and reports."
)
@click.option("--track", type=click.Choice(BACKENDS), help="Log scores and figures there too; the files stay.")
@click.option("--variant", "variants", multiple=True, metavar="NAME", help="Run only this variant of a study.")
@click.option("--train", is_flag=True, help="Train the models of a study that are not there yet.")
@click.option("--dry-run", is_flag=True, help="Say what would be done; open no model, write nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def command(
    config: Path,
    out: Path | None,
    overrides: tuple[str, ...],
    limit: int | None,
    weights: tuple[float, ...] | None,
    part: Part | None,
    repair: bool,
    track: str | None,
    variants: tuple[str, ...],
    train: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Run the benchmark that the TOML file CONFIG describes, or continue it.

    CONFIG may be one that ships, such as imagen-emoji/studies/thresholding.toml. One with [variants] is a study:
    each variant becomes a run in a folder of its own below OUT.

    Under torchrun all processes share the images: torchrun --nproc-per-node 8 -m imagen_bench run CONFIG.

    The same command continues an interrupted run. A folder that holds another run is refused; guidance
    weights may be added to the sweep, and only the new ones are made.
    """
    from imagen_bench.bench.variants import is_study
    from imagen_bench.cli.study import execute_study
    from imagen_bench.config import load_config, read_toml

    file = config_file(config)
    with one_line_on_interrupt():
        if is_study(read_toml(file)):
            if part is not None:
                raise click.UsageError("--part is for a single run: make parts of each --variant's own run.json")
            execute_study(
                file, overrides, variants, out, limit, weights,
                train=train, dry_run=dry_run, as_json=as_json, repair=repair,
            )  # fmt: skip
            return
        if variants:
            raise click.BadParameter(f"{file} has no variants", param_hint="--variant")
        if train:
            raise click.BadParameter(f"{file} is no study that trains models", param_hint="--train")
        loaded = load_config(file, overrides)
        folder = execute(
            loaded, out, limit, dry_run=dry_run, as_json=as_json, weights=weights, part=part, repair=repair
        )
        if track is not None and folder is not None:
            from imagen_bench.report.tracking import track_report

            click.echo(f"logged to {track_report([folder.path], folder.path / 'report', track)}", err=True)


def execute(
    config: RunConfig,
    out: Path | None,
    limit: int | None,
    *,
    dry_run: bool,
    as_json: bool,
    weights: tuple[float, ...] | None = None,
    part: Part | None = None,
    repair: bool = False,
) -> RunFolder | None:
    """Do what the commands `run` and `demo` share: run or plan a config, and print the outcome.

    Returns:
        The finished run, in the main worker; None where there is no report of it.
    """
    from imagen_bench.bench.run import run_benchmark
    from imagen_bench.bench.summary import summary_json, summary_text
    from imagen_bench.cli.outputs import OUTPUTS

    out = out or Path("runs") / config.name
    if dry_run:
        plan = plan_with_outputs(config, out, limit, weights)
        click.echo(json.dumps(asdict(plan), indent=2) if as_json else plan_text(plan) + f"\n{DRY_RUN}")
        return None
    folder = run_benchmark(
        config, out, limit, progress=True, outputs=OUTPUTS, weights=weights, part=part, repair=repair
    )
    if not join_workers().is_main:
        return None
    if part is not None:
        click.echo(json.dumps({"run": str(out), "images": len(folder.samples())}) if as_json else _part_text(folder))
        return None
    click.echo(json.dumps(summary_json(folder), indent=2) if as_json else summary_text(folder))
    say_what_is_missing(folder)
    return folder if (folder.path / "report").is_dir() else None


def _part_text(folder: RunFolder) -> str:
    return f"part     {len(folder.samples()):,} images in {folder.path}; `imagen-bench merge` joins the parts"


DRY_RUN = "dry run: nothing was written"


def plan_with_outputs(
    config: RunConfig, out: Path, limit: int | None, weights: tuple[float, ...] | None = None
) -> RunPlan:
    """Return what a run would do, the outputs that the commands add among its stages."""
    from imagen_bench.bench.dry_run import plan_run
    from imagen_bench.cli.outputs import output_names

    plan = plan_run(config, out, limit, weights)
    return replace(plan, stages=(*plan.stages, *output_names(config)))


def plan_text(plan: RunPlan) -> str:
    """Say a plan in lines for a terminal."""
    weights = ", ".join(f"{weight:g}" for weight in plan.guidance_weights)
    state = "continued" if plan.continues else "new"
    counts = f"{plan.prompts:,} prompts x {plan.samples_per_prompt} samples x {len(plan.guidance_weights)} weights"
    return "\n".join(
        [
            f"run      {plan.name} ({state}) in {plan.out}",
            f"weights  {weights}",
            f"images   {plan.images:,} ({counts}), {plan.images_done:,} there already",
            f"stages   {', '.join(plan.stages)}",
        ]
    )


def say_what_is_missing(folder: RunFolder) -> None:
    """Tell on stderr which weights of the sweep are not made yet, and what waits for them."""
    from imagen_bench.bench.run import missing_weights

    missing = missing_weights(folder)
    if missing:
        listed = ",".join(f"{weight:g}" for weight in missing)
        click.echo(f"not made yet: --weights {listed}; gallery, sheets and report follow when they are", err=True)
