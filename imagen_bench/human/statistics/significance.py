"""Is a mean over prompts different from 0: cluster-t and sign flips."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from imagen_bench.metrics.base import FloatArray
from imagen_bench.metrics.intervals import LEVEL, Interval

FLIPS = 9999
ALPHA = 0.05
_MOST_EXACT = 12


def cluster_t_p(value: float, interval: Interval | None, degrees: int) -> float | None:
    """Return the two-sided p-value of Student's t that belongs to a cluster-t interval; None without one.

    Args:
        value: The mean.
        interval: `value` -+ t SE of `degrees` degrees of freedom.
        degrees: Clusters - 1.
    """
    if interval is None:
        return None
    from scipy.special import stdtr, stdtrit

    standard_error = (interval[1] - interval[0]) / 2 / float(stdtrit(degrees, (1 + LEVEL) / 2))
    return 2 * float(stdtr(degrees, -abs(value) / standard_error))


def sign_flip_p(prompt_means: FloatArray, clusters: Sequence[str], seed: int) -> float:
    """Return the p-value of the sign-flip permutation test of a mean of 0, with whole clusters flipped.

    Under the hypothesis that neither arm is better, exchanging the arms on any cluster of prompts changes nothing.
    All 2^G flips are taken for up to 12 clusters; else 9,999 are drawn, and the data count as one more.
    """
    labels, cluster = np.unique(np.asarray(clusters, dtype=str), return_inverse=True)
    sums = np.bincount(cluster, weights=prompt_means)
    observed = abs(float(sums.sum())) - 1e-9
    if len(labels) <= _MOST_EXACT:
        flips = 1 - 2 * ((np.arange(2 ** len(labels))[:, None] >> np.arange(len(labels))) & 1)
        return float(np.mean(np.abs(flips @ sums) >= observed))
    rng = np.random.default_rng(seed)
    signs = rng.integers(0, 2, size=(FLIPS, len(labels)), dtype=np.int8).astype(np.float32) * 2 - 1
    extreme = int(np.sum(np.abs(signs @ sums.astype(np.float32)) >= observed - 1e-4))
    return (1 + extreme) / (1 + FLIPS)
