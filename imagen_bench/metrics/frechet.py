"""Fréchet distance (FD) between Gaussians fitted to the features of two image sets.

FD = |m1 - m2|^2 + tr(S1 + S2 - 2 (S1^1/2 S2 S1^1/2)^1/2), Dowson & Landau 1982; with the 2015 Inception
network's features it is the FID of Heusel et al. 2017 (arXiv:1706.08500, eq. 6), and only then is it called
so. The matrix under the root is symmetric, so its eigenvalues are real: no complex square root, no imaginary
part to drop. Covariances divide by N - 1, as in every FID code. The value falls with the number of images, so
only scores of the same N are comparable.
"""

from __future__ import annotations

from typing import ClassVar, Self

import numpy as np

from imagen_bench.errors import InputError
from imagen_bench.metrics.base import (
    FeatureBatch,
    FloatArray,
    Metric,
    MetricContext,
    MetricResult,
    Need,
    checked_features,
    checked_length,
    metrics,
)
from imagen_bench.metrics.cluster_sample import ClusterSample
from imagen_bench.metrics.frechet_jackknife import LeaveOut
from imagen_bench.metrics.intervals import jackknife_interval
from imagen_bench.metrics.options import NoOptions, read_options
from imagen_bench.metrics.statistics import (
    GaussianStatistics,
    RunningMoments,
    features_to_statistics,
    load_statistics,
    save_statistics,
)
from imagen_bench.metrics.symmetric import cholesky, congruent, eigenvalues_of, eigenvectors_of

__all__ = [
    "FrechetDistance",
    "GaussianStatistics",
    "RunningMoments",
    "covariance_factor",
    "features_to_statistics",
    "frechet_distance",
    "load_statistics",
    "save_statistics",
    "symmetric_root",
]

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
    eigenvalues = eigenvalues_of(congruent(cov1, covariance_factor(cov2)))
    return eigenvalues_to_distance(mean1, cov1, mean2, cov2, without_noise(eigenvalues))


def eigenvalues_to_distance(
    mean1: FloatArray, cov1: FloatArray, mean2: FloatArray, cov2: FloatArray, eigenvalues: FloatArray
) -> float:
    """Return the Fréchet distance, at least 0, given the eigenvalues of F^T S1 F with S2 = F F^T."""
    difference = mean1 - mean2
    traces = float(np.trace(cov1) + np.trace(cov2) - 2 * np.sqrt(eigenvalues).sum())
    return max(0.0, float(difference @ difference) + traces)


def covariance_factor(matrix: FloatArray) -> FloatArray:
    """Return F with F F^T = `matrix`: the Cholesky factor, or the symmetric root where the rank is not full.

    S1^1/2 S2 S1^1/2 and F^T S2 F have the same eigenvalues, and Cholesky is many times cheaper than a root.
    """
    factor = cholesky(matrix)
    return symmetric_root(matrix) if factor is None else factor


def symmetric_root(matrix: FloatArray) -> FloatArray:
    """Return the symmetric root of a symmetric positive semi-definite matrix, negative rounding clipped."""
    values, vectors = eigenvectors_of(matrix)
    root: FloatArray = (vectors * np.sqrt(without_noise(values))) @ vectors.T
    return root


def without_noise(eigenvalues: FloatArray) -> FloatArray:
    """Return eigenvalues, those that are rounding noise (or negative) set to 0."""
    floor = _NOISE * max(float(eigenvalues.max(initial=0.0)), 0.0)
    kept: FloatArray = np.where(eigenvalues > floor, eigenvalues, 0.0)
    return kept


class FrechetFit:
    """FD of images whose moments are known, and without some of them.

    Args:
        moments: Moments of the images.
        reference: Moments of the reference.
        rows: Float64, R x D: features of the images that may be left out.
    """

    def __init__(self, moments: RunningMoments, reference: GaussianStatistics, rows: FloatArray) -> None:
        mean, covariance = moments.mean, moments.covariance
        factor = covariance_factor(reference.covariance)
        eigenvalues, vectors = eigenvectors_of(congruent(covariance, factor))
        eigenvalues = without_noise(eigenvalues)
        self.distance = eigenvalues_to_distance(mean, covariance, reference.mean, reference.covariance, eigenvalues)
        self.without = LeaveOut(rows, moments, reference, factor, eigenvalues, vectors)


@metrics.register("fd")
class FrechetDistance(Metric):
    """FD of the generated images from the reference, in the features that the user chose.

    Value and interval need running moments and a bounded sample of features: memory does not grow with N.
    """

    name: ClassVar[str] = "fd"
    interval_words: ClassVar[str] = (
        "Student's t with a jackknife that leaves out one prompt at a time; the reference set is held fixed."
    )
    higher_is_better: ClassVar[bool] = False
    needs: ClassVar[frozenset[Need]] = frozenset({"reference"})

    def __init__(self, context: MetricContext) -> None:
        super().__init__(context)
        read_options(NoOptions, context, self.name)
        if context.reference is None:
            raise InputError("the Fréchet distance needs a reference set, found none: give a reference")
        self._reference = context.reference
        self._moments = RunningMoments(context.reference.dim)
        self._sample = ClusterSample(context.seed)

    @property
    def label(self) -> str:
        """What people read; never "FID", which is the name for Inception features."""
        return f"FD ({self.context.extractor})"

    def update(self, batch: FeatureBatch) -> None:
        """Take the image features of N images."""
        features = checked_features(batch.image, "image features")
        checked_length(batch.clusters, len(features), "cluster labels")
        self._moments.update(features)
        self._sample.update(features.astype(np.float32), batch.clusters)

    def merge(self, other: Self) -> None:
        """Add the samples that `other` saw."""
        self._moments.merge(other._moments)
        self._sample.merge(other._sample)

    def compute(self) -> MetricResult:
        """Return the distance and its interval at this number of images."""
        features, clusters, share = self._sample.rows()
        fit = FrechetFit(self._moments, self._reference, features.astype(np.float64))
        value = fit.distance
        low, high = jackknife_interval(value, fit.without, clusters, share, self.context.seed) or (None, None)
        low = max(low, 0.0) if low is not None else None
        return MetricResult(self.name, self.label, value, low, high, self._moments.n, self.higher_is_better)


@metrics.register("fid")
class Fid(FrechetDistance):
    """FID: the FD in the 2048 pooled features of the 2015 Inception network (Heusel et al. 2017)."""

    name: ClassVar[str] = "fid"
    features: ClassVar[str | None] = "inception"

    @property
    def label(self) -> str:
        """What people read."""
        return "FID"


@metrics.register("fd_dinov2")
class FdDinov2(FrechetDistance):
    """FD-DINOv2: the FD in features of DINOv2 ViT-L/14 (Stein et al. 2023, arXiv:2306.04675)."""

    name: ClassVar[str] = "fd_dinov2"
    features: ClassVar[str | None] = "dinov2-vitl14"

    @property
    def label(self) -> str:
        """What people read."""
        return "FD-DINOv2"


@metrics.register("clip_fid")
class ClipFid(FrechetDistance):
    """CLIP-FID: the FD in CLIP image features (Kynkäänniemi et al. 2023, arXiv:2203.06026); they use ViT-B/32."""

    name: ClassVar[str] = "clip_fid"

    @property
    def label(self) -> str:
        """What people read."""
        return f"CLIP-FID ({self.context.extractor})"
