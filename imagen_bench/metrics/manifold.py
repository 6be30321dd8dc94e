"""A covered share and its interval: how many points of a fixed set the balls of random samples reach.

Let the samples come in independent clusters. By Efron & Stein's decomposition (Annals of Statistics 9, 1981) a
score's variance is B_1 - B_2 + B_3 - ..., with B_k the sum of its squared mixed differences over all sets of k
clusters left out. The mixed difference of "point j is covered" is not 0 for one set alone, that of all clusters
which cover j; so with n_S the number of points whose covering clusters are exactly S, of M points,

    B_k = sum_{|S| = k} n_S^2 / M^2.

The alternating sum is cut off after two terms by Efron & Thisted's smoothing (Biometrika 63, 1976), the weight of
B_k being the probability of at least k heads in two throws of a coin: V = 3/4 B_1 - 1/4 B_2, and here at least B_1 / 4.
For covers that are Poisson of mean 0.3, 1, 2.8, 4 that is 0.8, 1, 1.2, 1 times the true variance. (The jackknife
is B_1, and 1.2, 1.6, 2.9, 4 times too large: one sample seldom matters where many do the same.)
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from imagen_bench.metrics.intervals import Interval, student_t_interval
from imagen_bench.metrics.nearest import Inside

# Fewer images that cover a point alone tell too little of how the share varies.
_LEAST_ALONE = 4


def covered_share(inside: Inside) -> float:
    """Return the share of points that lie in any ball."""
    return float((inside.per_point() > 0).mean())


def covered_interval(inside: Inside, clusters: Sequence[str]) -> Interval | None:
    """Return the 95 % interval of `covered_share` over a draw of the clusters.

    Student's t has Satterthwaite's degrees of freedom, twice the effective number of clusters that cover a point
    alone, (sum n_S^2)^2 / sum n_S^4.

    Args:
        inside: Which points lie in which balls; the balls are of the generated samples.
        clusters: Cluster of each ball.

    Returns:
        (low, high) inside [0, 1]; None where that effective number is below 4: then a handful of images
        decides, or none alone does, and one set of images does not tell how the share varies.
    """
    alone, together = _sole_covers(inside, clusters)
    squares = alone**2
    if np.sum(squares) ** 2 < _LEAST_ALONE * np.sum(squares**2) or not len(alone):
        return None
    first, second = float(np.sum(squares)), float(np.sum(together**2))
    variance = max(0.75 * first - 0.25 * second, 0.25 * first) / inside.points**2
    degrees = 2 * float(np.sum(squares) ** 2 / np.sum(squares**2))
    low, high = student_t_interval(covered_share(inside), variance**0.5, degrees)
    return max(0.0, low), min(1.0, high)


def _sole_covers(inside: Inside, clusters: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Return n_S of the single clusters and of the pairs of clusters that are the whole cover of any point."""
    _, cluster_of = np.unique(np.asarray(clusters, dtype=str), return_inverse=True)
    # Each point with each cluster that covers it, once; sorted by point.
    points, covering = np.unique(np.stack([inside.point, cluster_of[inside.ball]], axis=1), axis=0).T
    _, starts, sizes = np.unique(points, return_index=True, return_counts=True)
    alone = np.unique(covering[starts[sizes == 1]], return_counts=True)[1]
    pairs = starts[sizes == 2]
    together = Counter(zip(covering[pairs].tolist(), covering[pairs + 1].tolist(), strict=True))
    return alone.astype(np.float64), np.array(list(together.values()), dtype=np.float64)
