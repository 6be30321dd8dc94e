"""What a rater is sent: a note on how to fill the sheet in, and everything of one sheet in one zip file."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path

from imagen_bench.files import atomic_path
from imagen_bench.human.questions import QuestionSet

# The zip format's own zero: real times would tell which pictures were written together.
_TIME = (1980, 1, 1, 0, 0, 0)
_MODE = 0o100644 << 16
_UNIX = 3


def write_zip(path: Path, folder: str, members: Mapping[str, Path]) -> None:
    """Write files as a zip whose bytes depend on names and contents alone.

    Args:
        path: The zip file.
        folder: Folder inside the zip that holds everything, so that unpacking stays tidy.
        members: File on disk for each name below that folder.
    """
    with atomic_path(path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        for name in sorted(members):
            entry = zipfile.ZipInfo(f"{folder}/{name}", _TIME)
            entry.create_system = _UNIX
            entry.external_attr = _MODE
            entry.compress_type = zipfile.ZIP_STORED if name.endswith(".png") else zipfile.ZIP_DEFLATED
            archive.writestr(entry, members[name].read_bytes())


def rater_readme(instrument: QuestionSet) -> str:
    """Return the note that goes with every sheet, as plain text with CRLF line ends."""
    lines = [
        instrument.title,
        "",
        *(line for paragraph in instrument.instructions for line in (paragraph, "")),
        "How to start",
        "1. Unpack the whole zip file into a folder.",
        "2. Open the .html file with a web browser. It needs no internet, and nothing is sent anywhere.",
        "3. Answer all questions. You can close the page and go on later in the same browser.",
        "4. At the end, download your answers and send the CSV and the JSON file to who gave you this sheet.",
        "",
        *_without_browser(instrument),
        "Please do not compare answers with other raters before all of you have finished.",
    ]
    return "\r\n".join([*lines, ""])


def _without_browser(instrument: QuestionSet) -> list[str]:
    """Explain how to fill in the CSV by hand."""
    columns = "the pictures in image_left and image_right" if len(instrument.pictures) == 2 else "the picture in image"
    lines = [
        "Without the page",
        "1. Open the .csv file with a spreadsheet program. Keep all filled cells and the order of rows.",
        "2. Write your rater id into the column rater_id.",
        f"3. For each row, look at {columns} and write one of the words below into each column that starts with q_.",
    ]
    for question in instrument.questions:
        text = question.text.replace("{caption}", "(the text in the column prompt)").replace("\n", " ")
        blind = "" if question.shows_caption else " Answer it before you read the prompt."
        lines.extend(["", f"   Column q_{question.name}: {text}{blind}"])
        lines.extend(f"      {answer.value}: {answer.label}" for answer in instrument.answers_of(question))
    return [*lines, ""]
