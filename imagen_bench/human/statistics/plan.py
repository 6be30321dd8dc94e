"""How wide will the interval of the net preference be: prompts against raters, before anybody is paid.

Model of one answer, the same as that behind the coverage tests: with probability t it is "indifferent"; else
it prefers A with probability sigma(u + v + w), where u ~ N(0, prompt sd^2) belongs to the prompt, v ~ N(0, rater
sd^2) to the rater and w ~ N(0, sample sd^2 / S) to the S samples shown of each arm; a net preference of 0. Its
variance splits into parts of prompts, raters and single answers, and the mean over P prompts and R raters who all
rate every prompt has

    Var = V_prompt / P + V_rater / R + V_answer / (P R).

The cluster-t interval, which holds the raters fixed, leaves out V_rater / R.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from imagen_bench.errors import InputError
from imagen_bench.metrics.intervals import student_t_interval

_NODES = 61


@dataclass(frozen=True)
class Assumptions:
    """What the plan rests on; standard deviations in logits.

    Attributes:
        prompt_sd: Spread of the true preference over prompts.
        rater_sd: Spread over raters.
        sample_sd: Spread that one sample of each arm adds to a prompt; S samples divide its variance by S.
        tie_share: Share of "indifferent", in [0, 1).
    """

    prompt_sd: float = 1.5
    rater_sd: float = 0.3
    sample_sd: float = 0.0
    tie_share: float = 0.2

    def check(self) -> None:
        """Check the ranges.

        Raises:
            InputError: A number is outside.
        """
        for name in ("prompt_sd", "rater_sd", "sample_sd"):
            value = getattr(self, name)
            if not 0 <= value <= 10:
                raise InputError(f"{name} is {value:g} logits, expected 0 to 10")
        if not 0 <= self.tie_share < 1:
            raise InputError(f"tie_share is {self.tie_share:g}, expected 0 or more and less than 1")


@dataclass(frozen=True)
class Components:
    """Variance of one answer in {-1, 0, 1}, by source."""

    prompt: float
    rater: float
    answer: float


@dataclass(frozen=True)
class PlanRow:
    """Expected half-widths of the 95 % interval of net preference for P prompts and R raters.

    Attributes:
        half_width: Cluster-t over prompts: new prompts, these raters.
        half_width_new_raters: With the spread of raters: new prompts and new raters.
        items: Comparisons that all raters answer together.
        images: Images to generate for two arms.
        hours: Time of all raters; None without a speed.
        cost: Price of all items; None without a price.
        pay_per_hour: What one hour of a rater earns; None without both.
    """

    prompts: int
    raters: int
    half_width: float
    half_width_new_raters: float
    items: int
    images: int
    hours: float | None
    cost: float | None
    pay_per_hour: float | None


def variance_components(assumptions: Assumptions, samples: int) -> Components:
    """Split the variance of one answer, by Gauss-Hermite quadrature.

    Args:
        assumptions: The model.
        samples: S, samples shown of each arm.
    """
    nodes, weights = np.polynomial.hermite_e.hermegauss(_NODES)
    weights = weights / weights.sum()
    prompt = np.hypot(assumptions.prompt_sd, assumptions.sample_sd / samples**0.5) * nodes
    rater = assumptions.rater_sd * nodes
    decided = 1 - assumptions.tie_share
    net = decided * np.tanh((prompt[:, None] + rater[None, :]) / 2)
    by_prompt, by_rater = net @ weights, weights @ net
    prompts = float(weights @ by_prompt**2)
    raters = float(weights @ by_rater**2)
    return Components(prompts, raters, decided - prompts - raters)


def plan_row(
    prompts: int,
    raters: int,
    samples: int,
    assumptions: Assumptions,
    price: float | None = None,
    items_per_hour: float | None = None,
) -> PlanRow:
    """Return half-widths and cost of one plan.

    Args:
        prompts: P, at least 2.
        raters: R; each rates every prompt.
        samples: S.
        assumptions: The model.
        price: Pay for one item (all questions on one prompt).
        items_per_hour: How many items a rater answers in an hour.

    Raises:
        InputError: A number is out of range.
    """
    assumptions.check()
    _check(prompts, raters, samples, price, items_per_hour)
    parts = variance_components(assumptions, samples)
    fixed = parts.prompt / prompts + parts.answer / (prompts * raters)
    items = prompts * raters
    return PlanRow(
        prompts,
        raters,
        student_t_interval(0.0, fixed**0.5, prompts - 1)[1],
        student_t_interval(0.0, (fixed + parts.rater / raters) ** 0.5, prompts - 1)[1],
        items,
        2 * prompts * samples,
        None if items_per_hour is None else items / items_per_hour,
        None if price is None else items * price,
        None if price is None or items_per_hour is None else price * items_per_hour,
    )


def _check(prompts: int, raters: int, samples: int, price: float | None, speed: float | None) -> None:
    if prompts < 2:
        raise InputError(f"{prompts} prompts have no spread to make an interval from; plan at least 2")
    for name, value in (("raters", raters), ("samples", samples)):
        if value < 1:
            raise InputError(f"{name} is {value}, expected at least 1")
    if price is not None and not 0 <= price < float("inf"):
        raise InputError(f"the price of an item is {price:g}, expected 0 or more")
    if speed is not None and not 0 < speed < float("inf"):
        raise InputError(f"items per hour is {speed:g}, expected more than 0")
