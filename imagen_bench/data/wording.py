"""English around an emoji's CLDR short name: articles, plurals, number words.

Captions must read as a person would write them ("an octopus", "three pears", "grapes"), because a prompt in
another form than the training captions is a different task.
"""

from __future__ import annotations

NUMBER_WORDS = {1: "one", 2: "two", 3: "three", 4: "four", 5: "five"}

MASS_NOUNS = frozenset(
    [
        "broccoli",
        "bread",
        "fire",
        "popcorn",
        "sushi",
        "garlic",
        "butter",
        "salt",
        "sake",
        "rice",
        "lacrosse",
        "soap",
        "coral",
        "oden",
        "fog",
        "ice",
        "yarn",
        "dango",
        "herb",
        "milk",
        "tennis",
        "badminton",
        "bowling",
        "luggage",
    ]
)
_PLURAL_LABELS = frozenset(
    [
        "grapes",
        "cherries",
        "scissors",
        "beans",
        "blueberries",
        "peanuts",
        "pancakes",
        "maracas",
        "skis",
        "jeans",
        "gloves",
        "socks",
        "shorts",
        "briefs",
        "glasses",
        "sunglasses",
        "goggles",
        "books",
        "chopsticks",
        "bubbles",
        "houses",
        "sparkles",
        "sparkler",
        "bagpipes",
    ]
) - {"sparkler"}
_PLURAL_ENDINGS = (
    "fries",
    "notes",
    "shoes",
    "mugs",
    "glasses",
    "beads",
    "clothes",
    "waves",
    "dolls",
    "knobs",
    "prints",
)
_IRREGULAR = {
    "mouse": "mice", "goose": "geese", "fish": "fish", "ox": "oxen", "sheep": "sheep", "deer": "deer", "bison": "bison",
    "leaf": "leaves", "knife": "knives", "loaf": "loaves", "wolf": "wolves", "calf": "calves", "die": "dice",
    "squid": "squid", "shrimp": "shrimp", "moose": "moose", "radio": "radios", "piano": "pianos", "avocado": "avocados",
    "taco": "tacos", "kangaroo": "kangaroos", "flamingo": "flamingos", "yo-yo": "yo-yos", "burrito": "burritos",
    "volcano": "volcanoes", "tomato": "tomatoes", "potato": "potatoes", "mango": "mangoes",
}  # fmt: skip
_HEAD_ENDS = (" of ", " with ", " on ", " in ", " without ", " behind ")
_VOWEL_SOUND_EXCEPTIONS = ("uni", "one", "eu", "ewe", "ufo")


def is_countable(label: str) -> bool:
    """Whether "three <label>" makes sense: false for mass nouns and for names that are plural already."""
    last = label.split()[-1].lower()
    return not (last in MASS_NOUNS or is_plural(label))


def is_plural(label: str) -> bool:
    """Whether the short name is a plural form ("grapes", "french fries")."""
    last = _head(label)[0].split()[-1].lower()
    return last in _PLURAL_LABELS or last.endswith(_PLURAL_ENDINGS)


def with_article(label: str) -> str:
    """The label as a noun phrase: "a pear", "an octopus", "grapes"."""
    if not is_countable(label):
        return label
    return f"{article(label)} {label}"


def article(word: str) -> str:
    """`a` or `an` by the sound that the word starts with."""
    lowered = word.lower()
    vowel = lowered[0] in "aeiou" and not lowered.startswith(_VOWEL_SOUND_EXCEPTIONS)
    return "an" if vowel else "a"


def plural(label: str) -> str:
    """The plural of a countable short name: "pears", "ears of corn", "maple leaves"."""
    head, rest = _head(label)
    *before, noun = head.split()
    return " ".join([*before, _plural_noun(noun)]) + rest


def count_phrase(count: int, label: str) -> str:
    """`count` in words (1-5) and the label in the right number: "one pear", "four pears"."""
    return f"{NUMBER_WORDS[count]} {label if count == 1 else plural(label)}"


def _head(label: str) -> tuple[str, str]:
    """Splits "ear of corn" into its head "ear" and the rest " of corn"."""
    cuts = [label.index(mark) for mark in _HEAD_ENDS if mark in label]
    cut = min(cuts, default=len(label))
    return label[:cut], label[cut:]


def _plural_noun(noun: str) -> str:
    irregular = _IRREGULAR.get(noun.lower())
    if irregular is not None:
        return irregular
    if noun.endswith(("s", "sh", "ch", "x", "z")):
        return noun + "es"
    if noun.endswith("y") and noun[-2] not in "aeiou":
        return noun[:-1] + "ies"
    return noun + "s"
