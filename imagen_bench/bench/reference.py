"""The reference set of a run (bundled, a statistics file, or images), as moments of its features."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from imagen_bench.assets import asset
from imagen_bench.errors import ImagenBenchError

if TYPE_CHECKING:
    from imagen_bench.metrics.extractors import ImageExtractor
    from imagen_bench.metrics.statistics import GaussianStatistics

BUNDLED = {"imagen-emoji": "models/imagen-emoji/reference/stats.safetensors"}
_READ_BATCH = 32


def open_reference(name: str, extractor: ImageExtractor, cache: Path | None = None) -> GaussianStatistics:
    """Return the moments of a reference set's features.

    Args:
        name: A bundled name, a statistics file (.safetensors), a folder of images, or a parquet file of
        images.
        extractor: The extractor of the run.
        cache: Statistics of an earlier start; used if they are of the same images and the same extractor.

    Raises:
        InputError: Nothing readable there.
        ProtocolError: A statistics file of another extractor.
    """
    from imagen_bench.data.references import open_image_set
    from imagen_bench.metrics.statistics import features_to_statistics, load_statistics

    path = asset(BUNDLED[name]) if name in BUNDLED else Path(name)
    if path.suffix == ".safetensors":
        return load_statistics(path, extractor.id)
    images = open_image_set(path)
    earlier = _load_earlier(cache, extractor.id)
    if earlier is not None and earlier.digest == images.digest:
        return earlier
    return features_to_statistics(images.batches(_READ_BATCH), extractor, images.digest, images.name)


def _load_earlier(cache: Path | None, extractor_id: str) -> GaussianStatistics | None:
    """Return cached statistics; None if there are none, or they are damaged or of another extractor."""
    from imagen_bench.metrics.statistics import load_statistics

    if cache is None or not cache.is_file():
        return None
    try:
        return load_statistics(cache, extractor_id)
    except ImagenBenchError:
        return None
