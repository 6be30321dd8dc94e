"""Names and sides drawn from a secret: independent of each other, reproducible, exactly balanced."""

from __future__ import annotations

import base64
import hashlib
import hmac
import random
import re
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from imagen_bench.human.blinding import SECRET_BYTES, Blinder, balanced_sides, new_secret


def test_a_token_is_the_letter_and_the_base32_of_an_hmac_under_the_secret() -> None:
    secret = bytes(range(32))
    digest = hmac.new(secret, b"m\x1fmodel\x1fp0001", hashlib.sha256).digest()
    expected = "m" + base64.b32encode(digest).decode().lower()[:16]
    assert Blinder(secret).token("m", "model", "p0001") == expected


def test_tokens_differ_by_secret_and_by_part() -> None:
    one, other = Blinder(new_secret()), Blinder(new_secret())
    tokens = {blinder.token("m", *parts) for blinder in (one, other) for parts in (("ab", "c"), ("a", "bc"))}
    assert len(tokens) == 4
    assert all(re.fullmatch(r"m[a-z2-7]{16}", token) for token in tokens)


def test_generators_repeat_under_the_same_secret_only() -> None:
    secret = new_secret()
    assert len(secret) == SECRET_BYTES
    draws = [Blinder(key).generator("sheet", "S01", 0).random() for key in (secret, secret, new_secret())]
    assert draws[0] == draws[1] != draws[2]


@given(st.lists(st.tuples(st.sampled_from("xyz"), st.sampled_from("abcd")), max_size=40), st.integers(0, 2**32))
def test_sides_are_balanced_in_every_cell_every_pair_and_in_all(cells: list[tuple[str, str]], seed: int) -> None:
    sides = balanced_sides(cells, random.Random(seed))
    left = [cell for cell, side in zip(cells, sides, strict=True) if side]
    for cell, size in Counter(cells).items():
        assert abs(2 * left.count(cell) - size) <= 1
    for pair, size in Counter(pair for pair, _ in cells).items():
        assert abs(2 * sum(cell[0] == pair for cell in left) - size) <= 1
    assert abs(2 * sum(sides) - len(sides)) <= 1


def test_each_item_is_left_half_of_the_time() -> None:
    cells = [("x", category) for category in "aaabb"]
    drawn = [balanced_sides(cells, random.Random(seed)) for seed in range(2000)]
    shares = [sum(sides[position] for sides in drawn) / len(drawn) for position in range(len(cells))]
    # Five standard errors of a share of one half over 2,000 draws.
    assert all(abs(share - 0.5) < 5 * 0.5 / 2000**0.5 for share in shares)
