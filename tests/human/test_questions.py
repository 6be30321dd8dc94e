"""The shipped questions are Imagen's, word for word; other files are checked."""

from __future__ import annotations

from pathlib import Path

import pytest

from imagen_bench.assets import asset
from imagen_bench.errors import ConfigError
from imagen_bench.human.questions import ANSWERS, MODES, Mode, load_questions


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


def test_the_questions_on_coco_are_those_of_the_paper() -> None:
    """Saharia et al. 2022, section 3."""
    photorealism, alignment = load_questions(mode="photorealism"), load_questions(mode="alignment")
    assert [question.text for question in photorealism.questions] == [
        "Which image is more photorealistic (looks more real)?"
    ]
    assert "Does the caption accurately describe the above image?" in alignment.questions[0].text
    assert [answer.label for answer in alignment.answers[:3]] == ["Yes", "Somewhat", "No"]


@pytest.mark.parametrize("mode", MODES)
def test_every_mode_offers_all_its_answers_and_practice(mode: Mode) -> None:
    found = load_questions(mode=mode)
    for question in found.questions:
        assert tuple(answer.value for answer in found.answers_of(question)) == ANSWERS[mode]
    assert len(found.practice) >= 2


@pytest.mark.parametrize(
    ("old", "new", "mode", "message"),
    [
        ("[photorealism]", "[photorealistic]", "photorealism", "photorealistic"),
        ('pictures = ["Image"]', 'pictures = ["Image", "Image"]', "alignment", "practice"),
        ('value = "somewhat"', 'value = "partly"', "alignment", "practice"),
        ('"two-apples", "rough-apples"', '"two-apples", "pears"', "sxs", "pears is no drawing"),
        ('{ photorealism = "left" }', '{ photorealism = "tie" }', "photorealism", "left, right, unable"),
        ('value = "3", label = "Neutral"', 'value = "4", label = "Neutral"', "likert5", "same value"),
    ],
)
def test_wrong_sections_are_refused(tmp_path: Path, old: str, new: str, mode: Mode, message: str) -> None:
    text = asset("drawbench/questions.toml").read_text(encoding="utf-8")
    assert old in text
    file = tmp_path / "mine.toml"
    file.write_text(text.replace(old, new), encoding="utf-8")
    with pytest.raises(ConfigError, match=message):
        load_questions(file, mode)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ('pictures = ["One"]\nanswers = [{value="left",label="l",key="1"},{value="tie",label="t",key="2"}]', "names 1"),
        (
            'answers = [{value="left",label="l",key="1"},{value="better",label="b",key="2"}]',
            "'better'; expected",
        ),
        ("", "has 0 answers"),
    ],
)
def test_a_section_that_the_statistics_do_not_know_is_refused(tmp_path: Path, body: str, message: str) -> None:
    file = tmp_path / "mine.toml"
    question = 'questions = [{name="q", text="Which?", shows_caption=false}]'
    file.write_text(f"[sxs]\ninstructions = []\n{question}\n{body}\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=message):
        load_questions(file)
    with pytest.raises(ConfigError, match=r"has no section \[alignment\]|answers"):
        load_questions(file, "alignment")
