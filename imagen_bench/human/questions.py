"""The rating questions, word for word from the shipped `drawbench/questions.toml` or a file of that form."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, Self, get_args

from pydantic import Field, field_validator, model_validator

from imagen_bench.assets import asset
from imagen_bench.config import Section, read_toml, validate
from imagen_bench.errors import ConfigError

Mode = Literal["sxs", "photorealism", "alignment", "likert5"]
MODES: tuple[Mode, ...] = get_args(Mode)
UNABLE = "unable"
ANSWERS: dict[Mode, tuple[str, ...]] = {
    "sxs": ("left", "tie", "right", UNABLE),
    "photorealism": ("left", "right", UNABLE),
    "alignment": ("yes", "somewhat", "no", UNABLE),
    "likert5": ("1", "2", "3", "4", "5", UNABLE),
}
"""What may be answered in each mode, in the order of asking; the statistics know no other words."""
MISMATCH_ANSWER: dict[Mode, str] = {"alignment": "no", "likert5": "1"}
"""The right answer about an image whose caption is another one's."""
PRACTICE_PICTURES = "drawbench/rater_page/practice"
_NAME = r"^[a-z][a-z0-9_]{0,30}$"
_VALUE = r"^[a-z0-9][a-z0-9_]{0,30}$"


class Answer(Section):
    """One answer: the word that a sheet records, the label that raters read, and its key on the page."""

    value: str = Field(pattern=_VALUE)
    label: str = Field(min_length=1)
    key: str = Field(pattern=r"^[a-y0-9]$")


class Question(Section):
    """One question; `{caption}` in its text stands for the prompt and goes with `shows_caption`.

    Its own `answers`, where there are any, replace those of its set.
    """

    name: str = Field(pattern=_NAME)
    text: str = Field(min_length=1)
    shows_caption: bool
    answers: tuple[Answer, ...] = ()

    @field_validator("text")
    @classmethod
    def _one_caption(cls, text: str) -> str:
        if text.count("{caption}") > 1:
            raise ValueError("{caption} may stand in a question once; remove the others")
        return text

    @model_validator(mode="after")
    def _caption_is_told(self) -> Self:
        if ("{caption}" in self.text) != self.shows_caption:
            raise ValueError("shows_caption is true just where the text holds {caption}; make them agree")
        return self


class Practice(Section):
    """An item to learn from: shipped drawings, the answer to each question, and the reason for it."""

    caption: str = Field(min_length=1)
    pictures: tuple[str, ...] = Field(min_length=1, max_length=2)
    answers: dict[str, str]
    reasons: dict[str, str]

    @field_validator("pictures")
    @classmethod
    def _shipped(cls, pictures: tuple[str, ...]) -> tuple[str, ...]:
        known = sorted(path.stem for path in asset(PRACTICE_PICTURES).glob("*.svg"))
        for name in pictures:
            if name not in known:
                raise ValueError(f"{name} is no drawing for practice; choose from {', '.join(known)}")
        return pictures


class QuestionSet(Section):
    """The instrument of a study: instructions, questions in the order of asking, and the answers to each.

    Attributes:
        title: Heading of the page.
        item: What raters call one item: a comparison, an image.
        pictures: Caption of each picture of an item; one or two.
        instructions: Paragraphs.
        questions: In the order of asking.
        answers: For every question without answers of its own.
        practice: Items to learn from; the first is the worked example.
    """

    title: str = Field("Image comparison", min_length=1)
    item: str = Field("comparison", min_length=1)
    pictures: tuple[str, ...] = Field(("Left set", "Right set"), min_length=1, max_length=2)
    instructions: tuple[str, ...]
    questions: tuple[Question, ...] = Field(min_length=1)
    answers: tuple[Answer, ...] = ()
    practice: tuple[Practice, ...] = ()

    def answers_of(self, question: Question) -> tuple[Answer, ...]:
        """Return the answers that raters choose from for a question of this set."""
        return question.answers or self.answers

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        _refuse_equal("questions have the same name", [question.name for question in self.questions])
        for question in self.questions:
            answers = self.answers_of(question)
            if len(answers) < 2:
                raise ValueError(f"question {question.name} has {len(answers)} answers; give it at least 2")
            _refuse_equal("answers have the same value", [answer.value for answer in answers])
            _refuse_equal("answers have the same key", [answer.key for answer in answers])
        return self

    @model_validator(mode="after")
    def _practice_fits(self) -> Self:
        for item in self.practice:
            if len(item.pictures) != len(self.pictures):
                raise ValueError(
                    f"practice {item.caption!r} has {len(item.pictures)} pictures; give it {len(self.pictures)}"
                )
            for question in self.questions:
                values = [answer.value for answer in self.answers_of(question)]
                if item.answers.get(question.name) not in values or not item.reasons.get(question.name):
                    raise ValueError(
                        f"practice {item.caption!r} needs a reason and an answer to {question.name}: "
                        f"{', '.join(values)}"
                    )
        return self


class _QuestionFile(Section):
    sxs: QuestionSet | None = None
    photorealism: QuestionSet | None = None
    alignment: QuestionSet | None = None
    likert5: QuestionSet | None = None


def load_questions(path: Path | None = None, mode: Mode = "sxs") -> QuestionSet:
    """Read the questions of a mode.

    Args:
        path: A file of the form of `drawbench/questions.toml`; None for the shipped one.
        mode: Its section.

    Raises:
        ConfigError: The file cannot be read or is wrong, or its section does not fit the mode.
    """
    source = path or asset("drawbench/questions.toml")
    found: QuestionSet | None = getattr(validate(_QuestionFile, read_toml(source), str(source)), mode)
    if found is None:
        raise ConfigError(f"{source} has no section [{mode}]; add it, or choose a mode that the file has")
    sides = 2 if "left" in ANSWERS[mode] else 1
    if len(found.pictures) != sides:
        raise ConfigError(f"{source}: 'pictures' of [{mode}] names {len(found.pictures)}; expected {sides}")
    for question in found.questions:
        unknown = [answer.value for answer in found.answers_of(question) if answer.value not in ANSWERS[mode]]
        if unknown:
            raise ConfigError(
                f"{source}: question {question.name} of [{mode}] has the answer {unknown[0]!r}; "
                f"expected values of {', '.join(ANSWERS[mode])} (labels are free)"
            )
    return found


def _refuse_equal(problem: str, values: Sequence[str]) -> None:
    if len(set(values)) != len(values):
        raise ValueError(f"two {problem}; make them differ")
