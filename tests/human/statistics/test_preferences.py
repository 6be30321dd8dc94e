"""Preferences by hand: averaging within prompts first, families, marks."""

from __future__ import annotations

import numpy as np
import pytest

from imagen_bench.human.statistics.preferences import ALL, CATEGORY_AVERAGE, OUTCOMES, preferences, scores
from imagen_bench.human.statistics.ratings import Ratings, answers_to_ratings
from imagen_bench.metrics.multiple_tests import holm


def ratings(rows: list[tuple[str, str, str]], category: str = "c") -> Ratings:
    """Ratings from (prompt, rater, outcome); the category is the prompt's first letter, or one for all."""
    values = np.array([[outcome == name for name in OUTCOMES] for _, _, outcome in rows], dtype=float)
    about = {prompt: (prompt, category or prompt[0]) for prompt, _, _ in rows}
    return answers_to_ratings(values, [row[0] for row in rows], [row[1] for row in rows], about)


def simulated(prompts: int, raters: int, advantage: float, seed: int, category: str) -> list[tuple[str, str, str]]:
    from toy_study import draw_votes

    votes = draw_votes(np.random.default_rng(seed), 1, prompts, raters, advantage, prompt_sd=0.5)[0]
    names = {1: "a", 0: "tie", -1: "b"}
    return [(f"{category}{p:03d}", f"r{r}", names[int(votes[p, r])]) for p in range(prompts) for r in range(raters)]


def test_prompts_weigh_alike_however_many_ratings_they_have() -> None:
    rows = [("p1", f"r{n}", "a") for n in range(9)] + [("p2", "r0", "b"), ("p3", "r0", "tie"), ("p4", "r1", "a")]
    whole = preferences(ratings(rows), ["c"], 0)[0]
    assert [whole.shares[name].value for name in OUTCOMES] == pytest.approx([0.5, 0.25, 0.25])
    assert whole.net.value == pytest.approx(0.25)
    assert whole.win_rate.value == pytest.approx(0.625)
    assert (whole.n_prompts, whole.n_ratings, whole.n_raters, whole.few_prompts) == (4, 12, 9, True)


def test_overall_is_weighted_by_prompts_and_by_categories() -> None:
    rows = [(f"x{n}", "r", "a") for n in range(3)] + [("x3", "r", "b"), ("y0", "r", "b"), ("y1", "r", "b")]
    by_name = {part.category: part for part in preferences(ratings(rows, ""), ["x", "y"], 0)}
    assert by_name[ALL].net.value == pytest.approx(0.0)
    assert by_name[CATEGORY_AVERAGE].net.value == pytest.approx((0.5 - 1.0) / 2)
    assert by_name["y"].net.value == -1.0
    assert by_name["y"].net.low is None


def test_the_family_is_the_categories() -> None:
    rows = [row for name, lead in (("x", 1.2), ("y", 0.0), ("z", 0.4)) for row in simulated(25, 5, lead, 3, name)]
    parts = preferences(ratings(rows, ""), ["x", "y", "z"], 0)
    assert [part.category for part in parts] == [ALL, CATEGORY_AVERAGE, "x", "y", "z"]
    assert [part.p_holm for part in parts[:2]] == [None, None]
    assert [part.p_holm for part in parts[2:]] == holm([part.p for part in parts[2:]])
    assert parts[2].different
    assert not parts[3].different
    assert not parts[1].different


def test_exchanging_the_arms_mirrors_everything() -> None:
    rows = simulated(30, 5, 0.5, 4, "x")
    mirror = {"a": "b", "b": "a", "tie": "tie"}
    one = preferences(ratings(rows), ["c"], 0)[0]
    other = preferences(ratings([(p, r, mirror[o]) for p, r, o in rows]), ["c"], 0)[0]
    assert other.net.value == pytest.approx(-one.net.value)
    assert (other.net.low, other.net.high) == pytest.approx((-one.net.high, -one.net.low))  # type: ignore[operator]
    assert other.shares["a"] == one.shares["b"]
    assert (other.p, other.p_sign_flip) == pytest.approx((one.p, one.p_sign_flip))


def test_unanimous_prompts_have_no_interval_and_the_p_of_sign_flips() -> None:
    (whole, part) = preferences(ratings([(f"p{n}", "r", "a") for n in range(4)]), ["c"], 0)
    assert (whole.net.value, whole.net.low, whole.method) == (1.0, None, "none")
    assert whole.p == whole.p_sign_flip == pytest.approx(2 / 16)
    assert not whole.different
    assert part.p_holm == pytest.approx(2 / 16)


def test_one_prompt_is_not_tested() -> None:
    whole = preferences(ratings([("p", "r1", "a"), ("p", "r2", "b")]), ["c"], 0)[0]
    assert (whole.p, whole.p_sign_flip, whole.net.low) == (None, None, None)


def test_intervals_stay_on_the_scale() -> None:
    values = np.array([[100.0], [100.0], [100.0], [50.0]])
    about = {f"p{n}": (f"p{n}", "c") for n in range(4)}
    found = scores(answers_to_ratings(values, list(about), ["r"] * 4, about), ["c"], (0.0, 100.0), 0)[0]
    assert found.mean.value == pytest.approx(87.5)
    assert found.mean.high == 100.0
    assert found.mean.low is not None
    assert found.mean.low < 87.5
