"""Base of the metrics that compare single images with each other, and so have to keep all features."""

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
    checked_features,
    checked_length,
)
from imagen_bench.metrics.intervals import Interval


class StoredFeaturesMetric(Metric):
    """A metric that keeps the features of all generated images.

    Float32 features, as extractors give them, are kept as they come, 4 N D bytes in all however many metrics hold the
    same arrays; so an array must not be written to after it was given.
    """

    higher_is_better: ClassVar[bool] = False
    needs: ClassVar[frozenset[Need]] = frozenset()

    def __init__(self, context: MetricContext) -> None:
        super().__init__(context)
        self._features: list[npt.NDArray[np.float32] | FloatArray] = []
        self._clusters: list[str] = []

    def update(self, batch: FeatureBatch) -> None:
        """Take the image features of N images."""
        features = checked_features(batch.image, "image features")
        checked_length(batch.clusters, len(features), "cluster labels")
        if self._features and features.shape[1] != self._features[0].shape[1]:
            raise InputError(
                f"features have {features.shape[1]} dimensions, expected {self._features[0].shape[1]}: "
                "use one extractor"
            )
        given = np.asarray(batch.image)
        self._features.append(given if given.dtype == np.float32 else features)
        self._clusters.extend(batch.clusters)

    def merge(self, other: Self) -> None:
        """Append the samples that `other` saw."""
        self._features.extend(other._features)
        self._clusters.extend(other._clusters)

    @property
    def clusters(self) -> Sequence[str]:
        """Cluster label of each image."""
        return self._clusters

    def generated(self, least: int) -> FloatArray:
        """Return the features of all images, float64, N x D.

        Raises:
            InputError: There are fewer than `least`.
        """
        count = len(self._clusters)
        if count < least:
            raise InputError(f"{self.name} needs at least {least} images, found {count}")
        return np.concatenate(self._features, dtype=np.float64)

    def reference(self, least: int) -> FloatArray:
        """Return the reference's features, float64, M x D.

        Raises:
            InputError: There are none, fewer than `least`, or those of another extractor.
        """
        if self.context.reference_features is None:
            raise InputError(
                f"{self.name} compares with single reference images, found none: give their folder or file "
                "(moments alone, as a statistics file holds them, are not enough)"
            )
        features = checked_features(self.context.reference_features, "reference features")
        if len(features) < least:
            raise InputError(f"{self.name} needs at least {least} reference images, found {len(features)}")
        if self._features and features.shape[1] != self._features[0].shape[1]:
            raise InputError(
                f"features of {self._features[0].shape[1]} and {features.shape[1]} dimensions: "
                "expected those of one extractor"
            )
        return features

    def result(
        self,
        value: float,
        interval: Interval | None,
        per_sample: FloatArray | None = None,
        details: dict[str, float] | None = None,
    ) -> MetricResult:
        """Return a result of all images seen."""
        low, high = interval or (None, None)
        return MetricResult(
            self.name,
            self.label,
            value,
            low,
            high,
            len(self._clusters),
            self.higher_is_better,
            per_sample,
            details or {},
        )
