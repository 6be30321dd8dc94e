"""CLIP score: how well images fit their prompts, as the cosine of CLIP's image and text features.

The value is the raw cosine, as on the axis of Imagen's guidance curves (arXiv:2205.11487, section 4.4).
Others print the same quantity on another scale, and these are metrics of their own here: torchmetrics 100
max(mean cosine, 0); CLIPScore 2.5 max(cosine, 0) with the prompt prefix "A photo depicts " and ViT-B/32 (Hessel
et al. 2021, arXiv:2104.08718, section 3). So 0.27 here is 27 there, or 0.675 without the prefix's effect. Scores
of different CLIP models are not comparable.
"""

from __future__ import annotations

from typing import ClassVar, Self

import numpy as np
import numpy.typing as npt

from imagen_bench.errors import InputError, ModelError
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
from imagen_bench.metrics.intervals import mean_interval
from imagen_bench.metrics.options import NoOptions, read_options

HESSEL_PREFIX = "A photo depicts "


def features_to_cosines(image: npt.ArrayLike, text: npt.ArrayLike) -> FloatArray:
    """Return the cosine of each image with its text.

    Args:
        image: Features, N x D, of any length.
        text: Features, N x D, of any length.

    Returns:
        Float64 array of N cosines in [-1, 1].

    Raises:
        InputError: The shapes differ.
        ModelError: A feature is zero, NaN or infinite, so that it has no direction.
    """
    a = checked_features(image, "image features")
    b = checked_features(text, "text features")
    if a.shape != b.shape:
        raise InputError(f"image features {a.shape} and text features {b.shape} differ in shape, expected equal ones")
    lengths = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    if (lengths == 0).any():
        raise ModelError(f"feature {int(np.argmin(lengths))} is all zeros: check the extractor's weights")
    cosines: FloatArray = np.einsum("nd,nd->n", a, b) / lengths
    return cosines.clip(-1, 1)


@metrics.register("clip_score")
class ClipScore(Metric):
    """Mean cosine of image and prompt, with a cluster-robust interval and a mean for each category."""

    name: ClassVar[str] = "clip_score"
    interval_words: ClassVar[str] = "Student's t with a standard error clustered by prompt."
    higher_is_better: ClassVar[bool] = True
    needs: ClassVar[frozenset[Need]] = frozenset({"captions"})

    def __init__(self, context: MetricContext) -> None:
        super().__init__(context)
        read_options(NoOptions, context, self.name)
        self._cosines: list[float] = []
        self._clusters: list[str] = []
        self._categories: list[str] = []

    @property
    def label(self) -> str:
        """What people read."""
        return f"CLIP score ({self.context.extractor})"

    def update(self, batch: FeatureBatch) -> None:
        """Take image and text features of N images."""
        if batch.text is None:
            raise InputError("the CLIP score needs the prompt of each image, found none: give captions")
        if batch.text_prefix != self.text_prefix:
            raise InputError(
                f"{self.name} scores prompts with the prefix {self.text_prefix!r}, found text features made with "
                f"{batch.text_prefix!r}: extract those of the prefixed prompts"
            )
        cosines = features_to_cosines(batch.image, batch.text)
        checked_length(batch.clusters, len(cosines), "cluster labels")
        if batch.categories:
            checked_length(batch.categories, len(cosines), "categories")
        self._cosines.extend(cosines.tolist())
        self._clusters.extend(batch.clusters)
        self._categories.extend(batch.categories or [""] * len(cosines))

    def merge(self, other: Self) -> None:
        """Append the samples that `other` saw."""
        self._cosines.extend(other._cosines)
        self._clusters.extend(other._clusters)
        self._categories.extend(other._categories)

    def compute(self) -> MetricResult:
        """Return the mean cosine, its interval and the cosine of each sample."""
        return self._mean_of(range(len(self._cosines)))

    def compute_categories(self) -> dict[str, MetricResult]:
        """Return the mean cosine of each named category, in the order of their names."""
        names = sorted(set(self._categories) - {""})
        return {
            name: self._mean_of([i for i, category in enumerate(self._categories) if category == name])
            for name in names
        }

    def _mean_of(self, samples: range | list[int]) -> MetricResult:
        if not samples:
            raise InputError("no images were scored: expected at least one")
        values = self._scale(np.array([self._cosines[i] for i in samples]))
        low, high = mean_interval(values, [self._clusters[i] for i in samples]) or (None, None)
        return MetricResult(
            self.name, self.label, float(values.mean()), low, high, len(values), self.higher_is_better, values
        )

    @staticmethod
    def _scale(cosines: FloatArray) -> FloatArray:
        """Return the scores of single samples, given their cosines."""
        return cosines


@metrics.register("clip_score_100")
class ClipScore100(ClipScore):
    """100 times the CLIP score, as torchmetrics prints it; that also clamps a mean below 0, which this does not."""

    name: ClassVar[str] = "clip_score_100"

    @property
    def label(self) -> str:
        """What people read."""
        return f"CLIP score x 100 ({self.context.extractor})"

    @staticmethod
    def _scale(cosines: FloatArray) -> FloatArray:
        return 100 * cosines


@metrics.register("clipscore_hessel")
class ClipScoreHessel(ClipScore):
    """2.5 max(cosine, 0): the scale of CLIPScore (Hessel et al. 2021), prompts as they are."""

    name: ClassVar[str] = "clipscore_hessel"

    @property
    def label(self) -> str:
        """What people read."""
        return f"CLIPScore without prefix ({self.context.extractor})"

    @staticmethod
    def _scale(cosines: FloatArray) -> FloatArray:
        return 2.5 * np.maximum(cosines, 0)


@metrics.register("clipscore_hessel_prefix")
class ClipScoreHesselPrefix(ClipScoreHessel):
    """CLIPScore as Hessel et al. 2021 define it, "A photo depicts " before each prompt; they use ViT-B/32."""

    name: ClassVar[str] = "clipscore_hessel_prefix"
    text_prefix: ClassVar[str] = HESSEL_PREFIX

    @property
    def label(self) -> str:
        """What people read."""
        return f"CLIPScore ({self.context.extractor})"
