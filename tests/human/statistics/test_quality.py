"""Quality of raters, counted by hand."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest
from scipy import stats

from imagen_bench.human.statistics.quality import ExclusionRule, left_share, rater_quality, wilson_interval

RULE = ExclusionRule(0.8, 0.5, 1 / 3)


def answers(rater: str, given: list[str], seconds: float, **more: list[Any]) -> pd.DataFrame:
    n = len(given)
    columns = {"kind": ["real"] * n, "passed": [None] * n, "same_as_first": [None] * n, **more}
    return pd.DataFrame({"rater": rater, "question": "q", "answer": given, "seconds": seconds, **columns})


def test_counts_flags_and_exclusion() -> None:
    good = answers("good", ["left", "right", "tie", "unable"] * 3, 9.0)
    hasty = answers("hasty", ["left"] * 12, 2.0)
    kinds = ["control"] * 5 + ["repeat"] * 2
    wrong = answers(
        "wrong", ["left", "right"] * 3 + ["tie"], 9.5, kind=kinds, passed=[True, True, True, False, False, None, None],
        same_as_first=[None] * 5 + [True, False],
    )  # fmt: skip
    idle = answers("idle", ["left"], 8.0)
    table = pd.concat([good, hasty, wrong, idle], ignore_index=True)
    found = {r.rater: r for r in rater_quality(table, {"good": 12, "hasty": 12, "wrong": 7, "idle": 12}, RULE)}
    assert (found["good"].unable, found["good"].sided, found["good"].left) == (3, 6, 3)
    assert (found["good"].flags, found["good"].excluded) == ((), ())
    assert (found["hasty"].flags, found["hasty"].excluded) == (("speeder", "straight-liner"), ())
    assert (found["wrong"].controls_passed, found["wrong"].controls, found["wrong"].repeats_same) == (3, 5, 1)
    assert found["wrong"].excluded == ("controls 3 of 5",)
    assert found["idle"].excluded == ("answered 1 of 12",)
    assert found["wrong"].to_json()["repeat_share"] == 0.5


def test_the_pass_mark_itself_passes() -> None:
    table = answers("r", ["left"] * 5, 1.0, kind=["control"] * 5, passed=[True] * 4 + [False])
    assert rater_quality(table, {"r": 5}, RULE)[0].excluded == ()


def test_without_a_rule_nobody_is_excluded() -> None:
    table = answers("r", ["left"], 1.0, kind=["control"], passed=[False])
    assert rater_quality(table, {"r": 99}, ExclusionRule())[0].excluded == ()
    assert ExclusionRule().words() == "no rater is excluded"


def test_left_share() -> None:
    one, other = answers("a", ["left"] * 6 + ["right"] * 4, 1.0), answers("b", ["left"] * 4 + ["right"] * 6, 1.0)
    both = left_share(pd.concat([one, other]))
    assert (both["left_share"], both["method"], both["sided"]) == (0.5, "cluster-t by rater", 20)
    assert left_share(one)["method"] == "Wilson"
    assert left_share(answers("a", ["tie"], 1.0))["left_share"] is None


def test_wilson_is_scipys() -> None:
    expected = stats.binomtest(7, 19).proportion_ci(0.95, method="wilson")
    assert wilson_interval(7, 19) == pytest.approx((expected.low, expected.high), abs=1e-6)
