"""The rater page: one sheet as one HTML file that opens from disk without a network and keeps answers.

The content security policy allows nothing but the page's own style and script (by their hash) and the
pictures beside it. Texts reach the page as JSON and are put in as text, never as markup.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from imagen_bench.assets import asset
from imagen_bench.human.questions import PRACTICE_PICTURES, QuestionSet
from imagen_bench.human.sheets import Sheet, public_items

TEMPLATES = "drawbench/rater_page"
SCRIPTS = ("answers.js", "practice.js", "review.js", "page.js")
# How rating platforms hand over a participant's id in the address: our own name, Prolific, CloudResearch
# Connect.
RATER_PARAMETERS = ("rater_id", "PROLIFIC_PID", "participantId")


def render_page(
    study_id: str,
    sheet: Sheet,
    instrument: QuestionSet,
    columns: Sequence[str],
    sheet_hash: str,
    completion_code: str,
) -> str:
    """Render the page of one sheet.

    Args:
        study_id: Blind id of the study.
        sheet: The items.
        instrument: Instructions, questions, answers.
        columns: Columns of the CSV that the page writes: those of the sheet's own CSV.
        sheet_hash: Ties saved and downloaded answers to this very sheet.
        completion_code: Shown once every question is answered.
    """
    sides = ["left", "right"] if len(instrument.pictures) == 2 else ["image"]
    data = {
        "study_id": study_id,
        "sheet_id": sheet.sheet_id,
        "sheet_hash": sheet_hash,
        "completion_code": completion_code,
        "rater_parameters": RATER_PARAMETERS,
        "columns": columns,
        "item_word": instrument.item,
        "sides": sides,
        "questions": [
            {**question.model_dump(), "answers": [answer.model_dump() for answer in instrument.answers_of(question)]}
            for question in instrument.questions
        ],
        "practice": practice_items(instrument, sides),
        "items": public_items(sheet),
    }
    style = _source("page.css")
    script = "".join(map(_source, SCRIPTS))
    environment = Environment(
        loader=FileSystemLoader(asset(TEMPLATES)),
        autoescape=True,
        undefined=StrictUndefined,
        keep_trailing_newline=True,
    )
    return environment.get_template("sheet.html.j2").render(
        policy=content_security_policy(style, script),
        sheet_id=sheet.sheet_id,
        items=len(sheet.items),
        instrument=instrument,
        keys=_keys(instrument),
        sides=list(zip(sides, instrument.pictures, strict=True)),
        style=Markup(style),
        script=Markup(script),
        data=Markup(script_json(data)),
    )


def practice_items(instrument: QuestionSet, sides: Sequence[str]) -> list[dict[str, Any]]:
    """Return the practice items in the form of real ones, with drawings as data URLs, answers and reasons."""
    return [
        {
            "item_id": f"practice-{order}",
            "order": order,
            "prompt": item.caption,
            **{
                "image" if side == "image" else f"image_{side}": _drawing(name)
                for side, name in zip(sides, item.pictures, strict=True)
            },
            "right": item.answers,
            "reasons": item.reasons,
        }
        for order, item in enumerate(instrument.practice, start=1)
    ]


def _keys(instrument: QuestionSet) -> list[tuple[str, list[tuple[str, str]]]]:
    """Return the keys of the answers: one table where all questions have the same, else one a question."""
    tables = {
        question.name: [(answer.key, answer.label) for answer in instrument.answers_of(question)]
        for question in instrument.questions
    }
    first = next(iter(tables.values()))
    if all(table == first for table in tables.values()):
        return [("Answers", first)]
    return [(f"Answers about {name}", table) for name, table in tables.items()]


def _drawing(name: str) -> str:
    data = (asset(PRACTICE_PICTURES) / f"{name}.svg").read_bytes()
    return f"data:image/svg+xml;base64,{base64.b64encode(data).decode('ascii')}"


def content_security_policy(style: str, script: str) -> str:
    """Return a policy that allows this inline style and script and local pictures, and nothing else."""
    return (
        "default-src 'none'; img-src 'self' data:; "
        f"style-src {_hash_source(style)}; script-src {_hash_source(script)}; "
        "base-uri 'none'; form-action 'none'"
    )


def script_json(data: Any) -> str:
    """Return JSON that is safe inside a script element: nothing in it ends the element or opens a comment."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def _hash_source(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode('utf-8')).digest()).decode('ascii')}'"


def _source(name: str) -> str:
    # Read as text, since browsers hash an element after turning line ends into LF.
    return (asset(TEMPLATES) / name).read_text(encoding="utf-8")
