"""The plan against simulation and the published half-widths."""

from __future__ import annotations

import numpy as np
import pytest

from imagen_bench.errors import InputError
from imagen_bench.human.statistics.plan import Assumptions, plan_row, variance_components


@pytest.mark.parametrize(
    ("prompts", "raters", "simulated"),
    [(200, 1, 0.123), (200, 3, 0.086), (200, 5, 0.079), (200, 9, 0.069), (200, 25, 0.064), (400, 3, 0.061)],
)
def test_half_widths_of_an_independent_simulation(prompts: int, raters: int, simulated: float) -> None:
    # Measured with prompt sd 1.5, rater sd 0.3 and 20 % ties in a separate program, to about 3 %.
    assert plan_row(prompts, raters, 1, Assumptions()).half_width == pytest.approx(simulated, rel=0.03)


def test_variance_components_against_the_simulator() -> None:
    from toy_study import draw_votes

    parts = variance_components(Assumptions(), 1)
    rng = np.random.default_rng(0)
    means = draw_votes(rng, 3000, 40, 4).mean(axis=(1, 2))
    expected = parts.prompt / 40 + parts.rater / 4 + parts.answer / 160
    assert means.var() == pytest.approx(expected, rel=0.08)
    assert parts.prompt + parts.rater + parts.answer == pytest.approx(0.8)


def test_more_samples_shrink_their_own_spread_alone() -> None:
    spread = Assumptions(sample_sd=1.0)
    widths = [plan_row(200, 5, samples, spread).half_width for samples in (1, 4, 10_000)]
    assert widths[0] > widths[1] > widths[2]
    assert widths[2] == pytest.approx(plan_row(200, 5, 1, Assumptions()).half_width, rel=1e-3)


def test_cost() -> None:
    row = plan_row(200, 5, 8, Assumptions(), price=0.05, items_per_hour=200)
    assert (row.items, row.images, row.hours) == (1000, 3200, 5.0)
    assert row.cost == pytest.approx(50.0)
    assert row.pay_per_hour == pytest.approx(10.0)


@pytest.mark.parametrize(
    ("numbers", "found"),
    [((1, 5, 1), "1 prompts"), ((200, 0, 1), "raters is 0"), ((200, 5, 0), "samples is 0")],
)
def test_impossible_plans_are_refused(numbers: tuple[int, int, int], found: str) -> None:
    with pytest.raises(InputError, match=found):
        plan_row(*numbers, Assumptions())


def test_impossible_assumptions_are_refused() -> None:
    with pytest.raises(InputError, match="tie_share is 1"):
        plan_row(200, 5, 1, Assumptions(tie_share=1.0))
    with pytest.raises(InputError, match="price"):
        plan_row(200, 5, 1, Assumptions(), price=-1.0)
    with pytest.raises(InputError, match="items per hour"):
        plan_row(200, 5, 1, Assumptions(), items_per_hour=0.0)
