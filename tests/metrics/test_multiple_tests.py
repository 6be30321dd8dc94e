"""Holm's correction against the closed test of Bonferroni."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from imagen_bench.metrics.multiple_tests import holm


@pytest.mark.parametrize("seed", range(5))
def test_holm_is_the_closed_test_of_bonferroni(seed: int) -> None:
    # Marcus, Peritz & Gabriel (1976): p of a hypothesis is the largest Bonferroni p of all sets that hold it.
    p = np.random.default_rng(seed).random(6) ** 2
    sets = [s for size in range(1, 7) for s in itertools.combinations(range(6), size)]
    closed = [max(min(1.0, len(s) * min(p[list(s)])) for s in sets if place in s) for place in range(6)]
    assert holm(p.tolist()) == pytest.approx(closed)


def test_holm_leaves_out_what_was_not_tested() -> None:
    assert holm([0.01, None, 0.04]) == [0.02, None, 0.04]
    assert holm([]) == []
