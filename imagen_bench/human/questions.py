"""The rating questions, word for word from the shipped `drawbench/questions.toml` or a file of that form."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from pydantic import Field, field_validator, model_validator

from imagen_bench.assets import asset
from imagen_bench.config import Section, read_toml, validate

_NAME = r"^[a-z][a-z0-9_]{0,30}$"


class Question(Section):
    """One question; `{caption}` in its text stands for the prompt and goes with `shows_caption`."""

    name: str = Field(pattern=_NAME)
    text: str = Field(min_length=1)
    shows_caption: bool

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


class Answer(Section):
    """One answer: the word that a sheet records, the label that raters read, and its key on the page."""

    value: str = Field(pattern=_NAME)
    label: str = Field(min_length=1)
    key: str = Field(pattern=r"^[a-y0-9]$")


class QuestionSet(Section):
    """The instrument of a study: instructions, questions in the order of asking, and the answers to each."""

    instructions: tuple[str, ...]
    questions: tuple[Question, ...] = Field(min_length=1)
    answers: tuple[Answer, ...] = Field(min_length=2)

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        for kind, values in (
            ("questions have the same name", [question.name for question in self.questions]),
            ("answers have the same value", [answer.value for answer in self.answers]),
            ("answers have the same key", [answer.key for answer in self.answers]),
        ):
            if len(set(values)) != len(values):
                raise ValueError(f"two {kind}; make them differ")
        return self


class _QuestionFile(Section):
    sxs: QuestionSet


def load_questions(path: Path | None = None) -> QuestionSet:
    """Read the side-by-side questions.

    Args:
        path: A file of the form of `drawbench/questions.toml`; None for the shipped one, Imagen's questions.

    Raises:
        ConfigError: The file cannot be read or is wrong.
    """
    source = path or asset("drawbench/questions.toml")
    return validate(_QuestionFile, read_toml(source), str(source)).sxs
