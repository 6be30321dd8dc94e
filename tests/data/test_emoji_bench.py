"""emoji-bench: counts, wording, and ground truth that agrees with the text of each prompt."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from imagen_bench.assets import asset
from imagen_bench.data.emoji_world import WorldConfig
from imagen_bench.data.prompts import Prompt, load_prompt_set
from imagen_bench.data.wording import count_phrase, with_article

CONCEPT_LIST = """
    monkey face, dog face, wolf, fox, raccoon, cat face, lion, tiger face, horse face, unicorn, cow face,
    pig face, mouse face, hamster, rabbit face, bear, polar bear, koala, panda, frog, elephant, chicken,
    baby chick, penguin, owl, duck, flamingo, parrot, crocodile, turtle, snake, spouting whale, dolphin,
    tropical fish, blowfish, shark, octopus, crab, snail, butterfly, lady beetle, honeybee, spider, cherry
    blossom, rose, hibiscus, sunflower, tulip, potted plant, evergreen tree, deciduous tree, palm tree,
    cactus, four leaf clover, maple leaf, mushroom, grapes, melon, watermelon, tangerine, lemon, banana,
    pineapple, red apple, green apple, pear, peach, cherries, strawberry, kiwi fruit, tomato, coconut,
    avocado, eggplant, carrot, ear of corn, bell pepper, cucumber, broccoli, onion, bread, croissant,
    pretzel, cheese wedge, hamburger, french fries, pizza, hot dog, taco, popcorn, sushi, soft ice cream,
    ice cream, doughnut, cookie, birthday cake, cupcake, pie, candy, lollipop, hot beverage, wine glass,
    cocktail glass, tropical drink, beer mug, bubble tea, house, castle, tent, bus, fire engine, police car,
    automobile, tractor, racing car, bicycle, locomotive, sailboat, airplane, helicopter, rocket, flying
    saucer, alarm clock, crescent moon, full moon, sun, ringed planet, star, cloud, rainbow, umbrella, high
    voltage, snowflake, snowman, fire, droplet, volcano, jack-o-lantern, Christmas tree, balloon, wrapped
    gift, trophy, soccer ball, baseball, basketball, volleyball, bullseye, game die, crown, guitar, drum,
    violin, bell, camera, television, light bulb, candle, closed book, key, locked, hammer, scissors,
    pencil, envelope, mobile phone, gem stone, top hat, t-shirt, anchor, magnet
