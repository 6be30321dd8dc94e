"""95 % intervals of scores, from one set of images, with prompts as the unit of sampling.

Samples of one prompt are alike, so whole prompts ("clusters") are what varies. The target is the expected score *at
this number of images*, which is what a protocol fixes; it is not the score of infinitely many images, from which
an FD of N images is biased upward. A bootstrap of the features is no use here: resampling repeats images, which
inflates every replicate's distance (percentile and basic bootstrap of an FD covered 0-93 %).

- Means over samples (CLIP scores, density): the cluster-robust standard error and Student's t with G - 1 degrees of
  freedom for G prompts (Liang & Zeger 1986). With G = 5, 10, 24, 240 it covered 94, 93, 94, 95 %.
- Precision, a share of samples: Wilson's formula at the effective number of samples.
- Distances (FD, FID and FID-infinity; KID, CMMD, Inception Score): the jackknife over prompts, exact for the first
  three and by derivatives for the others. It counts the quadratic part of the variance twice (Efron & Stein, Annals
  of Statistics 9, 1981, section 5); half of what that makes is taken off, since an estimate of the whole is small
  where the score is small by chance, and covers too seldom. KID's interval adds the variance of its draw of subsets.
- Recall and coverage, shares of a fixed set that the samples reach: `manifold.covered_interval`. None where no more
  than a handful of images covers a reference image alone.

Coverage in simulation (tests/metrics/test_interval_coverage.py: 360 trials a row, 150 for FID-infinity; 200 prompts of
one image or 70 of three; generated set equal to the reference, near it, far from it):

    FD, FID          96.1 %     Inception Score  94.4 %
    FID-infinity     94.7 %     precision        96.1 %
    KID, subsets     97.2 %     recall           95.2 %
    KID, all         93.6 %     density          96.1 %
    CMMD             92.5 %     coverage         97.2 %

An FD of as many images as dimensions, or fewer (64 dimensions; 40, 64, 320 images), was covered 92-100 %. Taking off
the whole of the correction covered 85-98 % there, the plain jackknife 91-100 % and up to 1.5 times too wide.

Limits: the reference set is held fixed, so an interval says nothing about another reference; prompts count as
a random sample of prompts; heavy-tailed features are covered less often (Student's t of 6 degrees, N = 40-320: 89-91
%); distances of few effective dimensions are skewed (CMMD in 4: 91-95 %).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from imagen_bench.metrics.base import FloatArray

LEVEL = 0.95
MIN_CLUSTERS = 8
# Pairs of clusters that the correction looks at: as many as hold about so many pairs of samples, but at least
# and at most so many.
_SAMPLE_PAIRS = 2048
_CLUSTER_PAIRS = (64, 512)

Interval = tuple[float, float]
IndexArray = npt.NDArray[np.intp]
PairTerms = Callable[[IndexArray, IndexArray], FloatArray]
LeaveOut = Callable[[Sequence[IndexArray]], FloatArray]


@dataclass(frozen=True)
class Expansion:
    """A score's expansion in the weights of its samples, S = constant + sum_i L_i + 1/2 sum_ij H_ij + ...

    Attributes:
        first: Float64 array of n terms L_i, the infinitesimal jackknife's influence values over N.
        second: Terms H_ij of the pairs of samples given by two index arrays; None for a score that is linear.
        share: Share of all clusters that the n samples are drawn from.
    """

    first: FloatArray
    second: PairTerms | None = None
    share: float = 1.0


def student_t_interval(value: float, standard_error: float, degrees: float) -> Interval:
    """Return `value` -+ t `standard_error`, with the 97.5 % point t of Student's t with `degrees` degrees."""
    from scipy.special import stdtrit

    half_width = float(stdtrit(degrees, (1 + LEVEL) / 2)) * standard_error
    return value - half_width, value + half_width


def mean_interval(values: npt.ArrayLike, clusters: Sequence[str]) -> Interval | None:
    """Return the 95 % interval of the mean of `values`, robust to dependence inside clusters.

    With r_i = x_i - mean(x) and G clusters g of N samples, SE^2 = G / (G - 1) sum_g (sum_{i in g} r_i)^2 /
    N^2. The interval of a paired difference of two runs is that of the differences of their samples.

    Args:
        values: N scores.
        clusters: N labels.

    Returns:
        (low, high), or None with fewer than two clusters.
    """
    x = np.asarray(values, dtype=np.float64)
    labels, inverse = np.unique(np.asarray(clusters, dtype=str), return_inverse=True)
    if len(labels) < 2:
        return None
    cluster_sums = np.bincount(inverse, weights=x - x.mean())
    variance = len(labels) / (len(labels) - 1) * float(np.sum(cluster_sums**2)) / len(x) ** 2
    return student_t_interval(float(x.mean()), variance**0.5, len(labels) - 1)


