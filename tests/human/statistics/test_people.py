"""The word list of people, as whole words."""

from __future__ import annotations

import pytest

from imagen_bench.human.statistics.people import mentions_people


@pytest.mark.parametrize("prompt", ["A man on a horse", "two WOMEN.", "a baseball player swings", "someone's hat"])
def test_people(prompt: str) -> None:
    assert mentions_people(prompt)


@pytest.mark.parametrize("prompt", ["A mango", "a human-like robot", "the adulthood of bees", "kids and children", ""])
def test_not_on_the_list(prompt: str) -> None:
    assert not mentions_people(prompt)