"""
CONCEPTS = {" ".join(name.split()) for name in CONCEPT_LIST.split(",")}
NO_ARTICLE = {"grapes", "cherries", "french fries", "popcorn", "sushi", "broccoli", "bread", "fire"}
AWKWARD = {"locked", "high voltage", "fire", "bread"}
AN = {
    "octopus", "umbrella", "owl", "elephant", "alarm clock", "airplane", "automobile", "anchor", "envelope",
    "eggplant", "onion", "avocado", "ice cream", "ear of corn", "evergreen tree", "orange",
}  # fmt: skip
PLURALS = {
    "fox": "foxes", "carrot": "carrots", "balloon": "balloons", "tropical fish": "tropical fish",
    "pear": "pears", "pig face": "pig faces", "cookie": "cookies", "bicycle": "bicycles",
    "panda": "pandas", "tomato": "tomatoes", "soccer ball": "soccer balls", "evergreen tree": "evergreen trees",
    "star": "stars", "mushroom": "mushrooms", "lollipop": "lollipops", "light bulb": "light bulbs",
}  # fmt: skip
COLOURS = {"red", "orange", "yellow", "green", "blue", "purple", "pink", "brown"}
BACKGROUNDS = COLOURS | {"grey", "black"}
WORDS = ["one", "two", "three", "four", "five"]
ROWS = load_prompt_set("emoji-bench").rows


def rows_of(category: str) -> list[Prompt]:
    return [row for row in ROWS if row.category == category]


def phrase(noun: str) -> str:
    """The noun as the training captions write it, by lists of this test alone."""
    if noun in NO_ARTICLE:
        return noun
    return f"{'an' if noun in AN else 'a'} {noun}"


def test_counts_per_category() -> None:
    assert Counter(row.category for row in ROWS) == {
        "single": 30,
        "colours": 20,
        "counting": 20,
        "positions": 20,
        "backgrounds": 15,
        "unusual pairs": 15,
    }


def test_ids_and_texts_are_unique_and_ids_say_the_category() -> None:
    assert len({row.prompt_id for row in ROWS}) == len({row.prompt for row in ROWS}) == 120
    for category in {row.category for row in ROWS}:
        stem = category.replace(" ", "-")
        expected = [f"{stem}-{number:02d}" for number in range(1, len(rows_of(category)) + 1)]
        assert [row.prompt_id for row in rows_of(category)] == expected


def test_concepts_are_known_distinct_and_spread() -> None:
    used = Counter(row.meta[key] for row in ROWS for key in ("concept", "concept_b") if key in row.meta)
    assert set(used) <= CONCEPTS
    assert max(used.values()) <= 4
    assert set(used) == set(WorldConfig.read(asset("models/imagen-emoji/world.toml")).concepts)
    composed = {
        row.meta[key]
        for row in ROWS
        for key in ("concept", "concept_b")
        if row.category != "single" and key in row.meta
    }
    assert not composed & (NO_ARTICLE | AWKWARD | {"scissors"})


def test_texts_are_plain_phrases() -> None:
    assert all(re.fullmatch(r"[A-Za-z][A-Za-z -]*[a-z]", row.prompt) for row in ROWS)


def test_single() -> None:
    for row in rows_of("single"):
        assert row.meta == {"concept": row.meta["concept"], "count": "1"}
        assert row.prompt == phrase(row.meta["concept"]) == with_article(row.meta["concept"])


def test_colours() -> None:
    rows = rows_of("colours")
    for row in rows:
        color, concept = row.meta["color"], row.meta["concept"]
        article = "an" if color == "orange" else "a"
        assert row.prompt == f"{article} {color} {concept}"
        assert not set(concept.split()) & COLOURS
    assert set(Counter(row.meta["color"] for row in rows)) == COLOURS
    assert set(Counter(row.meta["color"] for row in rows).values()) <= {2, 3}


def test_counting() -> None:
    rows = rows_of("counting")
    assert Counter(row.meta["count"] for row in rows) == dict.fromkeys("12345", 4)
    for row in rows:
        number, concept = int(row.meta["count"]), row.meta["concept"]
        word = WORDS[number - 1]
        assert row.prompt == f"{word} {concept if number == 1 else PLURALS[concept]}"
        assert row.prompt == count_phrase(number, concept)


def test_positions() -> None:
    rows = rows_of("positions")
    assert Counter(row.meta["relation"] for row in rows) == {
        "above": 5,
        "below": 5,
        "left of": 5,
        "right of": 5,
    }
    for row in rows:
        relation = row.meta["relation"]
        words = relation if relation in ("above", "below") else f"to the {relation}"
        assert row.prompt == f"{phrase(row.meta['concept'])} {words} {phrase(row.meta['concept_b'])}"


def test_backgrounds() -> None:
    rows = rows_of("backgrounds")
    for row in rows:
        background = row.meta["background"]
        assert row.prompt == f"{phrase(row.meta['concept'])} on {phrase(background)} background"
    assert {row.meta["background"] for row in rows} == BACKGROUNDS


def test_unusual_pairs() -> None:
    for row in rows_of("unusual pairs"):
        assert row.meta["relation"] == "and"
        assert row.prompt == f"{phrase(row.meta['concept'])} and {phrase(row.meta['concept_b'])}"


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.prompt_id)
def test_the_text_alone_gives_the_ground_truth(row: Prompt) -> None:
    """A parser that knows the wording and not the category finds the same relation, colour and count."""
    text = row.prompt
    relation = re.search(r" (above|below|to the (?:left|right) of|and) an? ", text)
    assert (relation.group(1).removeprefix("to the ") if relation else None) == row.meta.get("relation")
    background = re.search(r" on an? (\w+) background$", text)
    assert (background.group(1) if background else None) == row.meta.get("background")
    color = re.match(rf"an? ({'|'.join(COLOURS)}) (?!apple)", text)
    assert (color.group(1) if color else None) == row.meta.get("color")
    first = text.split()[0]
    if not relation:
        assert row.meta["count"] == str(WORDS.index(first) + 1 if first in WORDS else 1)