def proportion_interval(hits: npt.ArrayLike, clusters: Sequence[str]) -> Interval | None:
    """Return the 95 % interval of a share, by Wilson's formula at the effective number of samples.

    The effective number is p (1 - p) / SE^2 with the cluster-robust SE of `mean_interval`, at most N; where all
    samples agree, so that no SE can be had, it is the number of clusters (Korn & Graubard 1998).

    Args:
        hits: N values, 0 or 1.
        clusters: N labels.

    Returns:
        (low, high) inside [0, 1], or None with fewer than two clusters.
    """
    x = np.asarray(hits, dtype=np.float64)
    linear = mean_interval(x, clusters)
    if linear is None:
        return None
    share, labels = float(x.mean()), len(set(clusters))
    quantile = student_t_interval(0.0, 1.0, labels - 1)[1]
    error = (linear[1] - linear[0]) / 2 / quantile
    n = min(share * (1 - share) / error**2, len(x)) if error > 0 else labels
    spread = quantile**2 / n
    half = (quantile**2 * share * (1 - share) / n + spread**2 / 4) ** 0.5
    middle = share + spread / 2
    # Rounding must not put the share outside.
    low, high = (middle - half) / (1 + spread), (middle + half) / (1 + spread)
    return max(0.0, min(low, share)), min(1.0, max(high, share))


def expansion_interval(
    value: float, expansion: Expansion, clusters: Sequence[str], seed: int = 0, extra_variance: float = 0.0
) -> Interval | None:
    """Return the 95 % interval of a score from its expansion: the infinitesimal jackknife.

    With L_g and H_gh the sums of terms over the samples of clusters g and h, of G clusters: V = G / (G - 1) sum_g
    L_g^2, and C = G (G - 1) / 2 mean(H_gh^2) over a seeded draw of pairs; the interval uses V - min(C, V / 2) / 2.

    Args:
        value: The score.
        expansion: Its terms.
        clusters: Labels of the expansion's n samples.
        seed: Seed of the draw of pairs.
        extra_variance: Variance from elsewhere, such as a draw of subsets.

    Returns:
        (low, high), or None with fewer than `MIN_CLUSTERS` clusters.
    """
    groups = cluster_groups(clusters)
    if len(groups) < MIN_CLUSTERS:
        return None
    sums = np.array([expansion.first[group].sum() for group in groups])
    total = len(groups) / expansion.share
    variance = total / (total - 1) * float(np.sum(sums**2)) / expansion.share
    correction = 0.0
    if expansion.second is not None:
        pairs = _draw_pairs(groups, seed)
        rows = np.concatenate([np.repeat(groups[g], len(groups[h])) for g, h in pairs])
        columns = np.concatenate([np.tile(groups[h], len(groups[g])) for g, h in pairs])
        pair_of = np.repeat(np.arange(len(pairs)), [len(groups[g]) * len(groups[h]) for g, h in pairs])
        terms = np.bincount(pair_of, weights=expansion.second(rows, columns))
        correction = total * (total - 1) / 2 * float(np.mean(terms**2))
    variance = _without_half(variance, correction) + extra_variance
    return student_t_interval(value, variance**0.5, len(groups) - 1)


def jackknife_interval(
    value: float, leave_out: LeaveOut, clusters: Sequence[str], share: float = 1.0, seed: int = 0
) -> Interval | None:
    """Return the 95 % interval of a score by leaving out one cluster at a time, and some pairs of clusters.

    With G clusters, S the score of all, S_g without cluster g and S_gh without both: V = (G - 1) / G sum_g (S_g -
    mean S_g)^2, and C = Var(Q_gh) / 2 (G - 1) / G with Q_gh = G S - (G - 1) (S_g + S_h) + (G - 2) S_gh over a seeded
    draw of pairs; the interval uses V - min(C, V / 2) / 2.

    Args:
        value: S.
        leave_out: Returns the score without each of some groups of samples, given by their numbers.
        clusters: Labels of the samples that may be left out.
        share: Share of all clusters that these samples are.
        seed: Seed of the draw of pairs.

    Returns:
        (low, high), or None with fewer than `MIN_CLUSTERS` clusters.
    """
    groups = cluster_groups(clusters)
    if len(groups) < MIN_CLUSTERS:
        return None
    total = len(groups) / share
    single = leave_out(groups)
    variance = (total - 1) ** 2 / total * float(np.var(single, ddof=1))
    pairs = _draw_pairs(groups, seed)
    double = leave_out([np.concatenate([groups[g], groups[h]]) for g, h in pairs])
    one, other = np.array(pairs).T
    q = total * value - (total - 1) * (single[one] + single[other]) + (total - 2) * double
    correction = float(np.var(q)) / 2 * (total - 1) / total
    return student_t_interval(value, _without_half(variance, correction) ** 0.5, len(groups) - 1)


def cluster_groups(clusters: Sequence[str]) -> list[IndexArray]:
    """Return the numbers of the samples of each cluster, in the order of the labels."""
    _, inverse, counts = np.unique(np.asarray(clusters, dtype=str), return_inverse=True, return_counts=True)
    return np.split(np.argsort(inverse, kind="stable"), np.cumsum(counts)[:-1])


def _without_half(variance: float, correction: float) -> float:
    return variance - min(correction, variance / 2) / 2


def _draw_pairs(groups: Sequence[IndexArray], seed: int) -> list[tuple[int, int]]:
    """Draw pairs of different clusters."""
    count, size = len(groups), sum(len(group) for group in groups) / len(groups)
    least, most = _CLUSTER_PAIRS
    pairs = int(np.clip(_SAMPLE_PAIRS / size**2, least, most))
    rng = np.random.default_rng(seed)
    one = rng.integers(count, size=pairs)
    other = (one + rng.integers(1, count, size=pairs)) % count
    return list(zip(one.tolist(), other.tolist(), strict=True))
