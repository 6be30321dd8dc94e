"""Kernel Inception Distance (KID): the unbiased MMD^2 in Inception features under a cubic kernel.

Binkowski et al. 2018 (arXiv:1801.01401, section 4). The value is the mean over random subsets, as everybody
prints it; its expectation depends neither on the number of images nor on the size of the subsets. With equal
features, order and seed it is torch-fidelity's number.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from imagen_bench.config import Section
from imagen_bench.metrics.base import FloatArray, MetricContext, MetricResult, Need, metrics
from imagen_bench.metrics.cluster_sample import sampled_clusters
from imagen_bench.metrics.intervals import Expansion, IndexArray, expansion_interval
from imagen_bench.metrics.mmd import (
    Kernel,
    gram,
    mmd_expansion,
    pairwise,
    polynomial_kernel,
    row_means,
    unbiased_mmd,
    without_self,
)
from imagen_bench.metrics.options import read_options
from imagen_bench.metrics.stored_features import StoredFeaturesMetric

# A kernel matrix up to this many entries (128 MiB) is computed once for all subsets.
_KEPT_ENTRIES = 2**24
# The interval compares with at most so many samples of each set.
_COMPARED = 10_000


class KidOptions(Section):
    """Options of KID: how it is estimated. The seed is torch-fidelity's by default."""

    estimator: Literal["subsets", "full"] = "subsets"
    subsets: Annotated[int, Field(strict=True, ge=2)] = 100
    subset_size: Annotated[int, Field(strict=True, ge=2)] = 1000
    seed: Annotated[int, Field(strict=True, ge=0, lt=2**32)] = 2020


def draw_subsets(n: int, m: int, subsets: int, size: int, seed: int) -> list[tuple[IndexArray, IndexArray]]:
    """Draw pairs of subsets of 0..n-1 and 0..m-1, each without replacement, in torch-fidelity's order."""
    rng = np.random.RandomState(seed)
    return [(rng.choice(n, size, replace=False), rng.choice(m, size, replace=False)) for _ in range(subsets)]


def subset_estimates(
    x: FloatArray, y: FloatArray, kernel: Kernel, subsets: list[tuple[IndexArray, IndexArray]]
) -> FloatArray:
    """Return the unbiased MMD^2 of each pair of subsets of `x` (N x D) and `y` (M x D)."""
    xx, xy, yy = _lookup(x, x, kernel), _lookup(x, y, kernel), _lookup(y, y, kernel)
    return np.array([unbiased_mmd(xx(i, i), xy(i, j), yy(j, j)) for i, j in subsets])


def full_estimate(x: FloatArray, y: FloatArray, kernel: Kernel) -> float:
    """Return the unbiased MMD^2 of all samples: the mean over all subsets of any size."""
    within = [without_self(row_means(each, each, kernel), each, kernel).mean() for each in (x, y)]
    return float(within[0] + within[1] - 2 * row_means(x, y, kernel).mean())


@metrics.register("kid")
class KernelInceptionDistance(StoredFeaturesMetric):
    """KID as the mean over subsets, or over all samples at once with the option `estimator = "full"`.

    Subsets hold `subset_size` samples, or all where there are fewer; details says how many. The interval adds the
    variance of the draw of subsets to that of the images; for it at most 10,000 samples of each set are compared.
    """

    name: ClassVar[str] = "kid"
    interval_words: ClassVar[str] = (
        "Student's t with the infinitesimal jackknife over prompts, and the draw of subsets added; the reference set "
        "is held fixed."
    )
    features: ClassVar[str | None] = "inception"
    needs: ClassVar[frozenset[Need]] = frozenset({"reference_features"})

    def __init__(self, context: MetricContext) -> None:
        super().__init__(context)
        self._options = read_options(KidOptions, context, self.name)

    @property
    def label(self) -> str:
        """What people read."""
        return "KID" if self._options.estimator == "subsets" else "KID (all samples)"

    def options(self) -> dict[str, Any]:
        """Estimator, and number, size and seed of the subsets."""
        if self._options.estimator == "full":
            return {"estimator": "full"}
        return self._options.model_dump()

    def compute(self) -> MetricResult:
        """Return KID, its interval, and the deviation over subsets as torch-fidelity prints it."""
        x, y = self.generated(least=2), self.reference(least=2)
        kernel = polynomial_kernel(x.shape[1])
        rows, share = sampled_clusters(self.clusters, self.context.seed)
        expansion = _expansion(x, y, kernel, rows, share, self.context.seed)
        if self._options.estimator == "full":
            value, drawing, details = full_estimate(x, y, kernel), 0.0, {}
        else:
            options = self._options
            size = min(options.subset_size, len(x), len(y))
            pairs = draw_subsets(len(x), len(y), options.subsets, size, options.seed)
            estimates = subset_estimates(x, y, kernel, pairs)
            value, drawing = float(estimates.mean()), float(estimates.var(ddof=1)) / len(estimates)
            details = {"std": float(estimates.std()), "subset_size": size}
        clusters = [self.clusters[row] for row in rows]
        interval = expansion_interval(value, expansion, clusters, self.context.seed, drawing)
        return self.result(value, interval, details=details)


def _lookup(x: FloatArray, y: FloatArray, kernel: Kernel) -> Callable[[IndexArray, IndexArray], FloatArray]:
    """Return a function from row and column numbers to that part of the kernel matrix."""
    if len(x) * len(y) > _KEPT_ENTRIES:
        return lambda rows, columns: gram(x[rows], y[columns], kernel)
    whole = gram(x, y, kernel)
    return lambda rows, columns: whole[np.ix_(rows, columns)]


def _expansion(x: FloatArray, y: FloatArray, kernel: Kernel, rows: IndexArray, share: float, seed: int) -> Expansion:
    rng = np.random.default_rng(seed)
    others, references = (rng.permutation(len(features))[:_COMPARED] for features in (x, y))
    own = np.isin(rows, others) * pairwise(x[rows], x[rows], kernel)
    within = (len(others) * row_means(x[rows], x[others], kernel) - own) / (len(others) - np.isin(rows, others))
    across = row_means(x[rows], y[references], kernel)
    return mmd_expansion(x[rows], within, across, kernel, len(x), share)
