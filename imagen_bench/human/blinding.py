"""What raters may not guess: names, sides and order, all drawn from a secret that stays in the private part.

Names made from a plain hash of model and prompt could be guessed by anyone who has the prompts, and sides
drawn from a small seed by anyone who has the program. Both are derived by HMAC-SHA-256 under a secret of 32
random bytes instead: without the secret they tell nothing, with it a study is reproducible to the byte.
"""

from __future__ import annotations

import base64
import hmac
import random
import secrets
from collections.abc import Sequence

SECRET_BYTES = 32


def new_secret() -> bytes:
    """Return a fresh secret of `SECRET_BYTES` random bytes."""
    return secrets.token_bytes(SECRET_BYTES)


class Blinder:
    """Draws names and random numbers from a secret; equal parts give equal results."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def token(self, letter: str, *parts: object, length: int = 16) -> str:
        """Return `letter` followed by `length` (at most 51) lower-case base32 characters.

        The letter keeps spreadsheet programs from reading a name such as 1e5 as a number.
        """
        return letter + base64.b32encode(self._digest(letter, *parts)).decode("ascii").lower()[:length]

    def generator(self, *parts: object) -> random.Random:
        """Return a random generator of its own for `parts`."""
        return random.Random(int.from_bytes(self._digest("random", *parts), "big"))

    def _digest(self, *parts: object) -> bytes:
        # The unit separator keeps ("ab", "c") and ("a", "bc") apart.
        return hmac.digest(self._secret, "\x1f".join(map(str, parts)).encode("utf-8"), "sha256")


def balanced_sides(cells: Sequence[tuple[str, str]], rng: random.Random) -> list[bool]:
    """Draw for each item whether the first arm stands on the left.

    Within each cell, a pair of arms in a category, the first arm is left as often as right; with an odd
    number of items one side gets one more. The odd cells of a pair take turns in this, and so do the pairs,
    so that each pair and the whole sheet are balanced to one item as well.

    Args:
        cells: Pair of arms and category of each item, in the order of the result.
        rng: Source of randomness.
    """
    pairs: dict[str, dict[str, list[int]]] = {}
    for position, (pair, category) in enumerate(cells):
        pairs.setdefault(pair, {}).setdefault(category, []).append(position)
    sides = [False] * len(cells)
    extra = rng.randrange(2)
    for categories in rng.sample(list(pairs.values()), len(pairs)):
        for group in rng.sample(list(categories.values()), len(categories)):
            left = len(group) // 2
            if len(group) % 2:
                left += extra
                extra = 1 - extra
            for position in rng.sample(group, left):
                sides[position] = True
    return sides
