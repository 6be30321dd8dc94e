"""The study card: all that a paper has to say of a human evaluation so that others can judge and repeat it.

What the study does not know of itself (recruitment, pay, consent) is read from `STUDY/card.toml`, where there is
one, and stands as "not stated" otherwise. The fields follow the reporting advice of Otani et al. (CVPR 2023).
"""

from __future__ import annotations

from typing import Any

from imagen_bench.config import Section, read_toml, validate
from imagen_bench.files import digest_json
from imagen_bench.human.study import StudyFolder

CARD_FILE = "card.toml"
_Field = tuple[str, str]


class _Stated(Section):
    recruitment: str = ""
    country: str = ""
    language: str = ""
    qualification: str = ""
    pay_per_item: str = ""
    pay_per_hour: str = ""
    consent: str = ""


_STATED_WORDS = {
    "recruitment": "Recruitment",
    "country": "Countries of the raters",
    "language": "Language",
    "qualification": "Qualification asked for",
    "pay_per_item": "Pay per item",
    "pay_per_hour": "Pay per hour",
    "consent": "Consent and ethics review",
}


def card_fields(study: StudyFolder, results: dict[str, Any]) -> dict[str, list[_Field]]:
    """Return the card's sections: names and texts.

    Args:
        study: The study.
        results: From `score_study`.

    Raises:
        ConfigError: `card.toml` cannot be read, or holds an unknown key.
    """
    file = study.path / CARD_FILE
    stated = validate(_Stated, read_toml(file), str(file)) if file.exists() else _Stated()
    people = [
        (words, getattr(stated, key) or f'not stated (write {key} = "..." into {CARD_FILE} of the study folder)')
        for key, words in _STATED_WORDS.items()
    ]
    return {
        "Study": _study_fields(study, results),
        "What raters were asked": _question_fields(study, results),
        "Size": _size_fields(study, results),
        "Raters": [*people, *_rater_fields(results)],
        "Agreement": _agreement_fields(results),
        "Analysis": _analysis_fields(results),
        "Data": [
            ("Answers", f"private/answers.csv, SHA-256 {results['answers_sha256']} (rater names are pseudonyms)"),
            ("Key", f"private/key.csv, SHA-256 {results['key_sha256']}"),
            ("Results", "results/results.json; results/tables, results/figures"),
        ],
    }


def study_card(fields: dict[str, list[_Field]]) -> str:
    """Return the card as Markdown."""
    lines = ["# Study card", ""]
    for section, entries in fields.items():
        lines += [f"## {section}", "", *(f"- **{name}**: {_markdown(text)}" for name, text in entries), ""]
    return "\n".join(lines)


def _study_fields(study: StudyFolder, results: dict[str, Any]) -> list[_Field]:
    sheets = study.record.get("sheets") or []
    hashes = [str(sheet.get("hash", "")) for sheet in sheets if isinstance(sheet, dict)]
    counts = results["counts"]
    dates = f"{counts['first_answer']} to {counts['last_answer']}" if counts["first_answer"] else "not recorded"
    display = study.record.get("display")
    shown = (
        "; ".join(f"{key}: {value}" for key, value in display.items()) if isinstance(display, dict) else "not recorded"
    )
    return [
        ("Id", f"{results['study_id']}, configuration {results['config_digest'][:16]}"),
        ("Exported", str(study.record.get("created", "not recorded"))),
        ("Answers given", dates),
        ("Arms", "; ".join(_arm_words(arm) for arm in study.record["config"]["arms"])),
        ("Interface", f"digest of all sheets {digest_json(hashes)[:16]}" if hashes else "not recorded"),
        ("Display of images", shown),
        ("Software", f"{study.record.get('tool', 'unknown')} (export), {results['tool']} (scoring)"),
    ]


def _arm_words(arm: dict[str, Any]) -> str:
    if arm.get("reference"):
        return f"{arm['label']} (reference images)"
    weight = arm.get("guidance_weight")
    return f"{arm['label']} (run {arm.get('run')}, w = {weight:g})" if weight is not None else str(arm["label"])


def _question_fields(study: StudyFolder, results: dict[str, Any]) -> list[_Field]:
    instrument = study.record["config"]["instrument"]
    common = _scale_words(instrument.get("answers"))
    fields = [("Mode", str(results["mode"]))]
    for question in instrument["questions"]:
        scale = _scale_words(question.get("answers")) or common
        fields.append((f"Question {question['name']}", f"{question['text']} Answers: {scale or 'not recorded'}."))
    return fields


