"""open-drawbench: sizes, ground truth that the prompts really state, and no near copies of anything.

Two texts are near copies where their content words overlap by a third or more (Jaccard: common words over all
words). Words are compared in lower case, without a plural s, leaving out the words of `GRAMMAR`.
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from difflib import SequenceMatcher
from functools import cache
from itertools import combinations
from pathlib import Path

import pytest

from imagen_bench.assets import asset
from imagen_bench.data.prompt_check import read_definition
from imagen_bench.data.prompts import Prompt, load_prompt_set

DRAWBENCH = Path(__file__).parents[3] / "shared" / "data" / "prompts" / "drawbench.csv"
SHIPPED = ("emoji-bench",)
NEAR_COPY = 1 / 3
GRAMMAR = set(
    re.findall(
        r"\w+",
        "a an and are as at been by each for from has have her his in into is it its not of on one or other than that "
        "the their them to was which who whose with all no",
    )
)
NUMBERS = {
    "0": "no", "1": "one|single|alone|an?", "2": "two|pair", "3": "three", "4": "four", "5": "five", "6": "six",
    "7": "seven", "8": "eight", "9": "nine", "10": "ten", "11": "eleven", "12": "twelve", "13": "thirteen",
    "15": "fifteen",
}  # fmt: skip
PLURALS = {"leaf": "leaves", "calf": "calves", "loaf": "loaves", "person": "people", "sheep": "sheep"}
RELATIONS = {
    "left of": r"left",
    "right of": r"right",
    "above": r"above",
    "below": r"below|under|beneath|hanging from",
    "on top of": r"on top|on the roof|on its nose|perched on",
    "in front of": r"in front of",
    "behind": r"behind",
    "between": r"between",
    "inside": r"inside|at the bottom of|in its|swallowed",
}
COLUMNS = {
    *(f"{name}{which}" for name in ("concept", "color", "count") for which in ("", "_b", "_c")),
    "relation", "text", "intended", "note",
}  # fmt: skip
# Their ground truth is what the prompt leads to, not what it says.
UNSAID = {"Descriptions", "Rare Words", "Reasoning"}
ROWS = load_prompt_set("open-drawbench").rows


def rows_of(category: str) -> list[Prompt]:
    return [row for row in ROWS if row.category == category]


@cache
def content_words(text: str) -> frozenset[str]:
    words = set(re.findall(r"[^\W_]+", text.casefold())) - GRAMMAR
    return frozenset(re.sub(r"(?<=\w{3})(?<!s)s$", "", word) for word in words)


def overlap(one: str, other: str) -> float:
    first, second = content_words(one), content_words(other)
    return len(first & second) / max(1, len(first | second))


def says(text: str, phrase: str) -> bool:
    """Whether a text holds a phrase, its last word in the singular or the plural, whatever the letter case."""
    *_, last = phrase.split()
    plurals = {PLURALS.get(last, ""), f"{last}s", f"{last}es", re.sub("y$", "ies", last)} - {""}
    forms = "|".join(map(re.escape, [last, *plurals]))
    return re.search(rf"\b{re.escape(phrase.removesuffix(last))}({forms})\b", text, re.IGNORECASE) is not None


def test_sizes_are_those_of_drawbench() -> None:
    definition, _ = read_definition(asset("drawbench/drawbench"))
    assert list(load_prompt_set("open-drawbench").categories().values()) == list(definition.categories.values())
    assert len(ROWS) == 200


def test_ids_say_the_category_and_count_on() -> None:
    for category in {row.category for row in ROWS}:
        slug = category.lower().replace(" ", "-")
        assert [row.prompt_id for row in rows_of(category)] == [
            f"{slug}-{number:02d}" for number in range(1, len(rows_of(category)) + 1)
        ]


def test_columns_are_the_documented_ones() -> None:
    with (asset("drawbench/open-drawbench") / "prompts.csv").open(encoding="utf-8", newline="") as stream:
        header = next(csv.reader(stream))
    assert set(header) == COLUMNS | {"prompt_id", "prompt", "category"}
    readme = (asset("drawbench/open-drawbench") / "README.md").read_text(encoding="utf-8")
    assert [name for name in header if f"`{name}`" not in readme] == []
    assert {key for row in ROWS for key in row.meta} == COLUMNS


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.prompt_id)
def test_texts_are_tidy(row: Prompt) -> None:
    assert re.fullmatch(r"\S+( \S+)*\.", row.prompt)
    assert not set("‘’“”…") & set(row.prompt)


@pytest.mark.parametrize(
    "row", [row for row in ROWS if row.category not in UNSAID and row.meta], ids=lambda row: row.prompt_id
)
def test_the_prompt_states_its_ground_truth(row: Prompt) -> None:
    for which in ("", "_b", "_c"):
        concept, color, count = (row.meta.get(f"{name}{which}") for name in ("concept", "color", "count"))
        assert concept is None or says(row.prompt, concept)
        assert all(re.search(rf"\b{part}\b", row.prompt, re.IGNORECASE) for part in (color or "").split(" and "))
        assert count is None or re.search(rf"\b({NUMBERS[count]})\b", row.prompt, re.IGNORECASE)
        assert concept or row.category == "Text" or not (color or count)


@pytest.mark.parametrize("row", [row for row in ROWS if "relation" in row.meta], ids=lambda row: row.prompt_id)
def test_relations_join_two_things_and_are_worded(row: Prompt) -> None:
    assert re.search(RELATIONS[row.meta["relation"]], row.prompt)
    assert {"concept", "concept_b"} <= set(row.meta) or " / " in row.meta["text"]


def test_colours_are_each_bound_to_a_thing() -> None:
    assert all({"concept", "color"} <= set(row.meta) for row in rows_of("Colors"))


def test_counts_are_given_and_varied() -> None:
    counts = Counter(row.meta["count"] for row in rows_of("Counting"))
    assert set(map(str, range(2, 14))) <= set(counts)
    assert max(counts.values()) <= 3


def test_positions_are_balanced() -> None:
    relations = Counter(row.meta["relation"] for row in rows_of("Positional"))
    assert relations["left of"] == relations["right of"] == 4
    assert sum(relations[name] for name in ("below", "above", "on top of")) == 8


@pytest.mark.parametrize("row", rows_of("Descriptions"), ids=lambda row: row.prompt_id)
def test_a_description_never_names_its_thing(row: Prompt) -> None:
    assert not any(says(row.prompt, word) for word in row.meta["concept"].split())


@pytest.mark.parametrize("row", rows_of("Rare Words"), ids=lambda row: row.prompt_id)
def test_a_rare_word_stands_alone_and_is_explained(row: Prompt) -> None:
    assert re.fullmatch(r"[A-Z][a-z]+\.", row.prompt)
    assert row.meta["concept"]
    assert row.meta["note"]


def test_what_has_to_be_reasoned_out_is_noted() -> None:
    assert all(row.meta.get("note") for row in rows_of("Reasoning"))


def test_misspellings_are_close_to_what_is_meant() -> None:
    rows = rows_of("Misspellings")
    for row in rows:
        meant, written = row.meta["intended"].split(), row.prompt.split()
        assert len(meant) == len(written)
        slips = sum(one != other for one, other in zip(meant, written, strict=True))
        assert slips >= max(2, len(meant) / 3)
        assert SequenceMatcher(None, row.meta["intended"], row.prompt).ratio() > 0.75
    assert sum(len(row.prompt.split()) <= 5 for row in rows) == 5
    assert sum(len(row.prompt.split()) >= 14 for row in rows) == 5


def test_quoted_text_is_the_text_to_write_and_only_there() -> None:
    for row in ROWS:
        assert " / ".join(re.findall(r'"([^"]+)"', row.prompt)) == row.meta.get("text", "")
        assert ("text" in row.meta) == (row.category == "Text")


def test_no_two_prompts_are_near_copies() -> None:
    near = [(a.prompt_id, b.prompt_id) for a, b in combinations(ROWS, 2) if overlap(a.prompt, b.prompt) >= NEAR_COPY]
    assert near == []


def test_no_template_is_filled_with_changing_nouns() -> None:
    """What is left when the content words are taken out differs, as soon as it is long enough to tell."""
    frames = Counter(
        re.sub(r"\w+", lambda word: word[0] if word[0].casefold() in GRAMMAR else "_", row.prompt).casefold()
        for row in ROWS
        if len(row.prompt.split()) >= 9
    )
    assert [frame for frame, count in frames.items() if count > 1] == []


def test_overlap_finds_a_near_copy_and_passes_a_different_prompt() -> None:
    assert overlap("A red cube on a blue sphere.", "a blue cube on a red sphere") == 1
    assert overlap("Two cats on the grass.", "Three cats on the grass.") == pytest.approx(1 / 2)
    assert overlap("A nail driving a hammer into a plank.", "A horse riding an astronaut.") == 0


@pytest.mark.parametrize("name", SHIPPED)
def test_no_prompt_is_one_of_our_other_sets(name: str) -> None:
    others = {row.prompt.casefold() for row in load_prompt_set(name).rows}
    assert not others & {row.prompt.casefold().rstrip(".") for row in ROWS}


@pytest.mark.skipif(not DRAWBENCH.is_file(), reason="needs a copy of DrawBench")
def test_no_prompt_is_near_one_of_drawbench() -> None:
    theirs = [row.prompt for row in load_prompt_set(str(DRAWBENCH)).rows]
    assert len(theirs) == 200
    near = [(row.prompt_id, text) for row in ROWS for text in theirs if overlap(row.prompt, text) >= NEAR_COPY]
    assert near == []
