"""Strengths against choix and evalica, connectivity, and intervals."""

from __future__ import annotations

import choix
import evalica
import numpy as np
import pytest

from imagen_bench.human.statistics.bradley_terry import bootstrap_strengths, fit_strengths, unconnected_groups

WINS = np.array([[0, 14, 21.5, 30], [9, 0, 12, 18.5], [6.5, 10, 0, 11], [3, 7.5, 12, 0]])


def test_two_arms_have_the_log_odds() -> None:
    theta = fit_strengths(np.array([[0.0, 30.0], [10.0, 0.0]]), ridge=1e-9)
    assert theta[0] - theta[1] == pytest.approx(np.log(3), abs=1e-8)


def test_against_choix() -> None:
    expected = choix.ilsr_pairwise_dense(WINS, max_iter=1000, tol=1e-12)
    assert fit_strengths(WINS, ridge=1e-10) == pytest.approx(expected - expected.mean(), abs=1e-6)


def test_ties_as_half_wins_against_evalica() -> None:
    rng = np.random.default_rng(0)
    names, wins = list("abcd"), np.zeros((4, 4))
    xs, ys, winners = [], [], []
    for _ in range(400):
        i, j = rng.choice(4, 2, replace=False)
        result = rng.choice(["x", "y", "draw"], p=[0.5 - 0.05 * (i - j), 0.3 + 0.05 * (i - j), 0.2])
        xs.append(names[i])
        ys.append(names[j])
        winners.append({"x": evalica.Winner.X, "y": evalica.Winner.Y, "draw": evalica.Winner.Draw}[result])
        share = {"x": 1.0, "y": 0.0, "draw": 0.5}[result]
        wins[i, j] += share
        wins[j, i] += 1 - share
    scores = evalica.bradley_terry(xs, ys, winners, tolerance=1e-12, limit=10_000).scores
    expected = np.log(scores[names].to_numpy())
    assert fit_strengths(wins, ridge=1e-10) == pytest.approx(expected - expected.mean(), abs=1e-6)


def test_many_matrices_at_once_are_fitted_one_by_one() -> None:
    stack = np.stack([WINS, WINS.T, WINS + 3])
    assert fit_strengths(stack) == pytest.approx(np.stack([fit_strengths(one) for one in stack]), abs=1e-9)


def test_perfect_separation_stays_finite_and_ordered() -> None:
    theta = fit_strengths(np.array([[0.0, 20.0, 20.0], [0.0, 0.0, 20.0], [0.0, 0.0, 0.0]]))
    assert np.isfinite(theta).all()
    assert theta[0] > theta[1] > theta[2]


def test_groups_that_never_lose_to_each_other_are_found() -> None:
    assert unconnected_groups(WINS, list("abcd")) == [list("abcd")]
    unbeaten = WINS.copy()
    unbeaten[1:, 0] = 0
    assert sorted(unconnected_groups(unbeaten, list("abcd")), key=len) == [["a"], ["b", "c", "d"]]
    apart = np.zeros((4, 4))
    apart[0, 1] = apart[1, 0] = apart[2, 3] = apart[3, 2] = 5
    assert sorted(unconnected_groups(apart, list("abcd"))) == [["a", "b"], ["c", "d"]]


def test_interval_of_two_arms_is_that_of_the_share() -> None:
    # One vote a prompt: the log-odds' standard error is 1 / sqrt(n p (1 - p)).
    votes = (np.arange(400) % 10 < 6).astype(float)
    wins = np.zeros((400, 2, 2))
    wins[:, 0, 1], wins[:, 1, 0] = votes, 1 - votes
    fit = bootstrap_strengths(wins, [str(n) for n in range(400)], 0)
    assert fit.low is not None
    assert fit.high is not None
    width = 2 * (fit.high[0] - fit.low[0])
    assert width == pytest.approx(2 * 1.96 / np.sqrt(400 * 0.24), rel=0.08)
    assert bootstrap_strengths(wins[:9], list("abcdefghi"), 0).low is None
