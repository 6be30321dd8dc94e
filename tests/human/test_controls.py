"""Controls: the right answer is right by construction."""

from __future__ import annotations

import random

import pytest

from imagen_bench.errors import InputError
from imagen_bench.human.arms import PromptSamples
from imagen_bench.human.comparisons import real_comparisons
from imagen_bench.human.controls import ControlSource, control_comparisons, distant_prompt
from imagen_bench.human.design import Design
from imagen_bench.human.questions import load_questions

TEXTS = ("a red cat", "a red dog", "two blue cars", "a cat on a mat", "three green hats", "a hat")


def rows(texts: tuple[str, ...] = TEXTS) -> dict[str, PromptSamples]:
    return {f"p{n}": PromptSamples(f"p{n}", text, "uv"[n % 2], ()) for n, text in enumerate(texts)}


def test_a_distant_prompt_shares_as_few_words_as_can_be() -> None:
    every = list(rows().values())
    drawn = {distant_prompt(every[0], every, random.Random(seed)).prompt for seed in range(40)}
    assert drawn == {"two blue cars", "three green hats"}
    with pytest.raises(InputError, match="second prompt with another text"):
        distant_prompt(every[0], every[:1], random.Random(0))


def test_controls_of_two_sets_ask_each_question_in_turn() -> None:
    arms = {"a": rows(), "b": rows()}
    part = real_comparisons(arms, [("a", "b")])
    design = Design("sxs", controls=0.5)
    source = ControlSource(arms, [], None)
    made = control_comparisons(part * 2, "1", source, design, load_questions(), random.Random(1))
    assert [control.control_question for control in made] == ["fidelity", "alignment"] * 3
    assert {control.first.label for control in made} == {"a", "b"}
    for control in made:
        assert control.second
        assert control.kind == "control"
        assert control.first.label == control.second.label
        assert control.first.row == control.prompt
        assert not control.first.degraded
        if control.control_question == "fidelity":
            assert control.second.degraded
            assert control.second.row == control.prompt
        else:
            assert not control.second.degraded
            assert control.second.row.prompt != control.prompt.prompt


@pytest.mark.parametrize(("mode", "expected"), [("alignment", "no"), ("likert5", "1")])
def test_controls_of_one_image_show_another_prompts(mode: str, expected: str) -> None:
    arms = {"model": rows(), "reference": rows()}
    part = real_comparisons(arms, [("model", None)])
    questions = load_questions(mode=mode)  # type: ignore[arg-type]
    design = Design(mode, controls=0.5)  # type: ignore[arg-type]
    source = ControlSource(arms, [], "reference")
    made = control_comparisons(part, "1", source, design, questions, random.Random(1))
    assert len(made) == 3
    assert {(item.first.label, item.control_question, item.expected) for item in made} == {
        ("reference", "alignment", expected)
    }
    assert all(item.first.row.prompt != item.prompt.prompt and item.second is None for item in made)


def test_spare_prompts_of_the_parts_categories_come_first() -> None:
    arms = {"a": rows(), "b": rows()}
    shown = {label: {key: row for key, row in found.items() if key in ("p0", "p2")} for label, found in arms.items()}
    part = real_comparisons(shown, [("a", "b")])
    source = ControlSource(arms, ["p1", "p3", "p4", "p5"], None)
    made = control_comparisons(part, "1", source, Design(controls=0.5), load_questions(), random.Random(0))
    assert [control.prompt.prompt_id for control in made] == ["p4"]
