"""Precision, recall, density and coverage: fidelity and diversity told apart by nearest neighbours.

A set's manifold is the union of balls around its points, each reaching to the point's k-th nearest neighbour in
the same set. Precision is the share of generated images in the reference's manifold, recall the share of
reference images in the generated one (Kynkäänniemi et al. 2019, arXiv:1904.06991, eq. 2; k = 3). Density counts
how many reference balls hold a generated image, over k; coverage is the share of reference balls that hold any
(Naeem et al. 2020, arXiv:2002.09797, eqs. 3 and 4; k = 5). As in the authors' codes a point on the sphere is in
the first kind of ball and not in the second. All four depend on the numbers of images on both sides.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from imagen_bench.config import Count, Section
from imagen_bench.metrics.base import FloatArray, MetricContext, MetricResult, Need, metrics
from imagen_bench.metrics.intervals import mean_interval, proportion_interval
from imagen_bench.metrics.manifold import covered_interval, covered_share
from imagen_bench.metrics.nearest import Inside, inside_balls, squared_radii
from imagen_bench.metrics.options import read_options
from imagen_bench.metrics.stored_features import StoredFeaturesMetric

_COVERED = (
    "Student's t, from the reference images that one or two prompts cover alone; none where a handful of images "
    "decides; the reference set is held fixed."
)


class ManifoldOptions(Section):
    """Options of precision and recall."""

    k: Count = 3


class BallOptions(Section):
    """Options of density and coverage."""

    k: Count = 5


class NeighbourMetric(StoredFeaturesMetric):
    """What the four have in common: Inception features, the option k, the reference's balls."""

    higher_is_better: ClassVar[bool] = True
    features: ClassVar[str | None] = "inception"
    needs: ClassVar[frozenset[Need]] = frozenset({"reference_features"})
    words: ClassVar[str]
    options_model: ClassVar[type[ManifoldOptions] | type[BallOptions]]

    def __init__(self, context: MetricContext) -> None:
        super().__init__(context)
        self._k = read_options(self.options_model, context, self.name).k

    @property
    def label(self) -> str:
        """What people read."""
        return f"{self.words} (Inception, k = {self._k})"

    def options(self) -> dict[str, Any]:
        """The number of neighbours."""
        return {"k": self._k}

    def _in_reference_balls(self) -> Inside:
        """Which generated images lie in which reference balls."""
        reference = self.reference(least=self._k + 1)
        squared = squared_radii(reference, self._k)
        closed = self.options_model is ManifoldOptions
        return inside_balls(reference, squared, self.generated(least=1), closed)


@metrics.register("precision")
class Precision(NeighbourMetric):
    """Share of generated images in the reference's manifold; per sample 1 or 0."""

    name: ClassVar[str] = "precision"
    interval_words: ClassVar[str] = (
        "Wilson's formula at the effective number of images, clustered by prompt; the reference set is held fixed."
    )
    words: ClassVar[str] = "Precision"
    options_model = ManifoldOptions

    def compute(self) -> MetricResult:
        """Return precision, its interval and each image's 1 or 0."""
        hits = (self._in_reference_balls().per_point() > 0).astype(np.float64)
        return self.result(float(hits.mean()), proportion_interval(hits, self.clusters), hits)


@metrics.register("density")
class Density(NeighbourMetric):
    """Mean number of reference balls around a generated image, over k: 1 if both sets are alike."""

    name: ClassVar[str] = "density"
    interval_words: ClassVar[str] = (
        "Student's t with a standard error clustered by prompt; the reference set is held fixed."
    )
    words: ClassVar[str] = "Density"
    options_model = BallOptions

    def compute(self) -> MetricResult:
        """Return density, its interval and each image's number of balls over k."""
        density: FloatArray = self._in_reference_balls().per_point() / self._k
        low, high = mean_interval(density, self.clusters) or (None, None)
        interval = (max(0.0, low), high) if low is not None and high is not None else None
        return self.result(float(density.mean()), interval, density)


@metrics.register("coverage")
class Coverage(NeighbourMetric):
    """Share of reference balls that hold a generated image."""

    name: ClassVar[str] = "coverage"
    interval_words: ClassVar[str] = _COVERED
    words: ClassVar[str] = "Coverage"
    options_model = BallOptions

    def compute(self) -> MetricResult:
        """Return coverage and its interval."""
        inside = self._in_reference_balls().transposed()
        return self.result(covered_share(inside), covered_interval(inside, self.clusters))


@metrics.register("recall")
class Recall(NeighbourMetric):
    """Share of reference images in the generated images' manifold."""

    name: ClassVar[str] = "recall"
    interval_words: ClassVar[str] = _COVERED
    words: ClassVar[str] = "Recall"
    options_model = ManifoldOptions

    def compute(self) -> MetricResult:
        """Return recall and its interval."""
        generated, reference = self.generated(least=self._k + 1), self.reference(least=1)
        squared = squared_radii(generated, self._k)
        inside = inside_balls(generated, squared, reference)
        return self.result(covered_share(inside), covered_interval(inside, self.clusters))
