"""Exports a blind study: sheets that raters fill in on a page or in a spreadsheet, and the key that stays.

Protocols: `sxs` is Imagen's DrawBench study (Saharia et al. 2022, arXiv 2205.11487, appendix C), in which a
rater sees two sets of samples of a prompt, not cherry-picked; `photorealism` and `alignment` are its study on
COCO (section 3 there); `likert5` has the wording of Otani et al. 2023. What differs from them is said in
`drawbench/questions.toml`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from imagen_bench.bench.provenance import without_home
from imagen_bench.bench.run_folder import RunFolder
from imagen_bench.errors import InputError
from imagen_bench.files import atomic_write_bytes, atomic_write_text, sha256_bytes
from imagen_bench.human.arms import Arm, PromptSamples, ReferenceArm, samples_digest
from imagen_bench.human.blinding import Blinder
from imagen_bench.human.bundle import rater_readme, write_zip
from imagen_bench.human.comparisons import real_comparisons, split_parts
from imagen_bench.human.controls import ControlSource, control_comparisons
from imagen_bench.human.design import DEFAULT_CONTROLS, Design, Exclusion, Pair, check_design, choose_pairs
from imagen_bench.human.page import render_page
from imagen_bench.human.pictures import PictureMaker
from imagen_bench.human.questions import Mode, QuestionSet, load_questions
from imagen_bench.human.selection import Selection, select_samples
from imagen_bench.human.sheets import (
    IMAGE_FOLDER,
    Part,
    Picture,
    Sheet,
    build_sheets,
    key_csv,
    sheet_columns,
    sheet_csv,
    sheet_hash,
)
from imagen_bench.human.study import StudyFolder, create_or_continue

README = "README.txt"
MAX_TOTAL_SHEETS = 1000


@dataclass(frozen=True)
class Study:
    """What an export made.

    Attributes:
        folder: The study folder.
        study_id: Its blind id.
        mode: What is asked.
        sheets: Ids of the sheets.
        items: Items on each sheet, controls and repeats included.
        prompts: Prompts of the study.
        samples_per_side: Images in each set.
        warnings: What raters could notice about an arm apart from its images' merit, and what was left out.
    """

    folder: Path
    study_id: str
    mode: Mode
    sheets: tuple[str, ...]
    items: tuple[int, ...]
    prompts: int
    samples_per_side: int
    warnings: tuple[str, ...]


def export_study(
    arms: Sequence[Arm | ReferenceArm],
    out: Path,
    *,
    mode: Mode = "sxs",
    questions: QuestionSet | None = None,
    pairs: Sequence[tuple[str, str]] = (),
    baseline: str | None = None,
    sheets: int = 2,
    by_category: bool = False,
    items_per_sheet: int | None = None,
    samples_per_side: int | None = None,
    prompts: int | None = None,
    controls: float | None = None,
    repeats: float = 0.0,
    exclusion: Exclusion | None = None,
    seed: int = 0,
) -> Study:
    """Write a study.

    Exporting the same study again continues an interrupted export and changes nothing in a finished one.

    Args:
        arms: Runs, and at most one set of real images.
        out: Study folder; `out/public` goes to raters, `out/private` stays.
        mode: What is asked.
        questions: The instrument; None for the shipped one of the mode.
        pairs: Which arms meet, by label or number; empty for all, or all against `baseline`.
        baseline: An arm, by label or number, that all others are set against.
        sheets: Sheets, one a rater, for each part of the study.
        by_category: Make each category a part, rated by other people; else every sheet holds all items.
        items_per_sheet: Make parts of at most this many real items instead.
        samples_per_side: Images in each set; None for as many as every prompt has, at most 8; 1 outside `sxs`.
        prompts: Show only this many prompts, drawn evenly over the categories; None for all.
        controls: Items with a known answer, as a share of the real ones; None for what the mode's source had.
        repeats: Items shown again with sides swapped, as a share of the real ones.
        exclusion: When raters will be excluded; None for the default rule.
        seed: Draws the prompts and, together with the study's secret, sides and orders.

    Raises:
        InputError: The arms or a number do not fit.
        ProtocolError: The arms are runs of different prompts.
        RunFolderError: A run is broken, or `out` holds something else.
    """
    share = DEFAULT_CONTROLS[mode] if controls is None else controls
    design = Design(mode, sheets, by_category, items_per_sheet, share, repeats, seed)
    rule = exclusion or Exclusion()
    check_design(design, rule)
    instrument = questions or load_questions(mode=mode)
    real = next((arm.label for arm in arms if isinstance(arm, ReferenceArm)), None)
    chosen_pairs = choose_pairs([arm.label for arm in arms], real, mode, pairs, baseline)
    selection = select_samples(arms, design, samples_per_side, prompts)
    return _export(arms, out, selection, chosen_pairs, design, instrument, rule)


def _export(
    arms: Sequence[Arm | ReferenceArm],
    out: Path,
    selection: Selection,
    pairs: Sequence[Pair],
    design: Design,
    instrument: QuestionSet,
    rule: Exclusion,
) -> Study:
    config = {**_config(arms, selection, pairs, design, instrument), "exclusion": asdict(rule)}
    maker = PictureMaker(
        selection.pool, selection.samples_per_side, [selection.reference] if selection.reference else []
    )
    # Drawn once without a secret, so that what cannot be is refused before a folder is made.
    _parts(selection, pairs, design, instrument, Blinder(b""))
    study = create_or_continue(out, config)
    blinder = Blinder(study.secret)
    drawn = build_sheets(_parts(selection, pairs, design, instrument, blinder), design, blinder)
    runs = without_home({arm.label: str(_source(arm)) for arm in arms})
    study_id, warnings = _write_study(study, drawn, maker, instrument, {"runs": runs}, selection.warnings)
    return Study(
        out,
        study_id,
        design.mode,
        tuple(sheet.sheet_id for _, sheet in drawn),
        tuple(len(sheet.items) for _, sheet in drawn),
        len(selection.prompts),
        selection.samples_per_side,
        warnings,
    )


def _write_study(
    study: StudyFolder,
    drawn: Sequence[tuple[Part, Sheet]],
    maker: PictureMaker,
    instrument: QuestionSet,
    record: Mapping[str, Any],
    left_out: Sequence[str],
) -> tuple[str, tuple[str, ...]]:
    """Write pictures, key and sheets, and last the record of them; return the study's id and the warnings."""
    blinder = Blinder(study.secret)
    study_id = blinder.token("s", study.record["config_digest"], length=12)
    sheets = [sheet for _, sheet in drawn]
    displayed = _write_pictures(study, sheets, maker, blinder)
    study.write_private("key.csv", key_csv(study_id, sheets, displayed))
    atomic_write_text(study.public / README, rater_readme(instrument))
    entries = [
        {"part": part.name, **_write_sheet(study, study_id, sheet, instrument, blinder)} for part, sheet in drawn
    ]
    # The maker knows what could be noticed only after it has seen all images.
    warnings = [*left_out, *maker.warnings()]
    study.write_record(study_id=study_id, **record, display=maker.display(), sheets=entries, warnings=warnings)
    return study_id, tuple(warnings)


