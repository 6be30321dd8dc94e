"""`imagen-bench drawbench export`: blind rating sheets of runs, and of real images."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from imagen_bench.human.arms import Arm, ReferenceArm
    from imagen_bench.human.export import Study
    from imagen_bench.human.questions import Mode

_NUMBER = re.compile(r"\d+(\.\d+)?|\.\d+")
_FILE = click.Path(dir_okay=False, path_type=Path)


@click.command("export")
@click.argument("runs", metavar="RUN[@W]...", nargs=-1, required=True)
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Study folder to write.")
@click.option(
    "--mode",
    default="sxs",
    show_default=True,
    type=click.Choice(["sxs", "photorealism", "alignment", "likert5"]),
    help="What raters see and answer.",
)
@click.option(
    "--reference", metavar="DIR|PARQUET", type=click.Path(path_type=Path), help="Real images, as another arm."
)
@click.option("--captions", type=_FILE, help="Captions of the real images: .csv, .jsonl, .txt, or COCO's .json.")
@click.option("--pairs", metavar="A:B,...", help="Which arms meet, by number (1:2,1:3) or label. Default: all pairs.")
@click.option("--baseline", metavar="A", help="Set this arm, by number or label, against all others.")
@click.option(
    "--sheets", default=2, show_default=True, type=click.IntRange(1, 1000), help="Sheets, one a rater, for each part."
)
@click.option("--by-category", is_flag=True, help="Make each category a part with raters of its own, as Imagen did.")
@click.option("--items-per-sheet", metavar="N", type=click.IntRange(min=1), help="Make parts of at most N items.")
@click.option(
    "--samples-per-side",
    type=click.IntRange(min=1),
    help="Images of each model per comparison. Default: as many as the runs have, at most 8.",
)
@click.option("--limit", type=click.IntRange(min=1), help="Only N prompts, drawn evenly over the categories.")
@click.option(
    "--controls",
    metavar="SHARE",
    type=click.FloatRange(0, 0.5),
    help="Items with a known answer, as a share. Default: 0.1 in photorealism and alignment, else 0.",
)
@click.option(
    "--repeats",
    metavar="SHARE",
    default=0.0,
    type=click.FloatRange(0, 0.5),
    help="Items shown again with sides swapped, as a share. Default: 0.",
)
@click.option(
    "--min-control-pass",
    metavar="SHARE",
    default=0.8,
    show_default=True,
    type=click.FloatRange(0, 1),
    help="Raters below this share of right controls will be excluded.",
)
@click.option("--questions", type=_FILE, help="Your own questions, in the form of drawbench/questions.toml.")
@click.option(
    "--seed", default=0, show_default=True, type=click.IntRange(min=0), help="Draws prompts, sides and orders."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")
def command(
    runs: tuple[str, ...],
    out: Path,
    mode: Mode,
    reference: Path | None,
    captions: Path | None,
    pairs: str | None,
    baseline: str | None,
    sheets: int,
    by_category: bool,
    items_per_sheet: int | None,
    samples_per_side: int | None,
    limit: int | None,
    controls: float | None,
    repeats: float,
    min_control_pass: float,
    questions: Path | None,
    seed: int,
    as_json: bool,
) -> None:
    """Write blind rating sheets of run folders, or of several guidance weights of one.

    Modes: sxs shows two sets of images of one prompt, which looks better and which fits the caption (Imagen's
    DrawBench study); photorealism a model's image and the real one of its caption, which looks more real;
    alignment one image, does the caption describe it (both Imagen's COCO study); likert5 one image, real or
    generated, and fitting or not, on five worded points (Otani et al. 2023).

    @W chooses the guidance weight, as in runs/demo@3; it can be left out where a run has only one. With three
    or more arms all pairs are compared. Real images are matched to prompts by caption, or without captions by a
    file name that is the prompt's id; photorealism without --reference takes the run's own reference set.

    Send each rater one zip file of STUDY/public; STUDY/private tells which model is which, so keep it to
    yourself.
    """
    from imagen_bench.human.design import Exclusion
    from imagen_bench.human.export import export_study
    from imagen_bench.human.questions import load_questions

    study = export_study(
        parse_arms(runs, mode, reference, captions),
        out,
        mode=mode,
        questions=load_questions(questions, mode),
        pairs=parse_pairs(pairs),
        baseline=baseline,
        sheets=sheets,
        by_category=by_category,
        items_per_sheet=items_per_sheet,
        samples_per_side=samples_per_side,
        prompts=limit,
        controls=controls,
        repeats=repeats,
        exclusion=Exclusion(min_control_pass=min_control_pass),
        seed=seed,
    )
    for warning in study.warnings:
        click.echo(f"warning: {warning}", err=True)
    click.echo(_as_json(study) if as_json else _as_text(study))


def parse_arms(
    runs: Sequence[str], mode: Mode = "sxs", reference: Path | None = None, captions: Path | None = None
) -> list[Arm | ReferenceArm]:
    """Turn `RUN[@W]` arguments and a set of real images into arms with different labels.

    Raises:
        UsageError: Captions without images.
        InputError: A weight is missing and the run has several, or photorealism has no real images.
        RunFolderError: No run folder, or one without images.
    """
    from imagen_bench.human.arms import Arm, ReferenceArm
    from imagen_bench.human.reference_arm import run_reference

    if captions is not None and reference is None:
        raise click.UsageError("--captions belong to real images: give --reference too")
    chosen = [_run_and_weight(argument) for argument in runs]
    labels = [f"{_run_name(run)}@{weight:g}" for run, weight in chosen]
    labels = [
        f"{run}@{weight:g}" if labels.count(label) > 1 else label
        for label, (run, weight) in zip(labels, chosen, strict=True)
    ]
    arms: list[Arm | ReferenceArm] = [
        Arm(label, run, weight) for label, (run, weight) in zip(labels, chosen, strict=True)
    ]
    if reference is not None:
        arms.append(ReferenceArm(reference, captions))
    elif mode == "photorealism":
        arms.append(run_reference(chosen[0][0]))
    return arms


def parse_pairs(text: str | None) -> list[tuple[str, str]]:
    """Turn "1:2,1:3" into pairs.

    Raises:
        UsageError: Not of this form.
    """
    pairs = []
    for part in (text or "").split(",") if text is not None else []:
        one, colon, other = (piece.strip() for piece in part.partition(":"))
        if not (one and colon and other):
            raise click.UsageError(f"--pairs {text!r}: expected pairs such as 1:2,1:3")
        pairs.append((one, other))
    return pairs


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
        "mode": study.mode,
        "public": str(study.folder / "public"),
        "private": str(study.folder / "private"),
        "sheets": list(study.sheets),
        "items": list(study.items),
        "prompts": study.prompts,
        "samples_per_side": study.samples_per_side,
        "warnings": list(study.warnings),
    }
    return json.dumps(record, indent=2, ensure_ascii=False)


def _as_text(study: Study) -> str:
    from imagen_bench.human.design import TWO_SIDED

    few, many = min(study.items), max(study.items)
    size = str(few) if few == many else f"{few} to {many}"
    noun = "comparison" if study.mode in TWO_SIDED else "image"
    per_side = "1 image" if study.samples_per_side == 1 else f"{study.samples_per_side} images"
    sides = f", {per_side} a side" if study.mode in TWO_SIDED else ""
    zips = ", ".join(f"sheet_{sheet}.zip" for sheet in study.sheets[:3]) + (", ..." if len(study.sheets) > 3 else "")
    return (
        f"study {study.study_id}: {_counted(len(study.sheets), 'sheet')} of {size} {noun}{'' if many == 1 else 's'}"
        f"{sides}\n"
        f"for raters: {study.folder / 'public'} (send each one zip: {zips})\n"
        f"for you alone: {study.folder / 'private'} (key and secret)"
    )


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
