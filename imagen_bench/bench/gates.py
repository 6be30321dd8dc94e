"""Gates: conditions on a comparison under which an automatic check fails, in the words of `--fail-if`.

    clip_score < -0.01          at any common guidance weight, the CLIP score fell by more than 0.01
    fd@2 > 0.5                  at w = 2, the FD rose by more than 0.5
    clip_score:counting < 0     in one category

A gate speaks about the difference B - A and respects its interval: it fails only if the interval lies wholly beyond
the bound, so that noise does not fail a build. Where it covers several weights, their intervals are widened together
(Bonferroni: level 1 - 0.05 / m for m weights), so that a gate at 0 on equal models fails in at most 2.5 % of all
comparisons however many weights it covers. The price is that a loss smaller than the interval is let through: give the
run more prompts, or look at the difference itself.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from imagen_bench.bench.compare import ALPHA, OVERALL, Difference
from imagen_bench.errors import ConfigError, InputError
from imagen_bench.suggest import did_you_mean

_FORM = re.compile(r"\s*([\w.+-]+)\s*(?::\s*([^@<>]+?)\s*)?(?:@\s*([^\s<>]+)\s*)?([<>])\s*(\S+)\s*")
_EXPECTED = "expected METRIC[:CATEGORY][@WEIGHT] < or > NUMBER, such as 'clip_score < -0.01'"


@dataclass(frozen=True)
class Gate:
    """A bound on differences; a weight of None stands for every common weight."""

    text: str
    metric: str
    category: str
    guidance_weight: float | None
    below: bool
    bound: float


@dataclass(frozen=True)
class GateRow:
    """A difference that a gate looked at, with the interval that decided."""

    guidance_weight: float
    value: float
    low: float
    high: float
    failed: bool


@dataclass(frozen=True)
class GateResult:
    """A gate's outcome: it failed if one of its rows did."""

    gate: str
    failed: bool
    rows: tuple[GateRow, ...]


def parse_gate(text: str) -> Gate:
    """Read a gate.

    Raises:
        ConfigError: It is not of the form that is expected.
    """
    match = _FORM.fullmatch(text)
    if match is None:
        raise ConfigError(f"gate {text!r} cannot be read: {_EXPECTED}")
    metric, category, weight, sign, bound = match.groups()
    numbers = [_number(text, part) for part in (weight, bound) if part is not None]
    return Gate(text, metric, category or OVERALL, numbers[0] if weight else None, sign == "<", numbers[-1])


def check_gate(gate: Gate, differences: Sequence[Difference]) -> GateResult:
    """Decide a gate.

    Raises:
        ConfigError: The comparison has no such metric, category or weight.
        InputError: There are too few prompts for an interval, so that the gate cannot be decided.
    """
    rows = _matching(gate, differences)
    level = 1 - ALPHA / len(rows)
    decided = []
    for row in rows:
        interval = row.interval(level)
        if interval is None or not all(map(math.isfinite, interval)):
            raise InputError(
                f"gate {gate.text!r} cannot be decided at w = {row.guidance_weight:g}: the difference has no interval; "
                "score more prompts"
            )
        low, high = interval
        failed = high < gate.bound if gate.below else low > gate.bound
        decided.append(GateRow(row.guidance_weight, row.value, low, high, failed))
    return GateResult(gate.text, any(row.failed for row in decided), tuple(decided))


def _matching(gate: Gate, differences: Sequence[Difference]) -> list[Difference]:
    found = [row for row in differences if row.metric == gate.metric]
    if not found:
        known = {row.metric for row in differences}
        raise ConfigError(f"gate {gate.text!r}: no metric {gate.metric!r}: {did_you_mean(gate.metric, known)}")
    of_category = [row for row in found if row.category == gate.category]
    if not of_category:
        known = {row.category for row in found} - {OVERALL}
        raise ConfigError(f"gate {gate.text!r}: no category {gate.category!r}: {did_you_mean(gate.category, known)}")
    at_weight = [row for row in of_category if gate.guidance_weight in (None, row.guidance_weight)]
    if not at_weight:
        listed = ", ".join(f"{row.guidance_weight:g}" for row in of_category)
        raise ConfigError(f"gate {gate.text!r}: w = {gate.guidance_weight:g} is not compared, expected one of {listed}")
    return at_weight


def _number(text: str, part: str) -> float:
    try:
        number = float(part)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise ConfigError(f"gate {text!r}: {part!r} is no number; {_EXPECTED}")
    return number
