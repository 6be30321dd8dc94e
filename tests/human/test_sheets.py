"""Cells of a rater's CSV."""

from __future__ import annotations

import pytest

from imagen_bench.files import escape_formula
from imagen_bench.human.sheets import sheet_columns


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠"])
def test_cells_that_would_run_as_a_formula_are_made_text(start: str) -> None:
    assert escape_formula(f"{start}1+1") == f"'{start}1+1"


@pytest.mark.parametrize("text", ["", "a = b", "'quoted'", " =1", "3 cats", "é"])
def test_other_cells_stay_as_they_are(text: str) -> None:
    assert escape_formula(text) == text


def test_columns_are_the_canonical_ones() -> None:
    assert sheet_columns(["fidelity", "alignment"]) == [
        "study_id",
        "sheet_id",
        "sheet_hash",
        "item_id",
        "order",
        "prompt",
        "image_left",
        "image_right",
        "q_alignment",
        "q_fidelity",
        "comment",
        "rater_id",
    ]
    assert sheet_columns(["alignment"], two_sided=False)[6:8] == ["image", "q_alignment"]
