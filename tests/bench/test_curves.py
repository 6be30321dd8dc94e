"""Curves against numpy's interpolation, areas against geometry, and the best set by simulation."""

from __future__ import annotations

import numpy as np
import pytest

from imagen_bench.bench.best_weights import best_set, best_shares
from imagen_bench.bench.curves import common_range, curve_at, mean_gap
from imagen_bench.bench.joint_scores import JointScores, joint_jackknife
from imagen_bench.bench.run_scores import SampleMean


def test_a_rising_curve_is_numpys_interpolation() -> None:
    rng = np.random.default_rng(0)
    x, y = np.sort(rng.random(7)), rng.random(7)
    at = np.linspace(x[0], x[-1], 50)
    assert curve_at(x, y, at, higher_is_better=False) == pytest.approx(np.interp(at, x, y))


def test_a_curve_that_turns_back_gives_its_best_crossing() -> None:
    # CLIP score rises, then falls again while FD only grows: the first passage has the lower FD.
    x, y = [0.2, 0.3, 0.2], [10.0, 12.0, 30.0]
    assert curve_at(x, y, [0.25], higher_is_better=False).tolist() == [11.0]
    assert curve_at(x, y, [0.25], higher_is_better=True).tolist() == [21.0]
    assert curve_at(x, y, [0.2, 0.3], higher_is_better=False).tolist() == [10.0, 12.0]


def test_beyond_its_ends_a_curve_is_nowhere() -> None:
    assert np.isnan(curve_at([0.2, 0.3], [1.0, 2.0], [0.19, 0.31], higher_is_better=False)).all()
    assert curve_at([0.2], [1.0], [0.2], higher_is_better=False).tolist() == [1.0]
    assert curve_at([0.2, 0.2], [1.0, 3.0], [0.2], higher_is_better=False).tolist() == [1.0]


def test_area_between_lines_is_a_trapezoid() -> None:
    # y = x and y = 2 x + 1 between 1 and 3: the gap x + 1 is 3 on average, the area 6.
    gap, area = mean_gap([0.0, 3.0], [0.0, 3.0], [1.0, 4.0], [3.0, 9.0], higher_is_better=False)
    assert (gap, area) == pytest.approx((3.0, 6.0))
    back, _ = mean_gap([1.0, 4.0], [3.0, 9.0], [0.0, 3.0], [0.0, 3.0], higher_is_better=False)
    assert back == pytest.approx(-3.0)


def test_curves_apart_have_no_gap() -> None:
    assert common_range([0.0, 1.0], [1.0, 2.0]) is None
    assert np.isnan(mean_gap([0.0, 1.0], [0.0, 1.0], [2.0, 3.0], [0.0, 1.0], higher_is_better=False)).all()


def test_best_shares_count_wins() -> None:
    draws = np.array([[1.0, 2.0, 3.0], [2.0, 1.0, 3.0], [3.0, 2.0, 1.0], [1.0, 2.0, 2.5]])
    assert best_shares(draws, higher_is_better=False).tolist() == [0.5, 0.25, 0.25]
    assert best_shares(draws, higher_is_better=True).tolist() == [0.25, 0.0, 0.75]


def test_best_set_holds_the_best_with_its_confidence() -> None:
    rng, trials, held, sizes = np.random.default_rng(1), 100, 0, []
    truth = np.array([1.0, 1.05, 1.1, 3.0])
    for _ in range(trials):
        values = truth[:, None] + rng.normal(0, 1, 30) + rng.normal(0, 0.5, (4, 30))
        part = joint_jackknife([lambda row=row: SampleMean(row) for row in values], [f"{n:02d}" for n in range(30)])
        assert part is not None
        scores = JointScores((part,), np.arange(4))
        kept = best_set(scores, [0, 1, 2, 3], scores.draws(500), higher_is_better=False)
        held, sizes = held + (0 in kept), [*sizes, len(kept)]
        assert kept
        assert 3 not in kept
    # At 95 %, at least 89 of 100 with 99 %.
    assert held >= 89
    assert np.mean(sizes) < 3


def test_equal_scores_all_stay() -> None:
    part = joint_jackknife([lambda: SampleMean(np.arange(10.0))] * 2, [str(n) for n in range(10)])
    assert part is not None
    scores = JointScores((part,), np.arange(2))
    assert best_set(scores, [0, 1], scores.draws(500), higher_is_better=True) == [0, 1]
