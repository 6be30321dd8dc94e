"""95 % intervals of a mean over prompts, where raters answered many prompts each.

Answers to one prompt are alike, and so are the answers of one rater: an interval that counts every answer as a
fresh draw is far too narrow. Two methods:

- Cluster-t: the prompt means, grouped by cluster, with Student's t and G - 1 degrees of freedom (Liang & Zeger
  1986). It speaks about new prompts and these raters.
- Two-way bootstrap: prompts and raters are both drawn anew, each with multinomial weights, and the estimate is
  taken under the product of the weights (Owen 2007, "The pigeonhole bootstrap", Annals of Applied Statistics
  1). It speaks about new prompts and new raters, and is a little conservative. It is used where the same raters
  answered most prompts, with at least 3 raters and 10 clusters: percentiles of a bootstrap of fewer are too
  narrow.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from imagen_bench.human.statistics.ratings import Ratings
from imagen_bench.metrics.base import FloatArray
from imagen_bench.metrics.intervals import LEVEL, Interval, mean_interval, student_t_interval

DRAWS = 2000
FEW_PROMPTS = 10
CLUSTER_T, TWO_WAY, NO_INTERVAL = "cluster-t", "two-way bootstrap", "none"
METHOD_WORDS = {
    CLUSTER_T: "Student's t over prompt means, clustered by cluster_id, G - 1 degrees of freedom; raters held fixed",
    TWO_WAY: f"prompts x raters with multinomial weights, {DRAWS} draws, percentiles",
    NO_INTERVAL: "no interval: fewer than two clusters of prompts, or all alike",
}
_MIN_RATERS = 3
_MIN_FILL = 0.5


def cluster_t_interval(prompt_means: FloatArray, clusters: Sequence[str]) -> Interval | None:
    """Return the cluster-t interval of the mean of P prompt means.

    Returns:
        (low, high); None with fewer than two clusters, or where the means do not vary, which says nothing
        about their spread.
    """
    interval = mean_interval(prompt_means, clusters)
    return None if interval is None or interval[1] - interval[0] <= 1e-12 else interval


def is_crossed(ratings: Ratings) -> bool:
    """True if the same raters answered most prompts, so that raters can be drawn anew too."""
    seen = ratings.counts > 0
    return seen.shape[1] >= _MIN_RATERS and ratings.n_clusters >= FEW_PROMPTS and float(seen.mean()) >= _MIN_FILL


def two_way_replicates(ratings: Ratings, draws: int, seed: int) -> FloatArray:
    """Return the K means under `draws` products of prompt-cluster and rater weights.

    A prompt whose raters all have weight 0 in a draw is left out of that draw; a draw without any prompt is
    left out of the result.

    Returns:
        At most `draws` x K.
    """
    rng = np.random.default_rng(seed)
    labels, cluster = np.unique(np.asarray(ratings.clusters, dtype=str), return_inverse=True)
    n_raters = ratings.counts.shape[1]
    prompt_weights = rng.multinomial(len(labels), np.full(len(labels), 1 / len(labels)), size=draws)[:, cluster]
    rater_weights = rng.multinomial(n_raters, np.full(n_raters, 1 / n_raters), size=draws).astype(np.float64)
    counts = rater_weights @ ratings.counts.T
    weights = prompt_weights * (counts > 0)
    total = weights.sum(axis=1)
    scale = weights / np.maximum(counts, 1.0) / np.maximum(total, 1.0)[:, None]
    replicates = np.stack([((rater_weights @ sums.T) * scale).sum(axis=1) for sums in ratings.sums], axis=1)
    kept: FloatArray = replicates[total > 0]
    return kept


def percentile_interval(replicates: FloatArray) -> Interval | None:
    """Return the central 95 % of replicates; None where they do not vary."""
    low, high = (float(edge) for edge in np.quantile(replicates, [(1 - LEVEL) / 2, (1 + LEVEL) / 2]))
    return None if high - low <= 1e-12 else (low, high)


def category_average(
    prompt_means: FloatArray, categories: Sequence[str], clusters: Sequence[str]
) -> tuple[float, Interval | None]:
    """Return the mean over categories of the mean over their prompts, with its cluster-t interval.

    With C categories of n_c prompts, a prompt has weight 1 / (C n_c); its residual from the category's mean,
    times sqrt(n_c / (n_c - 1)), is summed within clusters, and the variance is the sum of the squares. G - C
    degrees of freedom. A category of one prompt cannot tell its own spread and adds none.
    """
    names, group = np.unique(np.asarray(categories, dtype=str), return_inverse=True)
    sizes = np.bincount(group)
    means = np.bincount(group, weights=prompt_means) / sizes
    value = float(means.mean())
    stretch = np.sqrt(sizes / np.maximum(sizes - 1, 1))
    residuals = (prompt_means - means[group]) * stretch[group] / (len(names) * sizes[group])
    labels, cluster = np.unique(np.asarray(clusters, dtype=str), return_inverse=True)
    degrees = len(labels) - len(names)
    error = float(np.sqrt(np.sum(np.bincount(cluster, weights=residuals) ** 2)))
    if degrees < 1 or error <= 1e-12:
        return value, None
    return value, student_t_interval(value, error, degrees)
