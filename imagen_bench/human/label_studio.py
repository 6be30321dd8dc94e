"""Writes a study as a Label Studio project: a labelling configuration, and one file of tasks a sheet.

Layouts: https://labelstud.io/guide/tasks.html and https://labelstud.io/tags/. `<Pairwise>` knows no tie, so
each question is a `<Choices>` with hotkeys of its own. A caption that a question hides appears once the
question before it is answered. Tasks hold what the public sheet holds and nothing else.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from imagen_bench.errors import InputError, RunFolderError
from imagen_bench.files import atomic_write_text
from imagen_bench.human.importers.rows import unescape_formula
from imagen_bench.human.study import StudyFolder, open_study

CONFIG = "config.xml"
INSTRUCTIONS = "instructions.txt"
_HOTKEYS = ("1234567890", "qwertyuiop", "asdfghjkl", "zxcvbnm")
_IMAGES = ("image", "image_left", "image_right")


def write_label_studio(study: Path, out: Path, image_url: str, sheets: Sequence[str] = ()) -> list[Path]:
    """Write `config.xml`, `instructions.txt`, and `tasks_<sheet>.json` for each sheet.

    Args:
        study: An exported study.
        out: Folder to write into.
        image_url: Address under which the study's `public/` folder is served to Label Studio; the names of
            the pictures are put after it and a slash.
        sheets: Only these sheets; all if empty.

    Returns:
        The files written: configuration, instructions, tasks.

    Raises:
        RunFolderError: No finished study.
        InputError: An unknown sheet.
    """
    folder = open_study(study)
    known = [str(sheet["sheet_id"]) for sheet in folder.record.get("sheets", [])]
    if not known:
        raise RunFolderError(f"the export into {study} is not finished; run `drawbench export` again")
    for sheet_id in sheets:
        if sheet_id not in known:
            raise InputError(f"{study} has no sheet {sheet_id}; choose from {', '.join(known[:12])}")
    hashes = {str(sheet["sheet_id"]): str(sheet["hash"]) for sheet in folder.record["sheets"]}
    prefix = image_url if image_url.endswith(("/", "=")) else f"{image_url}/"
    chosen = {sheet: _tasks(folder, sheet, hashes[sheet], prefix) for sheet in sheets or known}
    images = [name for name in _IMAGES if name in next(iter(chosen.values()))[0]["data"]]
    instrument = folder.record["config"]["instrument"]
    paths = [out / CONFIG, out / INSTRUCTIONS]
    atomic_write_text(paths[0], label_config(instrument, images))
    atomic_write_text(paths[1], "\n\n".join([*instrument["instructions"], ""]))
    for sheet_id, tasks in chosen.items():
        paths.append(out / f"tasks_{sheet_id}.json")
        atomic_write_text(paths[-1], json.dumps(tasks, indent=1, ensure_ascii=False) + "\n")
    return paths


def label_config(instrument: Mapping[str, Any], images: Sequence[str]) -> str:
    """Return the labelling configuration of an instrument as XML.

    Args:
        instrument: Instructions, questions and answers, as a study records them.
        images: Names of the task's pictures: image, or image_left and image_right.
    """
    view = ElementTree.Element("View")
    row = ElementTree.SubElement(view, "View", style="display: flex; gap: 1em")
    for name in images:
        side = ElementTree.SubElement(row, "View", style="flex: 1")
        ElementTree.SubElement(
            side, "Header", value=name.replace("_", " ").replace("image ", "").capitalize(), size="5"
        )
        ElementTree.SubElement(side, "Image", name=name, value=f"${name}", zoom="true")
    place, shown, previous = view, False, ""
    for number, question in enumerate(instrument["questions"]):
        if question["shows_caption"] and not shown:
            if previous:
                condition = {"visibleWhen": "choice-selected", "whenTagName": previous}
                place = ElementTree.SubElement(view, "View", condition)
            ElementTree.SubElement(place, "Text", name="caption", value="$prompt")
            shown = True
        previous = f"q_{question['name']}"
        _add_question(place, question, question.get("answers") or instrument["answers"], number, images[0])
    options = {"name": "comment", "toName": images[0], "placeholder": "Comment (optional)", "maxSubmissions": "1"}
    ElementTree.SubElement(view, "TextArea", options)
    ElementTree.indent(view)
    return ElementTree.tostring(view, encoding="unicode") + "\n"


def _add_question(
    place: ElementTree.Element,
    question: Mapping[str, Any],
    answers: Sequence[Mapping[str, str]],
    number: int,
    image: str,
) -> None:
    """Add a question; the first has the page's keys, the next ones a row of the keyboard each."""
    text = question["text"].replace("{caption}", "(the caption above)")
    ElementTree.SubElement(place, "Header", value=text, size="4")
    name = f"q_{question['name']}"
    choices = ElementTree.SubElement(
        place, "Choices", name=name, toName=image, choice="single-radio", showInline="true", required="true"
    )
    taken = "".join(answer["key"] for answer in answers)
    keys = list(taken) if number == 0 else _free_keys(number, taken)
    for answer, key in zip(answers, [*keys, *[""] * len(answers)], strict=False):
        # The alias is what an export holds; raters read the value.
        option = {"value": answer["label"], "alias": answer["value"]}
        ElementTree.SubElement(choices, "Choice", {**option, "hotkey": key} if key else option)


def _free_keys(number: int, taken: str) -> list[str]:
    row = _HOTKEYS[number] if number < len(_HOTKEYS) else ""
    return [key for key in row if key not in taken]


def _tasks(folder: StudyFolder, sheet_id: str, sheet_hash: str, image_url: str) -> list[dict[str, Any]]:
    """Return a sheet's tasks, from its public CSV."""
    file = folder.public / f"sheet_{sheet_id}.csv"
    try:
        rows = list(csv.DictReader(io.StringIO(file.read_text(encoding="utf-8-sig"), newline="")))
    except OSError as error:
        raise RunFolderError(f"cannot read {file} ({error.strerror}); run `drawbench export` again") from error
    tasks = []
    for row in rows:
        data = {name: row[name] for name in ("study_id", "sheet_id", "item_id")}
        data["sheet_hash"] = sheet_hash
        data["prompt"] = unescape_formula(row["prompt"])
        data.update({name: image_url + row[name] for name in _IMAGES if row.get(name)})
        tasks.append({"data": data})
    return tasks
