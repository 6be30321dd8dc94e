"""Exports a blind study: two arms side by side, as sheets that raters fill in on a page or in a spreadsheet.

Protocol of Imagen's DrawBench study (arXiv 2205.11487, appendix C): for every prompt a rater sees two sets of
samples, not cherry-picked, and answers which set is of higher quality and which better represents the
caption. What differs from it is said in `drawbench/questions.toml`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from imagen_bench.bench.provenance import without_home
from imagen_bench.bench.run_folder import RunFolder
from imagen_bench.errors import InputError
from imagen_bench.files import atomic_write_bytes, atomic_write_text
from imagen_bench.human.arms import (
    Arm,
    PromptSamples,
    check_pair,
    choose_prompts,
    keep,
    read_arm,
    samples_digest,
    samples_per_side,
)
from imagen_bench.human.blinding import Blinder
from imagen_bench.human.bundle import rater_readme, write_zip
from imagen_bench.human.page import render_page
from imagen_bench.human.pictures import PictureMaker
from imagen_bench.human.questions import QuestionSet, load_questions
from imagen_bench.human.sheets import (
    IMAGE_FOLDER,
    Picture,
    Sheet,
    build_sheets,
    key_csv,
    name_pictures,
    sheet_columns,
    sheet_csv,
    sheet_hash,
)
from imagen_bench.human.study import StudyFolder, create_or_continue

README = "README.txt"
MAX_SHEETS = 1000


@dataclass(frozen=True)
class Study:
    """What an export made.

    Attributes:
        folder: The study folder.
        study_id: Its blind id.
        sheets: Ids of the sheets.
        prompts: Comparisons on each sheet.
        samples_per_side: Images in each set.
        warnings: What raters could notice about an arm apart from its images' merit.
    """

    folder: Path
    study_id: str
    sheets: tuple[str, ...]
    prompts: int
    samples_per_side: int
    warnings: tuple[str, ...]


def export_study(
    arms: Sequence[Arm],
    out: Path,
    *,
    questions: QuestionSet | None = None,
    sheets: int = 2,
    samples_per_side: int | None = None,
    prompts: int | None = None,
    seed: int = 0,
) -> Study:
    """Write a study of two arms.

    Exporting the same study again continues an interrupted export and changes nothing in a finished one.

    Args:
        arms: The two arms.
        out: Study folder; `out/public` goes to raters, `out/private` stays.
        questions: The instrument; None for Imagen's two questions.
        sheets: Number of sheets, one a rater; each holds all prompts in its own order with its own sides.
        samples_per_side: Images in each set; None for as many as every prompt has, at most 8.
        prompts: Show only this many prompts, drawn evenly over the categories; None for all.
        seed: Draws the prompts and, together with the study's secret, sides and orders.

    Raises:
        InputError: The arms or a number do not fit.
        ProtocolError: The arms are runs of different prompts.
        RunFolderError: A run is broken, or `out` holds something else.
    """
    _check(arms, sheets, samples_per_side, prompts)
    instrument = questions or load_questions()
    shown = _shown_samples(arms, samples_per_side, prompts, seed)
    config = _config(arms, shown, instrument, sheets, seed)
    count = config["samples_per_side"]
    maker = PictureMaker(shown, count)
    study = create_or_continue(out, config)
    blinder = Blinder(study.secret)
    study_id = blinder.token("s", study.record["config_digest"], length=12)
    pictures = name_pictures(shown, blinder)
    drawn = build_sheets(pictures, sheets, seed, blinder)
    displayed = _write_pictures(study, pictures, maker)
    study.write_private("key.csv", key_csv(study_id, drawn, displayed))
    atomic_write_text(study.public / README, rater_readme(instrument))
    entries = [_write_sheet(study, study_id, sheet, instrument, blinder) for sheet in drawn]
    warnings = maker.warnings()
    study.write_record(
        study_id=study_id,
        runs=without_home({arm.label: str(arm.run) for arm in arms}),
        display=maker.display(),
        sheets=entries,
        warnings=warnings,
    )
    sheet_ids = tuple(sheet.sheet_id for sheet in drawn)
    return Study(out, study_id, sheet_ids, config["prompts"], count, tuple(warnings))


def _check(arms: Sequence[Arm], sheets: int, samples: int | None, prompts: int | None) -> None:
    if len(arms) != 2:
        raise InputError(f"a side-by-side study compares two arms, found {len(arms)}; export one study a pair")
    one, other = arms
    if one.label == other.label:
        raise InputError(f"both arms are labelled {one.label!r}; give them different labels")
    if (one.run.resolve(), one.guidance_weight) == (other.run.resolve(), other.guidance_weight):
        raise InputError(f"both arms are {one.run} at guidance weight {one.guidance_weight:g}; choose two that differ")
    for name, value in (("sheets", sheets), ("samples_per_side", samples), ("prompts", prompts)):
        if value is not None and value < 1:
            raise InputError(f"{name} is {value}, expected at least 1")
    if sheets > MAX_SHEETS:
        raise InputError(f"sheets is {sheets}, expected at most {MAX_SHEETS}; export several studies")


def _shown_samples(
    arms: Sequence[Arm], samples: int | None, prompts: int | None, seed: int
) -> dict[str, dict[str, PromptSamples]]:
    """Return, for each arm's label, the samples that raters will see; both in the same order of prompts."""
    one, other = (read_arm(arm) for arm in arms)
    check_pair(one, other, (arms[0].label, arms[1].label))
    chosen = choose_prompts(one, prompts, seed)
    count = samples_per_side((keep(one, chosen), keep(other, chosen)), samples)
    return {arm.label: keep(rows, chosen, count) for arm, rows in zip(arms, (one, other), strict=True)}


