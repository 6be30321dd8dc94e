"""The reference set of a run (bundled, a statistics file, or images): moments and features in the spaces needed.

All spaces come from one decode of the images. Moments and features are kept in the cache by content
(`metrics.feature_store`), so that a reference set is extracted once for all runs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from imagen_bench.assets import asset
from imagen_bench.bench.progress import progress_bar
from imagen_bench.bench.reference_pass import extract_alone
from imagen_bench.errors import ImagenBenchError, InputError

if TYPE_CHECKING:
    from imagen_bench.bench.reference_pass import Extract
    from imagen_bench.data.references import ImageSet
    from imagen_bench.metrics.extractors import ImageExtractor
    from imagen_bench.metrics.feature_pass import Features
    from imagen_bench.metrics.feature_store import FeatureStore
    from imagen_bench.metrics.statistics import GaussianStatistics

BUNDLED = {"imagen-emoji": "models/imagen-emoji/reference/stats.safetensors"}
STATISTICS_SUFFIXES = (".safetensors", ".npz")
_READ_BATCH = 32


@dataclass(frozen=True)
class ReferenceNeeds:
    """What is needed of a reference set.

    Attributes:
        extractors: Extractor of each feature space in use.
        moments: Spaces whose mean and covariance are needed.
        features: Spaces whose single features are needed.
    """

    extractors: Mapping[str, ImageExtractor]
    moments: tuple[str, ...] = ()
    features: tuple[str, ...] = ()


@dataclass(frozen=True)
class Reference:
    """A reference set as metrics see it.

    Attributes:
        name: What people call it.
        digest: Content digest.
        n: Number of images; 0 where it is not known, as from an .npz file.
        moments: Mean and covariance by feature space.
        features: Float32 M x D by feature space, for metrics that compare single images.
    """

    name: str
    digest: str
    n: int
    moments: Mapping[str, GaussianStatistics] = field(default_factory=dict)
    features: Mapping[str, Features] = field(default_factory=dict)

    @property
    def words(self) -> str:
        """The set as protocols name it: "40,504 images of coco-val2014"."""
        return f"{self.n:,} images of {self.name}" if self.n else f"the statistics {self.name}"

    def describe(self) -> dict[str, Any]:
        """Return name, digest and number of images as JSON-able values."""
        return {"id": self.name, "digest": self.digest, "n": self.n or None}


def reference_images(name: str) -> ImageSet | None:
    """Open the images of a reference set; None where its name is that of a statistics file.

    Args:
        name: A bundled name, a statistics file (.safetensors, .npz), a COCO set such as "coco-val2014", a folder of
            images, or a parquet file of images.

    Raises:
        InputError: Nothing readable there.
    """
    from imagen_bench.data.references import open_reference_images

    return None if _is_statistics(name) else open_reference_images(name)


def open_reference(
    source: str | ImageSet,
    needs: ReferenceNeeds,
    earlier: Mapping[str, Path] | None = None,
    batch_size: int = _READ_BATCH,
    progress: bool = False,
    extract: Extract = extract_alone,
) -> Reference:
    """Return what is needed of a reference set.

    Args:
        source: A name as `reference_images` takes it, or images that are open already.
        needs: What is needed.
        earlier: Moments of an earlier start by space; used if they are of the same images and the same extractor.
        batch_size: Images a forward pass; moves no number.
        progress: Show a bar on stderr.
        extract: Extracts the features of images.

    Raises:
        InputError: Nothing readable there, or a statistics file where single features are needed.
        ProtocolError: A statistics file of another extractor.
    """
    from imagen_bench.metrics.feature_store import FeatureStore

    images = reference_images(source) if isinstance(source, str) else source
    if images is None:
        if source in BUNDLED:
            return replace(_from_statistics(asset(BUNDLED[source]), needs), name=source)
        return _from_statistics(Path(str(source)), needs)
    reader = _Reader(images, needs, FeatureStore(), extract, batch_size, progress)
    moments = {space: reader.moments(space, (earlier or {}).get(space)) for space in needs.moments}
    features = {space: reader.features(space) for space in needs.features}
    return Reference(images.name, images.digest, len(images), moments, features)


def _is_statistics(name: str) -> bool:
    return name in BUNDLED or Path(name).suffix in STATISTICS_SUFFIXES


def _from_statistics(path: Path, needs: ReferenceNeeds) -> Reference:
    from imagen_bench.metrics.statistics import load_statistics

    if needs.features:
        raise InputError(
            f"{str(path)!r} holds a mean and a covariance, but a metric on {needs.features[0]} features compares with "
            "single reference images: give their folder or parquet file, or leave that metric out"
        )
    moments = {
        space: load_statistics(path, needs.extractors[space].id, needs.extractors[space].dim) for space in needs.moments
    }
    first = next(iter(moments.values()))
    return Reference(first.name, first.digest, first.n, moments)


class _Reader:
    """Reads a set of images once for all that the cache lacks."""

    def __init__(
        self, images: ImageSet, needs: ReferenceNeeds, store: FeatureStore, extract: Extract, batch_size: int,
        progress: bool,
    ) -> None:  # fmt: skip
        from imagen_bench.metrics.feature_key import features_key, statistics_key

        self._images, self._needs, self._store = images, needs, store
        self._extract, self._batch_size, self._progress = extract, batch_size, progress
        ids = {space: extractor.id for space, extractor in needs.extractors.items()}
        source = (images.hashes, images.preprocessing)
        self._moment_keys = {space: statistics_key(*source, ids[space]) for space in needs.moments}
        self._feature_keys = {space: features_key(*source, ids[space]) for space in needs.features}
        self._made: tuple[dict[str, GaussianStatistics], dict[str, Features]] = ({}, {})

    def moments(self, space: str, earlier: Path | None) -> GaussianStatistics:
        kept = _load_earlier(earlier, self._needs.extractors[space].id)
        if kept is not None and kept.digest == self._images.digest:
            return kept
        key = self._moment_keys[space]
        return self._store.statistics(key, self._images.name, lambda: self._extracted(space)[0][space])

    def features(self, space: str) -> Features:
        return self._store.features(self._feature_keys[space], lambda: self._extracted(space)[1][space])

    def _extracted(self, space: str) -> tuple[dict[str, GaussianStatistics], dict[str, Features]]:
        """Run one pass for this space and whatever else is neither made nor in the cache."""
        made_moments, made_features = self._made
        moments = [
            other
            for other, key in self._moment_keys.items()
            if other not in made_moments and (other == space or not self._store.path(key).is_file())
        ]
        features = [
            other
            for other, key in self._feature_keys.items()
            if other not in made_features and (other == space or not self._store.path(key).is_file())
        ]
        if moments or features:
            new_moments, new_features = self._pass(moments, features)
            made_moments.update(new_moments)
            made_features.update(new_features)
        return self._made

    def _pass(
        self, moments: Sequence[str], features: Sequence[str]
    ) -> tuple[dict[str, GaussianStatistics], dict[str, Features]]:
        from imagen_bench.metrics.statistics import GaussianStatistics, RunningMoments

        extractors = {space: self._needs.extractors[space] for space in dict.fromkeys((*moments, *features))}
        sums = {space: RunningMoments(extractors[space].dim) for space in moments}
        parts: dict[str, list[Features]] = {space: [] for space in features}
        with progress_bar("reference", total=len(self._images), show=self._progress) as bar:
            for batch in self._extract(self._images, extractors, self._batch_size, bar.update):
                for space, running in sums.items():
                    running.update(batch[space])
                for space, kept in parts.items():
                    kept.append(batch[space])
        digest, name = self._images.digest, self._images.name
        found = {
            space: GaussianStatistics(m.mean, m.covariance, m.n, extractors[space].id, digest, name)
            for space, m in sums.items()
        }
        return found, {space: np.concatenate(kept) for space, kept in parts.items()}


def _load_earlier(cache: Path | None, extractor_id: str) -> GaussianStatistics | None:
    """Return cached statistics; None if there are none, or they are damaged or of another extractor."""
    from imagen_bench.metrics.statistics import load_statistics

    if cache is None or not cache.is_file():
        return None
    try:
        return load_statistics(cache, extractor_id)
    except ImagenBenchError:
        return None
