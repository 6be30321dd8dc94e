"""Parts, order and repeats, checked on made-up comparisons."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagen_bench.human.arms import PromptSamples
from imagen_bench.human.comparisons import (
    Comparison,
    in_rounds,
    mix_in,
    real_comparisons,
    split_parts,
    with_repeats,
)
from imagen_bench.human.design import Design, Pair

PAIRS: list[Pair] = [("a", "b"), ("a", "c"), ("b", "c")]


def comparisons(prompts: int = 12, categories: str = "uv", pairs: list[Pair] = PAIRS) -> list[Comparison]:
    rows = {f"p{n}": PromptSamples(f"p{n}", f"text {n}", categories[n % len(categories)], ()) for n in range(prompts)}
    return real_comparisons(dict.fromkeys("abc", rows), pairs)


def test_every_pair_meets_on_every_prompt() -> None:
    made = comparisons()
    assert len({comparison.key for comparison in made}) == len(made) == 36
    assert Counter(comparison.cell for comparison in made) == {
        (f"{one}\x1f{other}\x1f", category): 6 for one, other in PAIRS for category in "uv"
    }
    alone = comparisons(pairs=[("a", None)])
    assert [comparison.second for comparison in alone] == [None] * 12


def test_parts_by_size_hold_an_even_share_of_every_cell() -> None:
    made = comparisons(prompts=20)
    parts = split_parts(made, Design(items_per_sheet=17), random.Random(0))
    assert [len(part) for part in parts] == [15, 15, 15, 15]
    assert sorted(comparison.key for part in parts for comparison in part) == sorted(item.key for item in made)
    for cell in {comparison.cell for comparison in made}:
        counts = [sum(comparison.cell == cell for comparison in part) for part in parts]
        assert max(counts) - min(counts) <= 1


def test_parts_by_category_and_one_part() -> None:
    made = comparisons()
    parts = split_parts(made, Design(by_category=True), random.Random(0))
    assert [{comparison.prompt.category for comparison in part} for part in parts] == [{"u"}, {"v"}]
    assert split_parts(made, Design(), random.Random(0)) == [made]


def test_a_prompt_of_several_pairs_comes_once_a_round() -> None:
    ordered = in_rounds(comparisons(), random.Random(3))
    rounds = [ordered[start : start + 12] for start in (0, 12, 24)]
    assert [len({item.prompt.prompt_id for item in part}) for part in rounds] == [12, 12, 12]
    assert all(len({item.cell[0] for item in part}) > 1 for part in rounds)


def test_what_is_mixed_in_comes_anywhere() -> None:
    places = Counter(mix_in([0] * 9, [1], random.Random(seed)).index(1) for seed in range(1000))
    # Ten places, 100 expected in each; five standard deviations of the count.
    assert len(places) == 10
    assert all(abs(count - 100) < 5 * 90**0.5 for count in places.values())


@given(st.integers(1, 60), st.integers(0, 20), st.integers(0, 99))
def test_repeats_come_a_third_of_the_sheet_later(size: int, count: int, seed: int) -> None:
    placed = with_repeats(list(range(size)), count, random.Random(seed))
    assert [item for item, again in placed if not again] == list(range(size))
    first = {item: place for place, (item, again) in enumerate(placed) if not again}
    repeats = {item: place for place, (item, again) in enumerate(placed) if again}
    assert len(placed) == size + len(repeats)
    for item, place in repeats.items():
        assert place - first[item] >= len(placed) / 3


@pytest.mark.parametrize(("items", "asked", "expected"), [(30, 3, 3), (30, 15, 15), (5, 1, 1), (2, 1, 1), (1, 1, 0)])
def test_as_many_repeats_as_asked_where_there_is_room(items: int, asked: int, expected: int) -> None:
    placed = with_repeats(list(range(items)), asked, random.Random(0))
    assert sum(again for _, again in placed) == expected