def _config(
    arms: Sequence[Arm],
    shown: Mapping[str, Mapping[str, PromptSamples]],
    instrument: QuestionSet,
    sheets: int,
    seed: int,
) -> dict[str, Any]:
    """Return what makes the study what it is: an existing folder is continued only if this is the same."""
    first = shown[arms[0].label]
    return {
        "mode": "sxs",
        "arms": [_arm_record(arm, shown[arm.label]) for arm in arms],
        "prompts": len(first),
        "samples_per_side": len(next(iter(first.values())).samples),
        "sheets": sheets,
        "seed": seed,
        "instrument": instrument.model_dump(mode="json"),
    }


def _arm_record(arm: Arm, rows: Mapping[str, PromptSamples]) -> dict[str, Any]:
    run = RunFolder.open(arm.run).run
    return {
        "label": arm.label,
        "run": run.get("name", arm.run.name),
        "guidance_weight": arm.guidance_weight,
        "prompt_set": run.get("prompts"),
        "samples_digest": samples_digest(rows),
    }


def _write_pictures(
    study: StudyFolder, pictures: Mapping[str, Sequence[Picture]], maker: PictureMaker
) -> dict[str, str]:
    """Write all pictures and return their SHA-256 by name."""
    every = [picture for side in pictures.values() for picture in side]
    # In the order of the blind names, since times of writing would otherwise tell the arms apart.
    return {
        picture.name: maker.write(study.public / IMAGE_FOLDER / picture.name, picture.label, picture.row)
        for picture in sorted(every, key=lambda picture: picture.name)
    }


def _write_sheet(
    study: StudyFolder, study_id: str, sheet: Sheet, instrument: QuestionSet, blinder: Blinder
) -> dict[str, Any]:
    """Write CSV, page and zip of a sheet and return its entry in the study's record."""
    stem = f"sheet_{sheet.sheet_id}"
    columns = sheet_columns(question.name for question in instrument.questions)
    digest = sheet_hash(study_id, sheet, instrument.model_dump(mode="json"))
    code = blinder.token("c", sheet.sheet_id, study_id, length=9).upper()
    page = render_page(study_id, sheet, instrument, columns, digest, code)
    atomic_write_bytes(study.public / f"{stem}.csv", sheet_csv(study_id, sheet, columns))
    atomic_write_text(study.public / f"{stem}.html", page)
    images = {f"{IMAGE_FOLDER}/{side.name}" for item in sheet.items for side in (item.left, item.right)}
    members = {name: study.public / name for name in (f"{stem}.csv", f"{stem}.html", README, *images)}
    write_zip(study.public / f"{stem}.zip", stem, members)
    return {"sheet_id": sheet.sheet_id, "items": len(sheet.items), "hash": digest, "completion_code": code}
