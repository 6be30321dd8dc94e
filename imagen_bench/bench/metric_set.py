"""The metrics of an evaluation: which there are, in which feature spaces, with which options, and their protocols."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imagen_bench.bench.protocol import protocol_id, protocol_words
from imagen_bench.bench.reference import Reference, ReferenceNeeds, open_reference
from imagen_bench.bench.reference_pass import extract_alone
from imagen_bench.errors import ConfigError, InputError
from imagen_bench.metrics.base import Metric, MetricContext, MetricResult, metrics
from imagen_bench.metrics.statistics import NPZ_EXTRACTOR
from imagen_bench.suggest import did_you_mean

if TYPE_CHECKING:
    from imagen_bench.bench.reference_pass import Extract
    from imagen_bench.data.references import ImageSet
    from imagen_bench.metrics.extractors import Extractor, ImageExtractor

_FEW_PER_DIMENSION = 10


@dataclass(frozen=True)
class MetricUse:
    """One metric on one feature space.

    Attributes:
        name: Registry name.
        space: Feature space, a key of `MetricSet.spaces`.
        note: What is added to the label to tell it from the same metric in another space.
    """

    name: str
    space: str
    note: str = ""


@dataclass(frozen=True)
class PromptSource:
    """Where prompts come from, as it enters protocols.

    Attributes:
        key: `prompt_set_key(...)`.
        samples_per_prompt: Images of each prompt.
    """

    key: str
    samples_per_prompt: int


@dataclass(frozen=True)
class MetricSet:
    """Metrics with everything that they are computed with.

    Attributes:
        uses: The metrics, in order.
        spaces: Extractor of each feature space.
        reference: The reference set; None if no metric needs one.
        options: What the user set of each metric's options.
        seed: Seed of whatever an interval draws.
    """

    uses: tuple[MetricUse, ...]
    spaces: Mapping[str, ImageExtractor]
    reference: Reference | None = None
    options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    seed: int = 0

    def new_metric(self, use: MetricUse) -> Metric:
        """Return an empty metric.

        Raises:
            ConfigError: Its options are wrong.
        """
        reference = self.reference
        context = MetricContext(
            extractor=self.spaces[use.space].short_name,
            reference=reference.moments.get(use.space) if reference else None,
            seed=self.seed,
            reference_features=reference.features.get(use.space) if reference else None,
            options=self.options.get(use.name, {}),
        )
        return metrics.get(use.name)(context)

    def label(self, use: MetricUse) -> str:
        """Return what people read."""
        return self.new_metric(use).label + (f" [{use.note}]" if use.note else "")

    def labelled(self, use: MetricUse, result: MetricResult) -> MetricResult:
        """Return a result with the label of its use."""
        return dataclasses.replace(result, label=result.label + f" [{use.note}]") if use.note else result

    def protocol(self, use: MetricUse, prompts: PromptSource, n: int) -> dict[str, Any]:
        """Return id, words, label, direction and interval of a metric's protocol, as run.json holds them."""
        metric = self.new_metric(use)
        reference = self.reference if _compares(use.name) else None
        against = reference.words if reference is not None else None
        common = (prompts.key, prompts.samples_per_prompt, self.spaces[use.space].id)
        digest = reference.digest if reference is not None else None
        options = metric.options()
        label = self.label(use)
        return {
            "id": protocol_id(use.name, *common, digest, n, options),
            "words": protocol_words(label, *common, against, n, options),
            "label": label,
            "higher_is_better": metric.higher_is_better,
            "interval": metric.interval_words,
        }

    def text_needs(self) -> dict[tuple[str, str], None]:
        """Return the (feature space, prefix) pairs in which prompts are needed, in order."""
        pairs = ((use.space, metrics.get(use.name)) for use in self.uses)
        return {(space, kind.text_prefix): None for space, kind in pairs if "captions" in kind.needs}

    def text_extractor(self, space: str) -> Extractor:
        """Return the extractor of a space that reads texts too.

        Raises:
            ConfigError: It reads images alone.
        """
        from imagen_bench.metrics.extractors import Extractor

        extractor = self.spaces[space]
        if not isinstance(extractor, Extractor):
            raise ConfigError(f"{extractor.short_name} reads no texts: a metric on it cannot use captions")
        return extractor

    def truncated(self) -> int:
        """Return how many prompts so far were longer than an extractor reads."""
        return max((int(getattr(extractor, "truncated", 0)) for extractor in self.spaces.values()), default=0)

    def forget_truncated(self) -> None:
        """Start counting the prompts that are too long afresh."""
        from imagen_bench.metrics.extractors import Extractor

        for extractor in self.spaces.values():
            if isinstance(extractor, Extractor):
                extractor.truncated = 0

    def foreign_weights(self) -> list[str]:
        """Say where Inception features come from other weights than the published ones."""
        from imagen_bench.metrics.inception import InceptionNetwork
        from imagen_bench.metrics.weights import CATALOGUE

        published = CATALOGUE["inception"].sha256
        for extractor in self.spaces.values():
            network = getattr(extractor, "network", None)
            if isinstance(network, InceptionNetwork) and network.weights.sha256 != published:
                return [
                    f"the Inception weights are not the published file (SHA-256 {network.weights.sha256[:16]}…): "
                    "compare these scores with no published ones"
                ]
        return []

    def few_images(self, n: int) -> list[str]:
        """Say, one sentence each, where there are too few images for a covariance."""
        reference, found = self.reference, []
        if reference is None:
            return []
        for dim in dict.fromkeys(self.spaces[space].dim for space in reference.moments):
            for count, what in ((n, "images"), (reference.n, f"images of the reference {reference.name}")):
                # 0 stands for a number that nobody knows.
                found += _few(count, what, dim) if count else []
        return found

    def assumed(self) -> list[str]:
        """Say where the extractor of a reference is taken at the user's word."""
        moments = self.reference.moments if self.reference is not None else {}
        return [
            f"the statistics {found.name} do not say their extractor or number of images: they are taken to be of "
            f"{self.spaces[space].id}; those of pytorch-fid are of its resize mode (--resize pytorch-fid)"
            for space, found in moments.items()
            if found.extractor_id == NPZ_EXTRACTOR
        ]


