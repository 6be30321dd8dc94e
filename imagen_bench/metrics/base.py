"""What a metric is: the features it is fed, its context, its result, and the registry of metrics.

A metric plug-in is one class, announced under the entry point group `imagen_bench.metrics`:

    @metrics.register("my_metric")
    class MyMetric(Metric): ...

Sums are kept in float64, so that a score does not depend on the batch size or on how the samples were split.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import numpy as np
import numpy.typing as npt

from imagen_bench.errors import InputError, ModelError
from imagen_bench.registry import Registry

if TYPE_CHECKING:
    from imagen_bench.metrics.statistics import GaussianStatistics

FloatArray = npt.NDArray[np.float64]
Need = Literal["captions", "reference", "reference_features"]


@dataclass(frozen=True)
class FeatureBatch:
    """Features of N generated images, and what is known of them.

    Attributes:
        image: Float array N x D, the extractor's image features (not normalised).
        clusters: N labels; samples of one label (one prompt) are not independent of each other.
        text: Float array N x D, features of each image's prompt; None where no prompts are known.
        categories: N category names, or none at all.
        text_prefix: What was put before each prompt before its features were taken.
    """

    image: npt.ArrayLike
    clusters: Sequence[str]
    text: npt.ArrayLike | None = None
    categories: Sequence[str] = ()
    text_prefix: str = ""


@dataclass(frozen=True)
class MetricContext:
    """What a metric may use besides the generated images.

    Attributes:
        extractor: Short name of the extractor, for the metric's label.
        reference: Moments of the reference set's features; None where there is no reference.
        seed: Seed of whatever a metric or its interval draws.
        reference_features: Float32 array M x D of the reference set; None where no metric needs them.
        options: What the user set of the metric's own options; the metric checks them.
    """

    extractor: str
    reference: GaussianStatistics | None = None
    seed: int = 0
    reference_features: npt.NDArray[np.float32] | None = None
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class MetricResult:
    """A score and how sure it is.

    Attributes:
        name: Registry name of the metric.
        label: What people read, with the extractor in it: "FD (imagen-emoji)".
        value: The score.
        low: Lower end of the 95 % interval; None where too few prompts allow none.
        high: Upper end of the 95 % interval.
        n: Number of images.
        higher_is_better: Direction of the metric.
        per_sample: Float64 array of n scores in the order of the updates, where a single image has one.
        details: Further numbers of the definition: the deviation over splits or subsets, the slope of a fit.
    """

    name: str
    label: str
    value: float
    low: float | None
    high: float | None
    n: int
    higher_is_better: bool
    per_sample: FloatArray | None = None
    details: Mapping[str, float] = field(default_factory=dict)


class Metric(ABC):
    """A score of a set of images: `update` with features, `merge` what other workers saw, `compute`.

    Attributes:
        name: Registry name.
        higher_is_better: Direction.
        needs: What else than the images' features it needs.
        features: Name of the extractor that it is defined on ("inception", "dinov2-vitl14"); None for the one
            that the user chose.
        text_prefix: What its definition puts before each prompt; its batches carry the features of the prompts
            with that prefix, and say so in their own `text_prefix`.
        interval_words: How its 95 % interval is made, a sentence for reports; empty where it has none.
    """

    name: ClassVar[str]
    higher_is_better: ClassVar[bool]
    needs: ClassVar[frozenset[Need]]
    features: ClassVar[str | None] = None
    text_prefix: ClassVar[str] = ""
    interval_words: ClassVar[str] = ""

    def __init__(self, context: MetricContext) -> None:
        self.context = context

    @property
    @abstractmethod
    def label(self) -> str:
        """What people read; it names the extractor."""

    def options(self) -> dict[str, Any]:
        """Return the options of the definition (subset size, neighbours...) as JSON-able values.

        They are part of the protocol: scores made with others are not comparable.
        """
        return {}

    @abstractmethod
    def update(self, batch: FeatureBatch) -> None:
        """Take the features of some images.

        Raises:
            InputError: The batch lacks what the metric needs, or its parts differ in length.
            ModelError: A feature is NaN or infinite.
        """

    @abstractmethod
    def merge(self, other: Self) -> None:
        """Take over what `other` has seen; it is as if its batches had been given to this one."""

    @abstractmethod
    def compute(self) -> MetricResult:
        """Return the score of all images seen.

        Raises:
            InputError: Too few images were seen.
        """

    def compute_categories(self) -> dict[str, MetricResult]:
        """Return a score for each category seen, for metrics that mean something on few images."""
        return {}


metrics: Registry[type[Metric]] = Registry(
    "metric",
    "imagen_bench.metrics",
    modules=[
        f"imagen_bench.metrics.{module}"
        for module in (
            "clip_score",
            "cmmd",
            "fid_infinity",
            "frechet",
            "inception_score",
            "kernel",
            "neighbours",
        )
    ],
)


def checked_features(features: npt.ArrayLike, what: str) -> FloatArray:
    """Return features as a float64 array N x D.

    Args:
        features: Array or CPU tensor.
        what: What error messages call them.

    Raises:
        InputError: Not two-dimensional.
        ModelError: NaN or infinite, which a broken model gives and every sum would keep.
    """
    array = np.asarray(features, dtype=np.float64)
    if array.ndim != 2:
        raise InputError(f"{what} have shape {array.shape}, expected N x D")
    if not np.isfinite(array).all():
        raise ModelError(f"{what} hold NaN or infinite values: check the extractor's weights")
    return array


def checked_length(found: Sequence[object], count: int, what: str) -> None:
    """Check that a batch has one label for each image.

    Raises:
        InputError: It has more or fewer.
    """
    if len(found) != count:
        raise InputError(f"{len(found)} {what} for {count} images, expected one for each image")
