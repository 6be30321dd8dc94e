"""`imagen-bench drawbench export`: blind rating sheets of two run folders."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from imagen_bench.human.arms import Arm
    from imagen_bench.human.export import Study

_NUMBER = re.compile(r"\d+(\.\d+)?|\.\d+")


@click.command("export")
@click.argument("run_a", metavar="RUN_A[@W]")
@click.argument("run_b", metavar="RUN_B[@W]")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Study folder to write.")
@click.option(
    "--sheets", default=2, show_default=True, type=click.IntRange(1, 1000), help="Sheets, one for each rater."
)
@click.option(
    "--samples-per-side",
    type=click.IntRange(min=1),
    help="Images of each model per comparison. Default: as many as the runs have, at most 8.",
)
@click.option("--limit", type=click.IntRange(min=1), help="Only N prompts, drawn evenly over the categories.")
@click.option(
    "--seed",
    default=0,
    show_default=True,
    type=click.IntRange(min=0),
    help="Draws prompts, sides and orders.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")
def command(
    run_a: str,
    run_b: str,
    out: Path,
    sheets: int,
    samples_per_side: int | None,
    limit: int | None,
    seed: int,
    as_json: bool,
) -> None:
    """Write blind rating sheets that compare two run folders, or two guidance weights of one.

    @W chooses the guidance weight, as in runs/demo@3; it can be left out where a run has only one. Send each
    rater one zip file of STUDY/public; STUDY/private tells which model is which, so keep it to yourself.
    """
    from imagen_bench.human.export import export_study

    study = export_study(
        parse_arms(run_a, run_b),
        out,
        sheets=sheets,
        samples_per_side=samples_per_side,
        prompts=limit,
        seed=seed,
    )
    for warning in study.warnings:
        click.echo(f"warning: {warning}", err=True)
    click.echo(_as_json(study) if as_json else _as_text(study))


def parse_arms(run_a: str, run_b: str) -> tuple[Arm, Arm]:
    """Turn two `RUN[@W]` arguments into arms with different labels.

    Raises:
        InputError: A weight is missing and the run has several.
        RunFolderError: No run folder, or one without images.
    """
    from imagen_bench.human.arms import Arm

    chosen = [_run_and_weight(argument) for argument in (run_a, run_b)]
    labels = [f"{_run_name(run)}@{weight:g}" for run, weight in chosen]
    if labels[0] == labels[1]:
        labels = [f"{run}@{weight:g}" for run, weight in chosen]
    first, second = (Arm(label, run, weight) for label, (run, weight) in zip(labels, chosen, strict=True))
    return first, second


def _run_and_weight(argument: str) -> tuple[Path, float]:
    from imagen_bench.errors import InputError
    from imagen_bench.human.arms import run_weights

    path, at, text = argument.rpartition("@")
    if at and not Path(argument).exists():
        if not _NUMBER.fullmatch(text):
            raise InputError(f"{argument}: {text!r} is no guidance weight; write RUN@W, such as runs/demo@3")
        return Path(path), float(text)
    weights = run_weights(Path(argument))
    if len(weights) > 1:
        known = ", ".join(f"{weight:g}" for weight in weights)
        raise InputError(
            f"{argument} has images at several guidance weights ({known}); choose one, as in {argument}@{weights[0]:g}"
        )
    return Path(argument), weights[0]


def _run_name(run: Path) -> str:
    from imagen_bench.bench.run_folder import RunFolder

    return str(RunFolder.open(run).run.get("name") or run.name)


def _as_json(study: Study) -> str:
    record = {
        "study": str(study.folder),
        "study_id": study.study_id,
        "public": str(study.folder / "public"),
        "private": str(study.folder / "private"),
        "sheets": list(study.sheets),
        "prompts": study.prompts,
        "samples_per_side": study.samples_per_side,
        "warnings": list(study.warnings),
    }
    return json.dumps(record, indent=2, ensure_ascii=False)


def _as_text(study: Study) -> str:
    per_side = "1 image" if study.samples_per_side == 1 else f"{study.samples_per_side} images"
    zips = ", ".join(f"sheet_{sheet}.zip" for sheet in study.sheets[:3]) + (", ..." if len(study.sheets) > 3 else "")
    return (
        f"study {study.study_id}: {len(study.sheets)} sheets of {study.prompts} comparisons, "
        f"{per_side} a side\n"
        f"for raters: {study.folder / 'public'} (send each one zip: {zips})\n"
        f"for you alone: {study.folder / 'private'} (key and secret)"
    )
