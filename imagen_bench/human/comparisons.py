"""What is shown together, before sides and names are drawn: real comparisons, their parts, and the order of a sheet."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from imagen_bench.human.arms import ArmSamples, PromptSamples
from imagen_bench.human.design import Design, Pair

T = TypeVar("T")


@dataclass(frozen=True)
class Shown:
    """What one picture shows: samples of an arm, as they are or made worse on purpose."""

    label: str
    row: PromptSamples
    degraded: bool = False


@dataclass(frozen=True)
class Comparison:
    """One or two pictures and the prompt that they are judged by.

    Attributes:
        key: Tells it from all others of the study; blind names are drawn from it.
        prompt: The prompt, which in a control is not that of every picture.
        first: One picture; in a control of two pictures, the one that is right.
        second: The other; None where pictures are shown alone.
        kind: "real" or "control".
        control_question: Question of a control whose answer is known.
        expected: Its answer in a one-picture control.
    """

    key: tuple[str, ...]
    prompt: PromptSamples
    first: Shown
    second: Shown | None = None
    kind: str = "real"
    control_question: str = ""
    expected: str = ""

    @property
    def cell(self) -> tuple[str, str]:
        """The pair of arms and the category within which sides are balanced."""
        other = self.second.label if self.second else ""
        return f"{self.first.label}\x1f{other}\x1f{self.control_question}", self.prompt.category


def real_comparisons(arms: Mapping[str, ArmSamples], pairs: Sequence[Pair]) -> list[Comparison]:
    """Return a comparison of every pair for every prompt, pair by pair, in the order of the prompts."""
    return [
        Comparison(
            ("real", first, second or "", prompt_id),
            row,
            Shown(first, row),
            Shown(second, arms[second][prompt_id]) if second is not None else None,
        )
        for first, second in pairs
        for prompt_id, row in arms[first].items()
    ]


def split_parts(comparisons: Sequence[Comparison], design: Design, rng: random.Random) -> list[list[Comparison]]:
    """Divide a study into parts that are rated by different people.

    Returns:
        One part a category; or parts of at most `items_per_sheet` comparisons, among which every pair in
        every category is spread evenly; or everything as one part.
    """
    cells: dict[tuple[str, ...], list[Comparison]] = {}
    for comparison in comparisons:
        cell = (comparison.prompt.category,) if design.by_category else comparison.cell
        cells.setdefault(cell, []).append(comparison)
    if design.by_category:
        return list(cells.values())
    count = -(-len(comparisons) // (design.items_per_sheet or len(comparisons)))
    if count == 1:
        return [list(comparisons)]
    parts: list[list[Comparison]] = [[] for _ in range(count)]
    dealt = 0
    for cell_members in cells.values():
        for comparison in rng.sample(cell_members, len(cell_members)):
            parts[dealt % count].append(comparison)
            dealt += 1
    return parts


def in_rounds(comparisons: Sequence[Comparison], rng: random.Random) -> list[Comparison]:
    """Shuffle comparisons in rounds, each of which shows a prompt at most once, so that a prompt's come far apart."""
    by_prompt: dict[str, list[Comparison]] = {}
    for comparison in rng.sample(comparisons, len(comparisons)):
        by_prompt.setdefault(comparison.prompt.prompt_id, []).append(comparison)
    ordered: list[Comparison] = []
    for turn in range(max(map(len, by_prompt.values()))):
        members = [group[turn] for group in by_prompt.values() if turn < len(group)]
        ordered.extend(rng.sample(members, len(members)))
    return ordered


def mix_in(sequence: Sequence[T], others: Sequence[T], rng: random.Random) -> list[T]:
    """Put `others` at random places of a sequence; the order of the sequence stays."""
    places = set(rng.sample(range(len(sequence) + len(others)), len(others)))
    rest, inserted = iter(sequence), iter(others)
    return [next(inserted) if place in places else next(rest) for place in range(len(sequence) + len(others))]


def with_repeats(sequence: Sequence[T], count: int, rng: random.Random) -> list[tuple[T, bool]]:
    """Show some items again: what comes in the first third of a sequence, in its last third.

    Args:
        sequence: Items in order.
        count: How many to repeat; fewer where the first third holds fewer.
        rng: Source of randomness.

    Returns:
        The items in order, each with whether it is the repeat.
    """
    possible = max(number for number in range(count + 1) if (len(sequence) + number) // 3 >= number)
    total = len(sequence) + possible
    sources = rng.sample(sequence[: total // 3], possible)
    places = dict(zip(rng.sample(range(-(-2 * total // 3), total), possible), sources, strict=True))
    rest = iter(sequence)
    return [(places[place], True) if place in places else (next(rest), False) for place in range(total)]