def _scale_words(answers: Any) -> str:
    return " / ".join(str(answer["label"]) for answer in answers or [])


def _size_fields(study: StudyFolder, results: dict[str, Any]) -> list[_Field]:
    counts = results["counts"]
    median, low, high = (counts[f"ratings_per_item_{name}"] for name in ("median", "min", "max"))
    return [
        ("Prompts", f"{counts['prompts']} in {counts['clusters']} clusters, {len(results['categories'])} categories"),
        ("Samples per side", str(study.record["config"].get("samples_per_side", "not recorded"))),
        (
            "Items",
            f"{counts['items']} on {counts['sheets']} sheets: {counts['items_real']} real, "
            f"{counts['items_control']} controls, {counts['items_repeat']} repeats",
        ),
        ("Answers", f'{counts["answers"]}, of which {counts["unable"]} "cannot judge"; {counts["answers_used"]} used'),
        ("Ratings per comparison", f"median {median:g}, {low} to {high}"),
    ]


def _rater_fields(results: dict[str, Any]) -> list[_Field]:
    counts, quality = results["counts"], results["quality"]
    flagged = [f"{rater['rater']} ({', '.join(rater['flags'])})" for rater in quality["raters"] if rater["flags"]]
    excluded = [
        f"{rater['rater']} ({', '.join(rater['excluded'])})" for rater in quality["raters"] if rater["excluded"]
    ]
    seconds = counts["median_seconds"]
    sides = quality["sides"]
    fields = [
        ("Number", f"{counts['raters']}, of which {counts['raters_excluded']} excluded"),
        ("Exclusion", f"{quality['rule']}; excluded: {'; '.join(excluded) or 'nobody'}"),
        ("Flagged, not excluded for it", "; ".join(flagged) or "nobody"),
        ("Controls passed", _part(quality["controls_passed"], quality["controls"])),
        ("Repeats answered alike", _part(quality["repeats_same"], quality["repeats"])),
        ("Median time of an answer", "not recorded" if seconds is None else f"{seconds:.1f} s"),
    ]
    if sides is not None and sides["left_share"] is not None:
        interval = f"[{sides['left_share_low']:.1%}, {sides['left_share_high']:.1%}]"
        fields.append(("Left picked", f"{sides['left_share']:.1%} {interval} of {sides['sided']} ({sides['method']})"))
    return fields


def _part(part: int, whole: int) -> str:
    return f"{part} of {whole} ({part / whole:.0%})" if whole else "none were shown"


def _agreement_fields(results: dict[str, Any]) -> list[_Field]:
    fields = []
    for row in results["agreement"]:
        if row["alpha"] is None:
            alpha = "undefined"
        else:
            interval = f" [{row['low']:.3f}, {row['high']:.3f}]" if row["low"] is not None else ""
            alpha = f"{row['alpha']:.3f}{interval}"
        percent = "undefined" if row["percent"] is None else f"{row['percent']:.1%}"
        words = f"Krippendorff's alpha ({row['scale']}) {alpha}; agreeing pairs {percent}; {row['n_units']} comparisons"
        fields.append((row["question"], words))
    return [*fields, ("Note", results["method"]["agreement"])]


def _analysis_fields(results: dict[str, Any]) -> list[_Field]:
    method = results["method"]
    rows = results.get("preference") or results.get("scores") or []
    used = sorted({row["method"] for row in rows})
    fields = [
        ("Averaging", method["averaging"]),
        ("Intervals (95 %)", "; ".join(f"{name}: {method['intervals'][name]}" for name in used)),
    ]
    if results.get("preference"):
        fields += [("Test", method["test"]), ("Check", method["permutation"]), ("Correction", method["family"])]
    if results.get("bradley_terry"):
        fields.append(("Bradley-Terry", method["bradley_terry"]))
    return [*fields, ("Seed", str(results["seed"]))]


def _markdown(text: str) -> str:
    """The text on one line, with what Markdown or HTML would read as marks made plain."""
    plain = " ".join(text.split()).replace("\\", "\\\\")
    for char in "*_`<>[]":
        plain = plain.replace(char, f"\\{char}")
    return plain
