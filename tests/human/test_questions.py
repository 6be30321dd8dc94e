"""The shipped questions are Imagen's, word for word; other files are checked."""

from __future__ import annotations

from pathlib import Path

import pytest

from imagen_bench.assets import asset
from imagen_bench.errors import ConfigError
from imagen_bench.human.questions import load_questions


def test_the_shipped_questions_are_those_of_the_paper() -> None:
    """Saharia et al. 2022, appendix C; the caption stands where the paper has {Text Caption}."""
    found = load_questions()
    assert [(question.name, question.text, question.shows_caption) for question in found.questions] == [
        ("fidelity", "Which set of images is of higher quality?", False),
        ("alignment", "Which set of images better represents the text caption : {caption}?", True),
    ]
    assert [(answer.value, answer.key) for answer in found.answers] == [
        ("left", "1"),
        ("tie", "0"),
        ("right", "2"),
        ("unable", "u"),
    ]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("shows_caption = false", "shows_caption = true", "make them agree"),
        ('key = "1"', 'key = "z"', r"answers\.0\.key"),
        ('key = "1"', 'key = "0"', "same key"),
        ('value = "tie"', 'value = "left"', "same value"),
        ('name = "fidelity"', 'nam = "fidelity"', "did you mean 'name'"),
        ("{caption}?", "{caption}{caption}?", "once"),
    ],
)
def test_wrong_files_are_refused(tmp_path: Path, old: str, new: str, message: str) -> None:
    text = asset("drawbench/questions.toml").read_text(encoding="utf-8")
    assert old in text
    file = tmp_path / "mine.toml"
    file.write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(ConfigError, match=message):
        load_questions(file)
