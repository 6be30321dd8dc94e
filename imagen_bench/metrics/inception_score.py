"""Inception Score: exp of the mean divergence of an image's class distribution from the average one.

IS = exp(E_x KL(p(y|x) || p(y))), Salimans et al. 2016 (arXiv:1606.03498, eq. 4), as the mean over splits of the
images, p(y) being each split's own average. Shuffled and cut as torch-fidelity does, so that with equal logits
and seed it is that number. It rises with the images per split: only scores of the same N are comparable.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

import numpy as np
from pydantic import Field

from imagen_bench.config import Count, Section
from imagen_bench.metrics.base import FloatArray, MetricContext, MetricResult, metrics
from imagen_bench.metrics.intervals import Expansion, IndexArray, expansion_interval
from imagen_bench.metrics.options import read_options
from imagen_bench.metrics.stored_features import StoredFeaturesMetric


class InceptionScoreOptions(Section):
    """Options of the Inception Score. The seed of the shuffle is torch-fidelity's by default."""

    splits: Count = 10
    seed: Annotated[int, Field(strict=True, ge=0, lt=2**32)] = 2020


def log_softmax(logits: FloatArray) -> FloatArray:
    """Return log p(y|x), N x C, given logits N x C."""
    shifted = logits - logits.max(axis=1, keepdims=True)
    logs: FloatArray = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return logs


def split_numbers(n: int, splits: int, seed: int) -> IndexArray:
    """Return the split of each of n images: a seeded shuffle, cut at floor(i n / splits)."""
    order = np.random.RandomState(seed).permutation(n)
    split_of = np.empty(n, dtype=np.intp)
    for split in range(splits):
        split_of[order[split * n // splits : (split + 1) * n // splits]] = split
    return split_of


@metrics.register("inception_score")
class InceptionScore(StoredFeaturesMetric):
    """Mean Inception Score over splits; details holds the deviation over them, which is not its standard error."""

    name: ClassVar[str] = "inception_score"
    interval_words: ClassVar[str] = "Student's t with the infinitesimal jackknife over prompts."
    higher_is_better: ClassVar[bool] = True
    features: ClassVar[str | None] = "inception-logits"

    def __init__(self, context: MetricContext) -> None:
        super().__init__(context)
        self._options = read_options(InceptionScoreOptions, context, self.name)

    @property
    def label(self) -> str:
        """What people read."""
        return "Inception Score"

    def options(self) -> dict[str, Any]:
        """Number of splits and seed of the shuffle."""
        return self._options.model_dump()

    def compute(self) -> MetricResult:
        """Return the mean over splits, its interval and the deviation over splits."""
        splits = self._options.splits
        logs = log_softmax(self.generated(least=splits))
        split_of = split_numbers(len(logs), splits, self._options.seed)
        p = np.exp(logs)
        averages = np.stack([p[split_of == split].mean(axis=0) for split in range(splits)])
        # A class that no image of a split can have (p underflows to 0) adds nothing: 0 log 0 = 0.
        log_averages = np.log(averages, where=averages > 0, out=np.zeros_like(averages))
        divergences = np.sum(p * (logs - log_averages[split_of]), axis=1)
        means = np.array([divergences[split_of == split].mean() for split in range(splits)])
        scores = np.exp(means)
        value = float(scores.mean())
        expansion = _expansion(p, split_of, divergences - means[split_of], averages, scores)
        interval = expansion_interval(value, expansion, self.clusters, self.context.seed)
        return self.result(value, interval, details={"std": float(scores.std())})


def _expansion(
    p: FloatArray, split_of: IndexArray, centred: FloatArray, averages: FloatArray, scores: FloatArray
) -> Expansion:
    """Expansion of the score in the weights of the images.

    The mean divergence of a split of n images has influence (d_i - mean d) / n, since its derivative with respect to
    the average q vanishes, and second derivative -(sum_c p_ic p_jc / q_c - 1) / n^2; its exponential, of split
    score s, has s times the first and s (second + product of the firsts).
    """
    splits = len(scores)
    counts = np.bincount(split_of, minlength=splits)
    first = centred / counts[split_of]
    scale = (scores / splits)[split_of]

    def second(rows: IndexArray, columns: IndexArray) -> FloatArray:
        together = split_of[rows] == split_of[columns]
        q = averages[split_of[rows]]
        overlap = np.sum(p[rows] * p[columns] / np.where(q > 0, q, 1.0), axis=1) - 1
        curvature = first[rows] * first[columns] - overlap / counts[split_of[rows]] ** 2
        terms: FloatArray = np.where(together, scale[rows] * curvature, 0.0)
        return terms

    return Expansion(scale * first, second)
