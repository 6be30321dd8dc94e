"""Alpha against evalica and the published example; agreement where it is undefined."""

from __future__ import annotations

import evalica
import numpy as np
import pandas as pd
import pytest

from imagen_bench.human.statistics.agreement import agreement, count_matrix

# Krippendorff, "Computing Krippendorff's alpha-reliability" (2011), example C: four observers, twelve units.
EXAMPLE = """1 2 3 3 2 1 4 1 2 . . .
1 2 3 3 2 2 4 1 2 5 . 3
. 3 3 3 2 3 4 2 2 5 1 .
1 2 3 3 2 4 4 1 2 5 1 ."""


def example() -> tuple[list[str], list[str]]:
    rows = [line.split() for line in EXAMPLE.splitlines()]
    cells = [(f"u{place}", value) for row in rows for place, value in enumerate(row) if value != "."]
    return [unit for unit, _ in cells], [value for _, value in cells]


@pytest.mark.parametrize(("scale", "published"), [("nominal", 0.743), ("ordinal", 0.815)])
def test_published_example(scale: str, published: float) -> None:
    result = agreement(count_matrix(*example(), list("12345")), scale, 0)  # type: ignore[arg-type]
    assert result.alpha == pytest.approx(published, abs=5e-4)
    assert result.n_units == 11
    assert result.low is not None
    assert result.high is not None
    assert result.low < result.alpha < result.high


@pytest.mark.parametrize("scale", ["nominal", "ordinal"])
def test_against_evalica(scale: str) -> None:
    ratings = np.random.default_rng(1).integers(1, 6, size=(6, 40)).astype(float)
    ratings[np.random.default_rng(2).random(ratings.shape) < 0.3] = np.nan
    units = [f"u{unit}" for _, unit in np.argwhere(~np.isnan(ratings))]
    values = [str(int(value)) for value in ratings[~np.isnan(ratings)]]
    expected = evalica.alpha(pd.DataFrame(ratings), distance=scale).alpha
    found = agreement(count_matrix(units, values, list("12345")), scale, 0).alpha  # type: ignore[arg-type]
    assert found == pytest.approx(expected, abs=1e-9)


def test_same_answers_everywhere_are_undefined() -> None:
    result = agreement(np.array([[3.0, 0.0], [2.0, 0.0]]), "nominal", 0)
    assert (result.alpha, result.low, result.percent) == (None, None, 1.0)


def test_single_ratings_cannot_agree() -> None:
    result = agreement(np.eye(3), "nominal", 0)
    assert (result.n_units, result.alpha, result.percent) == (0, None, None)


def test_percent_agreement_by_hand() -> None:
    # Three of a kind: all 3 pairs; two against one: 1 of 3.
    assert agreement(np.array([[3.0, 0.0], [1.0, 2.0]]), "nominal", 0).percent == pytest.approx((1 + 1 / 3) / 2)
