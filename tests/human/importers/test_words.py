"""Words that raters write for an answer."""

from __future__ import annotations

import pytest

from imagen_bench.human.importers.words import answer_words, plain_word
from imagen_bench.human.questions import load_questions

SXS = [answer.model_dump() for answer in load_questions().answers]
LIKERT = [{"value": str(n), "label": f"{n} of five", "key": str(n)} for n in range(1, 6)] + [
    {"value": "unable", "label": "I cannot judge", "key": "u"}
]
CAPTION = [
    {"value": "yes", "label": "Yes", "key": "1"},
    {"value": "somewhat", "label": "Somewhat", "key": "2"},
    {"value": "no", "label": "No", "key": "3"},
    {"value": "unable", "label": "I cannot judge", "key": "u"},
]


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("left", "left"),
        (" LEFT\u00a0", "left"),
        ("'left", "left"),
        ("“Left”.", "left"),
        ("a", "left"),
        ("A", "left"),
        ("1", "left"),
        ("1,0", "left"),
        ("1.00", "left"),
        ("\uff11", "left"),
        ("Prefer  left", "left"),
        ("I prefer the left set", "left"),
        ("B", "right"),
        ("2", "right"),
        ("r", "right"),
        ("0", "tie"),
        ("Indifferent", "tie"),
        ("I am indifferent", "tie"),
        ("Can\u2019t judge", "unable"),
        ("cannot judge", "unable"),
        ("u", "unable"),
    ],
)
def test_side_by_side(written: str, value: str) -> None:
    assert answer_words(SXS)[plain_word(written)] == value


@pytest.mark.parametrize(
    "written", ["maybe", "3", "both", "left right", "=1", "-", "TRUE", "lef", "12", "1.5", "\u200b"]
)
def test_unknown_words_are_no_answer(written: str) -> None:
    assert plain_word(written) not in answer_words(SXS)


def test_numbers_are_points_on_a_scale_and_sides_elsewhere() -> None:
    assert answer_words(LIKERT)["1"] == "1"
    assert answer_words(LIKERT)[plain_word("5,0")] == "5"
    assert "a" not in answer_words(LIKERT)
    words = answer_words(CAPTION)
    assert [words[plain_word(text)] for text in ("Y", "partly", "NO", "3", "u")] == [
        "yes",
        "somewhat",
        "no",
        "no",
        "unable",
    ]


def test_a_key_of_the_page_goes_before_a_synonym() -> None:
    words = answer_words([{"value": "left", "label": "L", "key": "2"}, {"value": "right", "label": "R", "key": "1"}])
    assert (words["2"], words["1"], words["a"]) == ("left", "right", "left")