def _config(
    arms: Sequence[Arm | ReferenceArm],
    selection: Selection,
    pairs: Sequence[Pair],
    design: Design,
    instrument: QuestionSet,
) -> dict[str, Any]:
    """Return what makes the study what it is: an existing folder is continued only if this is the same."""
    return {
        **asdict(design),
        "arms": [_arm_record(arm, selection.shown[arm.label]) for arm in arms],
        "pairs": [[label for label in pair if label is not None] for pair in pairs],
        "prompts": len(selection.prompts),
        "samples_per_side": selection.samples_per_side,
        "crossed": not design.by_category and design.items_per_sheet is None,
        "instrument": instrument.model_dump(mode="json"),
    }


def _arm_record(arm: Arm | ReferenceArm, rows: Mapping[str, PromptSamples]) -> dict[str, Any]:
    common = {"label": arm.label, "samples_digest": samples_digest(rows)}
    if isinstance(arm, ReferenceArm):
        return {**common, "reference": True, "run": arm.images.name, "guidance_weight": None}
    run = RunFolder.open(arm.run).run
    return {
        **common,
        "run": run.get("name", arm.run.name),
        "guidance_weight": arm.guidance_weight,
        "prompt_set": run.get("prompts"),
    }


def _source(arm: Arm | ReferenceArm) -> Path:
    return arm.images if isinstance(arm, ReferenceArm) else arm.run


