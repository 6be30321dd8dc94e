"""Which words count as which answer: the sheet's own words, the labels and keys of the page, and synonyms."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping

# Added to an answer's own value, label and key, and only where they name no other answer of the question.
_SYNONYMS = {
    "left": (
        "l", "a", "1", "prefer left", "prefer the left", "i prefer left", "left set", "left image",
        "prefer a", "i prefer a", "set a", "image a",
    ),
    "right": (
        "r", "b", "2", "prefer right", "prefer the right", "i prefer right", "right set", "right image",
        "prefer b", "i prefer b", "set b", "image b",
    ),
    "tie": ("0", "indifferent", "i am indifferent", "no preference", "equal", "same", "tied", "draw"),
    "unable": (
        "u", "cannot judge", "can not judge", "can't judge", "i cannot judge", "i can't judge", "unable to judge",
        "unable to answer",
    ),
    "yes": ("y",),
    "somewhat": ("s", "partly", "partially"),
    "no": ("n",),
}  # fmt: skip
_INVISIBLE = re.compile(r"[\u200b-\u200f\u2060\ufeff]")
_WHOLE_NUMBER = re.compile(r"(\d+)[.,]0+")


def plain_word(text: str) -> str:
    """Return an answer in the form in which words are compared.

    Blanks around and within it, case, a spreadsheet's leading apostrophe, quotation marks around it, a full
    stop after it, and the decimals that a spreadsheet gave a whole number do not count.
    """
    text = _INVISIBLE.sub("", unicodedata.normalize("NFKC", text)).replace("’", "'")
    text = " ".join(text.split()).strip("'\"“”„. ").casefold()
    number = _WHOLE_NUMBER.fullmatch(text)
    return number[1] if number else text


def answer_words(answers: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """Return the answer's value for each plain word that raters may write.

    Args:
        answers: value, label and key of each answer of a question.
    """
    known = list(answers)
    words: dict[str, str] = {}
    for field in ("value", "label", "key"):
        for answer in known:
            if answer.get(field):
                words.setdefault(plain_word(str(answer[field])), str(answer["value"]))
    for answer in known:
        for word in _SYNONYMS.get(str(answer["value"]), ()):
            words.setdefault(plain_word(word), str(answer["value"]))
    return words
