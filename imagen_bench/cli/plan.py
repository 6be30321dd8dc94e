"""`imagen-bench plan`: how many images a run is, and how long it would take on some numbers of workers."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from imagen_bench.bench.plan import Costs, Load, Projection

MOST_WORKERS = 100_000


class WorkerCounts(click.ParamType[Any]):
    """Numbers of workers separated by commas, such as `1,8,64`."""

    name = "counts"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, ...]:
        """Return the numbers."""
        parts = [part.strip() for part in str(value).split(",")]
        if not all(part.isascii() and part.isdecimal() and 1 <= int(part) <= MOST_WORKERS for part in parts):
            self.fail(f"{value!r} is no list of numbers of workers such as 1,8,64", param, ctx)
        return tuple(int(part) for part in parts)


class Seconds(click.FloatRange):
    """A number of seconds above 0."""

    name = "seconds"

    def __init__(self) -> None:
        super().__init__(min=0, min_open=True, max=1e6)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return the number; NaN, which is within every range, is none."""
        number = float(super().convert(value, param, ctx))
        if math.isnan(number):
            self.fail(f"{value!r} is no number of seconds", param, ctx)
        return number


@click.command(name="plan")
@click.argument("config", type=click.Path(path_type=Path))
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="As for `run`.")
@click.option("--limit", type=click.IntRange(min=1), help="Use the first N prompts only.")
@click.option("--workers", type=WorkerCounts(), default="1,8,64", show_default=True, metavar="N,N,...")
@click.option(
    "--seconds-per-image",
    type=Seconds(),
    metavar="S",
    help="Of one worker, with guidance.",
)
@click.option(
    "--measured",
    type=click.Path(path_type=Path),
    metavar="RUN",
    help="Take all times from this run, such as one of the same configuration with --limit 64.",
)
@click.option("--json", "as_json", is_flag=True, help="Print counts, costs and seconds as JSON.")
def command(
    config: Path,
    overrides: tuple[str, ...],
    limit: int | None,
    workers: tuple[int, ...],
    seconds_per_image: float | None,
    measured: Path | None,
    as_json: bool,
) -> None:
    """Count the images of CONFIG and say how long it takes on 1, 8, 64 workers; nothing is opened or written.

    Of a study, all variants are counted. Times come from a small run (`imagen-bench run CONFIG --limit 64 --out trial`,
    then `--measured trial`) or from a number of seconds.
    """
    from imagen_bench.bench.plan import assumptions, measured_costs, project, stated_costs

    if seconds_per_image is not None and measured is not None:
        raise click.UsageError("--seconds-per-image and --measured are both given: give one of them")
    loads = _loads(config, overrides, limit)
    costs = measured_costs(measured) if measured is not None else None
    if seconds_per_image is not None:
        costs = stated_costs(seconds_per_image, loads[0].generator)
    rows = project(loads, costs, workers) if costs is not None else []
    notes = assumptions(loads, costs) if costs is not None else []
    if as_json:
        click.echo(json.dumps(_as_json(loads, costs, rows, notes), indent=2, ensure_ascii=False))
        return
    click.echo("\n".join([*map(_counts, loads), *_table(rows), *(f"note: {note}" for note in notes)]))
    if costs is None:
        click.echo("for times, give --measured RUN (a small run of it) or --seconds-per-image S", err=True)


def _loads(config: Path, overrides: tuple[str, ...], limit: int | None) -> list[Load]:
    from imagen_bench.bench.plan import load_of
    from imagen_bench.bench.run import limited
    from imagen_bench.bench.variants import is_study, load_study
    from imagen_bench.cli.shipped import config_file
    from imagen_bench.config import load_config, read_toml

    file = config_file(config)
    if is_study(read_toml(file)):
        configs = [variant.config for variant in load_study(file, overrides).variants]
    else:
        configs = [load_config(file, overrides)]
    return [load_of(limited(one, limit)) for one in configs]


def _counts(load: Load) -> str:
    return (
        f"{load.name}: {load.prompts:,} prompts x {load.samples_per_prompt} samples x {len(load.weights)} weights = "
        f"{load.images:,} images, {load.metrics} metrics"
    )


def _table(rows: list[Projection]) -> list[str]:
    from imagen_bench.bench.summary import aligned
    from imagen_bench.report.cost import duration

    if not rows:
        return []
    head = ["workers", *("report" if part == "outputs" else part for part in rows[0].parts), "total"]
    lines = [[f"{row.workers:,}", *map(duration, row.parts.values()), duration(row.total)] for row in rows]
    return ["", *aligned([head, *lines]), ""]


def _as_json(loads: list[Load], costs: Costs | None, rows: list[Projection], notes: list[str]) -> dict[str, Any]:
    return {
        "runs": [{**asdict(load), "images": load.images} for load in loads],
        "seconds_of_one_worker": None if costs is None else asdict(costs),
        "projected": [{"workers": row.workers, "seconds": dict(row.parts), "total": row.total} for row in rows],
        "notes": notes,
    }
