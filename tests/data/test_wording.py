from __future__ import annotations

import pytest

from imagen_bench.data.wording import count_phrase, is_countable, plural, with_article


@pytest.mark.parametrize(
    ("label", "expected"),
    [
        ("pear", "pears"), ("ear of corn", "ears of corn"), ("maple leaf", "maple leaves"), ("cactus", "cactuses"),
        ("strawberry", "strawberries"), ("game die", "game dice"), ("mouse face", "mouse faces"), ("wolf", "wolves"),
        ("toothbrush", "toothbrushes"), ("key", "keys"), ("bowl with spoon", "bowls with spoon"), ("fox", "foxes"),
        ("tomato", "tomatoes"), ("tropical fish", "tropical fish"), ("octopus", "octopuses"), ("bus", "buses"),
    ],
)  # fmt: skip
def test_plurals(label, expected):
    assert plural(label) == expected


@pytest.mark.parametrize(
    ("label", "expected"),
    [
        ("octopus", "an octopus"), ("pear", "a pear"), ("unicorn", "a unicorn"), ("ear of corn", "an ear of corn"),
        ("grapes", "grapes"), ("french fries", "french fries"), ("broccoli", "broccoli"), ("ice cream", "an ice cream"),
        ("ewe", "a ewe"), ("umbrella", "an umbrella"), ("scissors", "scissors"),
    ],
)  # fmt: skip
def test_articles(label, expected):
    assert with_article(label) == expected


def test_counting_phrases():
    assert [count_phrase(count, "pear") for count in range(1, 6)] == [
        "one pear", "two pears", "three pears", "four pears", "five pears",
    ]  # fmt: skip
    assert not is_countable("cherries")
    assert not is_countable("sushi")
    assert is_countable("bus")
