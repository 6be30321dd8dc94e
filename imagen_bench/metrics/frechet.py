"""Fréchet distance (FD) between Gaussians fitted to the features of two image sets.

FD = |m1 - m2|^2 + tr(S1 + S2 - 2 (S1^1/2 S2 S1^1/2)^1/2), Dowson & Landau 1982; with the 2015 Inception
network's features it is the FID of Heusel et al. 2017 (arXiv:1706.08500, eq. 6), and only then is it called
so. The matrix under the root is symmetric, so its eigenvalues are real: no complex square root, no imaginary
part to drop. Covariances divide by N - 1, as in every FID code. The value falls with the number of images, so
only scores of the same N are comparable.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Self

import numpy as np
import numpy.typing as npt

from imagen_bench.errors import InputError
from imagen_bench.metrics.base import (
    FeatureBatch,
    FloatArray,
    Metric,
    MetricContext,
    MetricResult,
    Need,
    checked_length,
    metrics,
)
from imagen_bench.metrics.intervals import Interval, clusters_to_blocks, jackknife_interval
from imagen_bench.metrics.statistics import (
    GaussianStatistics,
    RunningMoments,
    features_to_statistics,
    load_statistics,
    save_statistics,
)

__all__ = [
    "FrechetDistance",
    "GaussianStatistics",
    "RunningMoments",
    "features_to_statistics",
    "frechet_distance",
    "load_statistics",
    "save_statistics",
    "symmetric_root",
]

# (largest feature dimension, most jackknife blocks): a block costs one eigenvalue problem of that size,
# twice.
_BLOCKS_BY_DIM = ((128, 256), (512, 64), (1024, 40))
_BLOCKS_ABOVE = 20
# Eigenvalues below this share of the largest are rounding noise of exact zeros; their roots would add up.
_NOISE = 64 * float(np.finfo(np.float64).eps)


def frechet_distance(mean1: FloatArray, cov1: FloatArray, mean2: FloatArray, cov2: FloatArray) -> float:
    """Return the Fréchet distance of two Gaussians, at least 0.

    Args:
        mean1: Float64, D.
        cov1: Float64, D x D, symmetric.
        mean2: Float64, D.
        cov2: Float64, D x D, symmetric.

    Raises:
        InputError: The dimensions differ.
    """
    if mean1.shape != mean2.shape or cov1.shape != cov2.shape:
        raise InputError(f"features of {len(mean1)} and {len(mean2)} dimensions: expected those of one extractor")
    return _distance_to_root(mean1, cov1, mean2, symmetric_root(cov2))


def symmetric_root(matrix: FloatArray) -> FloatArray:
    """Return the symmetric root of a symmetric positive semi-definite matrix, negative rounding clipped."""
    values, vectors = np.linalg.eigh((matrix + matrix.T) / 2)
    root: FloatArray = (vectors * _roots(values)) @ vectors.T
    return root


@metrics.register("fd")
class FrechetDistance(Metric):
    """FD of the generated images from the reference, with a jackknife interval over prompts.

    The value needs running moments alone. The interval needs the features again: 4 N D bytes are kept for it.
    """

    name: ClassVar[str] = "fd"
    higher_is_better: ClassVar[bool] = False
    needs: ClassVar[frozenset[Need]] = frozenset({"reference"})

    def __init__(self, context: MetricContext) -> None:
        super().__init__(context)
        if context.reference is None:
            raise InputError("the Fréchet distance needs a reference set, found none: give a reference")
        self._reference = context.reference
        self._moments = RunningMoments(context.reference.dim)
        self._features: list[npt.NDArray[np.float32]] = []
        self._clusters: list[str] = []

    @property
    def label(self) -> str:
        """What people read; never "FID", which is the name for Inception features."""
        return f"FD ({self.context.extractor})"

    def update(self, batch: FeatureBatch) -> None:
        """Take the image features of N images."""
        features = np.asarray(batch.image, dtype=np.float32)
        checked_length(batch.clusters, len(features), "cluster labels")
        self._moments.update(features)
        self._features.append(features)
        self._clusters.extend(batch.clusters)

    def merge(self, other: Self) -> None:
        """Add the samples that `other` saw."""
        self._moments.merge(other._moments)
        self._features.extend(other._features)
        self._clusters.extend(other._clusters)

    def compute(self) -> MetricResult:
        """Return the distance and its interval at this number of images."""
        reference_root = symmetric_root(self._reference.covariance)
        value = self._distance(self._moments, reference_root)
        low, high = self._interval(value, reference_root) or (None, None)
        low = max(low, 0.0) if low is not None else None
        return MetricResult(self.name, self.label, value, low, high, self._moments.n, self.higher_is_better)

    def _interval(self, value: float, reference_root: FloatArray) -> Interval | None:
        limit = next((most for dim, most in _BLOCKS_BY_DIM if self._reference.dim <= dim), _BLOCKS_ABOVE)
        block_of = clusters_to_blocks(self._clusters, limit, self.context.seed)
        blocks = int(block_of.max()) + 1
        features = np.concatenate(self._features)
        members = [np.flatnonzero(block_of == block) for block in range(blocks)]

        def leave_out(which: Sequence[int]) -> float:
            left_out = features[np.concatenate([members[block] for block in which])]
            return self._distance(self._moments.without(left_out), reference_root)

        return jackknife_interval(value, leave_out, blocks, pairs=limit, seed=self.context.seed)

    def _distance(self, moments: RunningMoments, reference_root: FloatArray) -> float:
        return _distance_to_root(moments.mean, moments.covariance, self._reference.mean, reference_root)


def _distance_to_root(mean: FloatArray, cov: FloatArray, mean2: FloatArray, root2: FloatArray) -> float:
    """Fréchet distance to a Gaussian whose covariance is `root2` squared; many distances share that root."""
    product = root2 @ cov @ root2
    eigenvalues: FloatArray = np.linalg.eigvalsh((product + product.T) / 2).astype(np.float64)
    trace_of_root = _roots(eigenvalues).sum()
    difference = mean - mean2
    # tr S2 = |S2^1/2|^2 (Frobenius).
    distance = difference @ difference + np.trace(cov) + np.sum(root2**2) - 2 * trace_of_root
    return max(0.0, float(distance))


def _roots(eigenvalues: FloatArray) -> FloatArray:
    """Square roots of eigenvalues, those that are rounding noise (or negative) taken as 0."""
    floor = _NOISE * max(float(eigenvalues.max(initial=0.0)), 0.0)
    roots: FloatArray = np.sqrt(np.where(eigenvalues > floor, eigenvalues, 0.0))
    return roots
