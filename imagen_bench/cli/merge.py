"""`imagen-bench merge`: join parts of one run that were made in several places."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from imagen_bench.bench.merge import Merged


@click.command(name="merge")
@click.argument("parts", nargs=-1, required=True, metavar="PART...", type=click.Path(path_type=Path))
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Run folder that gets the images.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def command(parts: tuple[Path, ...], out: Path, as_json: bool) -> None:
    """Copy the images of the run folders PART into one run folder.

    The parts are of one run: made with `run --part 1/4`, `run --weights 1,2`, or stopped anywhere. Scores are then
    made by `run OUT/run.json --out OUT`, which also makes what is still missing.
    """
    from imagen_bench.bench.merge import merge_runs

    merged = merge_runs(parts, out)
    click.echo(json.dumps(_as_json(merged), indent=2) if as_json else _text(merged))


def _as_json(merged: Merged) -> dict[str, object]:
    missing = [{"guidance_weight": weight, "images": count} for weight, count in merged.missing.items()]
    return {"run": str(merged.folder.path), "images": merged.images, "planned": merged.planned, "missing": missing}


def _text(merged: Merged) -> str:
    out = merged.folder.path
    lines = [f"merged   {merged.images:,} of {merged.planned:,} images in {out}"]
    lines += [f"missing  {count:,} at w={weight:g}" for weight, count in merged.missing.items()]
    return "\n".join([*lines, f"next     imagen-bench run {out / 'run.json'} --out {out}"])
