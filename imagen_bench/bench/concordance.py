"""FID in every resize mode from one decode of the images: which published number each compares with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from imagen_bench.bench.metric_set import MetricUse
from imagen_bench.metrics.resize import RESIZE_MODES

if TYPE_CHECKING:
    from imagen_bench.metrics.extractors import ImageExtractor
    from imagen_bench.metrics.feature_spaces import SpaceOptions

METRIC = "fid"
_LAYER = "2048"


def concordance_uses() -> tuple[MetricUse, ...]:
    """Return FID in each resize mode; the space is named after the mode."""
    return tuple(MetricUse(METRIC, name, f"{name} resize") for name in RESIZE_MODES)


def open_concordance_spaces(options: SpaceOptions) -> dict[str, ImageExtractor]:
    """Open the Inception network once, behind each resize mode.

    Raises:
        ModelError: Missing or broken weights.
    """
    from imagen_bench.devices import open_device
    from imagen_bench.metrics.inception import InceptionNetwork, InceptionWeights
    from imagen_bench.metrics.weights import locate_weights

    weights = InceptionWeights(locate_weights("inception", options.weights), open_device(options.device))
    return {name: InceptionNetwork(weights, mode).extractor(_LAYER) for name, mode in RESIZE_MODES.items()}


def compared_with() -> dict[str, str]:
    """Say for each resize mode which numbers it compares with."""
    return {name: mode.compares_with for name, mode in RESIZE_MODES.items()}


def concordance_words() -> list[str]:
    """Say the same in one line each."""
    width = max(map(len, RESIZE_MODES))
    return [f"{name:<{width}}  compares with {words}" for name, words in compared_with().items()]
