"""Which arms meet, and designs that cannot be."""

from __future__ import annotations

from typing import Any

import pytest

from imagen_bench.errors import InputError
from imagen_bench.human.design import Design, Exclusion, check_design, choose_pairs
from imagen_bench.human.questions import Mode

LABELS = ["a", "b", "c"]


def test_all_arms_meet_unless_pairs_or_a_baseline_are_asked_for() -> None:
    assert choose_pairs(LABELS, None, "sxs") == [("a", "b"), ("a", "c"), ("b", "c")]
    assert choose_pairs(LABELS, None, "sxs", [("3", "a")]) == [("c", "a")]
    assert choose_pairs(LABELS, None, "sxs", baseline="2") == [("a", "b"), ("c", "b")]
    assert choose_pairs(LABELS, "c", "photorealism") == [("a", "c"), ("b", "c")]
    assert choose_pairs(["a"], None, "likert5") == [("a", None)]


@pytest.mark.parametrize(
    ("labels", "reference", "mode", "pairs", "baseline", "message"),
    [
        (["a"], None, "sxs", [], None, "at least two arms, found 1"),
        (LABELS, None, "sxs", [("a", "d")], None, "no arm 'd'; choose by label or number: 1 a, 2 b, 3 c"),
        (LABELS, None, "sxs", [("a", "4")], None, "no arm '4'"),
        (LABELS, None, "sxs", [("a", "1")], None, "against itself"),
        (LABELS, None, "sxs", [("a", "b"), ("2", "1")], None, "asked for twice"),
        (LABELS, None, "sxs", [("a", "b")], "c", "both pairs and a baseline"),
        (LABELS, None, "photorealism", [], None, "give --reference"),
        (["r"], "r", "photorealism", [], None, "at least one run"),
        (LABELS, "c", "photorealism", [], "a", "leave pairs out"),
        (LABELS, None, "alignment", [("a", "b")], None, "one image at a time"),
    ],
)
def test_pairs_that_cannot_be_are_refused(
    labels: list[str],
    reference: str | None,
    mode: Mode,
    pairs: list[tuple[str, str]],
    baseline: str | None,
    message: str,
) -> None:
    with pytest.raises(InputError, match=message):
        choose_pairs(labels, reference, mode, pairs, baseline)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sheets": 0}, "sheets is 0"),
        ({"sheets": 1001}, "at most 1000"),
        ({"items_per_sheet": 0}, "items_per_sheet is 0"),
        ({"by_category": True, "items_per_sheet": 3}, "choose one way"),
        ({"controls": 0.6}, "controls is 0.6"),
        ({"repeats": -0.1}, "repeats is -0.1"),
    ],
)
def test_numbers_out_of_range_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        check_design(Design(**options), Exclusion())
    with pytest.raises(InputError, match="min_control_pass is 80"):
        check_design(Design(), Exclusion(min_control_pass=80))