def named_uses(names: Sequence[str], resize_note: str = "") -> tuple[MetricUse, ...]:
    """Return each metric in the feature space that it is defined on.

    Args:
        names: Registry names.
        resize_note: Added to the labels of metrics on Inception features, for a resize mode other than the default.

    Raises:
        ConfigError: An unknown metric, or one on an unknown feature space.
    """
    from imagen_bench.metrics.feature_spaces import INCEPTION_LAYERS, space_of

    spaces = {name: space_of(metrics.get(name).features) for name in names}
    return tuple(
        MetricUse(name, space, resize_note if space in INCEPTION_LAYERS else "") for name, space in spaces.items()
    )


def check_options(uses: Sequence[MetricUse], options: Mapping[str, Mapping[str, Any]]) -> None:
    """Refuse wrong options before anything slow is done.

    Raises:
        ConfigError: Options of a metric that is not computed, or that it does not have.
    """
    names = [use.name for use in uses]
    for name in options:
        if name not in names:
            raise ConfigError(
                f"options are given for metric {name!r}, which is not computed: {did_you_mean(name, names)}"
            )
    for name in names:
        # A metric reads its options first; some then miss the reference set, which is opened later.
        with suppress(InputError):
            metrics.get(name)(MetricContext("", options=options.get(name, {})))


def open_metric_set(
    uses: tuple[MetricUse, ...],
    spaces: Mapping[str, ImageExtractor],
    reference: str | ImageSet | None,
    options: Mapping[str, Mapping[str, Any]],
    seed: int,
    earlier: Callable[[ImageExtractor], Path] | None = None,
    batch_size: int = 32,
    progress: bool = False,
    extract: Extract = extract_alone,
) -> MetricSet:
    """Open what the metrics need of the reference set.

    Args:
        uses: The metrics.
        spaces: Extractor of each of their feature spaces.
        reference: The reference set or its name; None where no metric needs one.
        options: What the user set of each metric's options.
        seed: Seed of whatever an interval draws.
        earlier: Where an earlier start may have kept the reference's moments of an extractor.
        batch_size: Images a forward pass.
        progress: Show a bar on stderr.
        extract: Extracts the features of the reference images.

    Raises:
        ImagenBenchError: A reference set that cannot be opened.
    """
    moments = tuple(dict.fromkeys(use.space for use in uses if "reference" in metrics.get(use.name).needs))
    features = tuple(dict.fromkeys(use.space for use in uses if "reference_features" in metrics.get(use.name).needs))
    opened = None
    if reference is not None and (moments or features):
        files = {space: earlier(spaces[space]) for space in moments} if earlier is not None else None
        needs = ReferenceNeeds(spaces, moments, features)
        opened = open_reference(reference, needs, files, batch_size, progress, extract)
    chosen = MetricSet(uses, spaces, opened, options, seed)
    for use in uses:
        chosen.new_metric(use)
    return chosen


def _compares(name: str) -> bool:
    return bool(metrics.get(name).needs & {"reference", "reference_features"})


def _few(count: int, what: str, dim: int) -> list[str]:
    if count <= dim:
        return [
            f"{count} {what} for {dim} feature dimensions: the covariance is rank-deficient, the distance is mostly "
            "a matter of the number of images; compare it only with distances of as many"
        ]
    if count < _FEW_PER_DIMENSION * dim:
        return [
            f"{count} {what} for {dim} feature dimensions are few: the distance is biased upward, "
            "compare it only with distances of as many images"
        ]
    return []
