"""`imagen-bench rerun`: repeat a run from its run.json and say whether images and scores agree."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import click

from imagen_bench.cli.interrupt import one_line_on_interrupt


@click.command(name="rerun")
@click.argument("run", metavar="RUN", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), help="Folder of the repetition. Default: RUN-rerun.")
@click.option("--json", "as_json", is_flag=True, help="Print the comparison as JSON.")
def command(run: Path, out: Path | None, as_json: bool) -> None:
    """Repeat the run in the folder RUN with nothing but its run.json, and compare.

    The same command continues an interrupted repetition. Exit code 1 if an image differs by more than one level of
    255, or if scores of the same images differ.
    """
    from imagen_bench.bench.rerun import compare_with_original
    from imagen_bench.bench.run import run_benchmark
    from imagen_bench.bench.run_folder import RunFolder
    from imagen_bench.config import load_config
    from imagen_bench.workers import join_workers

    original = RunFolder.open(run)
    folder = out if out is not None else run.resolve().with_name(f"{run.resolve().name}-rerun")
    with one_line_on_interrupt():
        again = run_benchmark(load_config(run / "run.json"), folder, progress=True)
    if not join_workers().is_main:
        return
    agreement = compare_with_original(original, again)
    result = {**asdict(agreement), "agrees": agreement.agrees, "run": str(run), "again": str(folder)}
    click.echo(json.dumps(result, indent=2) if as_json else f"again    {folder}\n{agreement.words()}")
    if not agreement.agrees:
        raise click.exceptions.Exit(1)
