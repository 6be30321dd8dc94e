"""How well an automatic metric predicts what people prefer, prompt by prompt.

For each prompt, x is the difference of the metric between two arms and y the raters' net preference (or the
difference of their scores). Kendall's tau-b (Kendall 1945, Biometrika 33) measures how alike x and y order the
prompts; pairwise accuracy, on how many of the prompts with a preference the metric points the same way. Both with
intervals from drawing clusters of prompts anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from imagen_bench.human.statistics.agreement import BOOTSTRAP_DRAWS
from imagen_bench.human.statistics.intervals import FEW_PROMPTS, percentile_interval
from imagen_bench.human.statistics.preferences import Estimate
from imagen_bench.metrics.base import FloatArray

_SAME = 1e-12


@dataclass(frozen=True)
class MetricAgreement:
    """Agreement of a metric with raters.

    Attributes:
        n_prompts: Prompts with both.
        n_decided: Of these, prompts where the raters prefer one arm.
        tau_b: Kendall's tau-b; None where one side does not vary.
        accuracy: Pairwise accuracy, a metric's tie as half; None if no prompt is decided.
    """

    n_prompts: int
    n_decided: int
    tau_b: Estimate | None
    accuracy: Estimate | None


def metric_agreement(metric: FloatArray, human: FloatArray, clusters: Sequence[str], seed: int) -> MetricAgreement:
    """Compare P differences of a metric with P net preferences.

    Args:
        metric: P differences, signed so that more is better.
        human: P net preferences of the same sign.
        clusters: P labels, the unit of the bootstrap.
        seed: Seed of the bootstrap.
    """
    labels, cluster = np.unique(np.asarray(clusters, dtype=str), return_inverse=True)
    rng = np.random.default_rng(seed)
    drawn = rng.multinomial(len(labels), np.full(len(labels), 1 / len(labels)), size=BOOTSTRAP_DRAWS)[:, cluster]
    weights = np.vstack([np.ones(len(cluster)), drawn])
    enough = len(labels) >= FEW_PROMPTS
    decided = np.abs(human) > _SAME
    right = np.where(np.abs(metric) <= _SAME, 0.5, (np.sign(metric) == np.sign(human)).astype(np.float64))
    with np.errstate(divide="ignore", invalid="ignore"):
        accuracy = (weights[:, decided] @ right[decided]) / weights[:, decided].sum(axis=1)
    return MetricAgreement(
        len(metric),
        int(decided.sum()),
        _with_interval(weighted_tau_b(metric, human, weights), enough),
        _with_interval(accuracy, enough),
    )


def weighted_tau_b(x: FloatArray, y: FloatArray, weights: FloatArray) -> FloatArray:
    """Return tau-b of P pairs under B sets of weights; whole weights equal repeating the pairs.

    Returns:
        B values; NaN where one side does not vary.
    """
    sign_x, sign_y = (np.where(np.abs(d := v[:, None] - v[None, :]) <= _SAME, 0.0, np.sign(d)) for v in (x, y))

    def total(matrix: FloatArray) -> FloatArray:
        result: FloatArray = ((weights @ matrix) * weights).sum(axis=1)
        return result

    with np.errstate(divide="ignore", invalid="ignore"):
        tau: FloatArray = total(sign_x * sign_y) / np.sqrt(total(np.abs(sign_x)) * total(np.abs(sign_y)))
    return tau


def _with_interval(values: FloatArray, enough: bool) -> Estimate | None:
    """The first value, with the interval of the others if there are enough prompts for one."""
    if np.isnan(values[0]):
        return None
    kept = values[1:][~np.isnan(values[1:])]
    interval = percentile_interval(kept) if enough and len(kept) else None
    return Estimate(float(values[0]), *(interval if interval is not None else (None, None)))
