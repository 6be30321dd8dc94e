"""Control items, whose right answer is known: a caption of another image, or a copy made worse.

They look like any other item: same questions, same kind of names, places drawn at random. Only the key tells
them. Two pictures: for a question about the caption, the right one belongs to the caption and the other to
another prompt, both of one arm; for any other question, the wrong one is a blurred and noisy copy of the right
one. One picture: it belongs to another prompt than the caption.
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle, islice

from imagen_bench.errors import InputError
from imagen_bench.human.arms import ArmSamples, PromptSamples
from imagen_bench.human.comparisons import Comparison, Shown
from imagen_bench.human.design import Design
from imagen_bench.human.questions import MISMATCH_ANSWER, Question, QuestionSet

_WORD = re.compile(r"\w+")


@dataclass(frozen=True)
class ControlSource:
    """What controls are made from.

    Attributes:
        arms: Samples by prompt id for each arm's label, with enough of them; all arms hold the same prompts.
        spare: Ids of prompts that no real item shows; used first.
        reference: Label of the real images, if they are an arm: controls of them are true of any model.
    """

    arms: Mapping[str, ArmSamples]
    spare: Sequence[str]
    reference: str | None


def control_comparisons(
    part: Sequence[Comparison],
    name: str,
    source: ControlSource,
    design: Design,
    instrument: QuestionSet,
    rng: random.Random,
) -> list[Comparison]:
    """Make the controls of one part of a study.

    Args:
        part: Its real comparisons.
        name: Tells the part from others.
        source: What controls are made from.
        design: The share of controls, and the mode.
        instrument: The questions; each has its turn.
        rng: Source of randomness.

    Raises:
        InputError: All prompts of the study are the same.
    """
    if not design.controls:
        return []
    count = max(1, round(design.controls * len(part)))
    questions = [question for question in instrument.questions if design.two_sided or question.shows_caption]
    labels = [source.reference] if source.reference else sorted(source.arms)
    rng.shuffle(labels)
    prompts = _prompts(part, source, rng)
    return [
        _control(("control", name, str(number)), question, source.arms[label], label, prompt, design, rng)
        for number, question, label, prompt in zip(
            range(count), cycle(questions), cycle(labels), islice(cycle(prompts), count), strict=False
        )
    ]


def _prompts(part: Sequence[Comparison], source: ControlSource, rng: random.Random) -> list[str]:
    """Return prompts for controls in random order: spare ones of the part's categories, then the part's own."""
    categories = {comparison.prompt.category for comparison in part}
    rows = next(iter(source.arms.values()))
    spare = [prompt_id for prompt_id in source.spare if rows[prompt_id].category in categories]
    own = sorted({comparison.prompt.prompt_id for comparison in part})
    return rng.sample(spare, len(spare)) + rng.sample(own, len(own))


def _control(
    key: tuple[str, ...],
    question: Question,
    rows: ArmSamples,
    label: str,
    prompt_id: str,
    design: Design,
    rng: random.Random,
) -> Comparison:
    row = rows[prompt_id]
    own = Shown(label, row)
    if not question.shows_caption:
        return Comparison(key, row, own, Shown(label, row, degraded=True), "control", question.name)
    other = Shown(label, distant_prompt(row, list(rows.values()), rng))
    if design.two_sided:
        return Comparison(key, row, own, other, "control", question.name)
    return Comparison(key, row, other, None, "control", question.name, MISMATCH_ANSWER[design.mode])


def distant_prompt(row: PromptSamples, others: Sequence[PromptSamples], rng: random.Random) -> PromptSamples:
    """Return a prompt that shares as few words as possible with `row`, one of these at random.

    Raises:
        InputError: All others have the same text.
    """
    words = _words(row.prompt)
    shared = {other.prompt_id: len(words & _words(other.prompt)) for other in others if _words(other.prompt) != words}
    if not shared:
        raise InputError("controls need a second prompt with another text; leave controls out, or show more prompts")
    fewest = min(shared.values())
    return rng.choice([other for other in others if shared.get(other.prompt_id) == fewest])


def _words(text: str) -> set[str]:
    return set(_WORD.findall(text.casefold()))