def _parts(
    selection: Selection, pairs: Sequence[Pair], design: Design, instrument: QuestionSet, blinder: Blinder
) -> list[Part]:
    """Divide the study into parts, each with its controls.

    Raises:
        InputError: More sheets than a study may have.
    """
    every = real_comparisons(selection.shown, pairs)
    parts = split_parts(every, design, blinder.generator("parts", design.seed))
    total = len(parts) * design.sheets
    if total > MAX_TOTAL_SHEETS:
        raise InputError(
            f"{len(parts)} parts of {design.sheets} sheets are {total}, expected at most {MAX_TOTAL_SHEETS}; "
            "ask for fewer sheets, or export several studies"
        )
    source = ControlSource(selection.pool, selection.spare, selection.reference)
    made = []
    for number, real in enumerate(parts, start=1):
        name = real[0].prompt.category if design.by_category else str(number)
        rng = blinder.generator("controls", name, design.seed)
        made.append(Part(name, real, control_comparisons(real, name, source, design, instrument, rng)))
    return made


def _write_pictures(
    study: StudyFolder, sheets: Sequence[Sheet], maker: PictureMaker, blinder: Blinder
) -> dict[str, str]:
    """Write all pictures and return their SHA-256 by name."""
    every = {picture.name: picture for sheet in sheets for item in sheet.items for picture in item.pictures}
    digests: dict[str, str] = {}
    first: dict[tuple[str, str, bool], Path] = {}
    # In the order of the blind names, since times of writing would otherwise tell the arms apart.
    for name, picture in sorted(every.items()):
        path = study.public / IMAGE_FOLDER / name
        content = (picture.shown.label, picture.shown.row.prompt_id, picture.shown.degraded)
        earlier = first.setdefault(content, path)
        data = _compose(picture, maker, blinder) if earlier is path else earlier.read_bytes()
        atomic_write_bytes(path, data)
        digests[name] = sha256_bytes(data)
    return digests


def _compose(picture: Picture, maker: PictureMaker, blinder: Blinder) -> bytes:
    shown = picture.shown
    noise_seed = blinder.generator("noise", shown.label, shown.row.prompt_id).getrandbits(48)
    return maker.compose(shown, noise_seed)


def _write_sheet(
    study: StudyFolder, study_id: str, sheet: Sheet, instrument: QuestionSet, blinder: Blinder
) -> dict[str, Any]:
    """Write CSV, page and zip of a sheet and return its entry in the study's record."""
    stem = f"sheet_{sheet.sheet_id}"
    two_sided = len(instrument.pictures) == 2
    columns = sheet_columns((question.name for question in instrument.questions), two_sided)
    digest = sheet_hash(study_id, sheet, instrument.model_dump(mode="json"))
    code = blinder.token("c", sheet.sheet_id, study_id, length=9).upper()
    page = render_page(study_id, sheet, instrument, columns, digest, code)
    atomic_write_bytes(study.public / f"{stem}.csv", sheet_csv(study_id, sheet, digest, columns))
    atomic_write_text(study.public / f"{stem}.html", page)
    images = {f"{IMAGE_FOLDER}/{picture.name}" for item in sheet.items for picture in item.pictures}
    members = {name: study.public / name for name in (f"{stem}.csv", f"{stem}.html", README, *images)}
    write_zip(study.public / f"{stem}.zip", stem, members)
    return {"sheet_id": sheet.sheet_id, "items": len(sheet.items), "hash": digest, "completion_code": code}
