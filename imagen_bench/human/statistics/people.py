"""Which prompts speak of people, by the word list of Imagen's COCO study (arXiv 2205.11487, table 2).

The paper removes a prompt if it holds any of the words. Its "(sport) player" is taken as the word "player"
alone; plurals and other words ("children", "kid", "players") are not on the list and do not count.
"""

from __future__ import annotations

import re

PEOPLE_WORDS = (
    "man", "men", "woman", "women", "person", "people", "child", "adult", "adults", "boy", "boys", "girl", "girls",
    "guy", "lady", "ladies", "someone", "toddler", "player", "workers", "spectators",
)  # fmt: skip
_PEOPLE = re.compile(rf"\b(?:{'|'.join(PEOPLE_WORDS)})\b", re.IGNORECASE)


def mentions_people(prompt: str) -> bool:
    """Return whether a prompt holds a whole word of `PEOPLE_WORDS`, in any case."""
    return _PEOPLE.search(prompt) is not None
