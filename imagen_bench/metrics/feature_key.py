"""What decides the numbers of cached features: the key that the cache finds them by.

These are the content of the image files, what is done to them before the extractor, the extractor (architecture,
layer, resize mode, digest of the weights), the versions of the libraries that decode and compute, and this
package's own code. No path, name or time: a changed pixel is another key, and a renamed folder the same one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

from imagen_bench.files import digest_json

Kind = Literal["features", "statistics", "text"]

# Whatever decodes, resizes or computes on the way from a file to its features.
_LIBRARIES = ("torch", "torchvision", "pillow", "numpy", "open_clip_torch", "timm", "transformers", "torch-fidelity")
_CODECS = ("libjpeg_turbo", "jpg", "webp")
_OWN_CODE = ("images.py", "data", "metrics")


@cache
def library_versions() -> Mapping[str, str]:
    """Return the versions of what turns image files into features, this package's own code included."""
    from PIL import features as pillow_features

    found = {name: version for name in ("imagen-bench", *_LIBRARIES) if (version := _version(name))}
    found.update({name: str(pillow_features.version(name)) for name in _CODECS})
    found["code"] = _code_digest(Path(__file__).parents[1])
    return found


@dataclass(frozen=True)
class FeatureKey:
    """Everything that decides the numbers of an entry.

    Attributes:
        kind: "features" (rows in the order of `sources`), "statistics" or "text".
        sources: Digest of what the entry is made of: see `features_key` and `statistics_key`.
        preprocessing: What is done to the images before the extractor; empty for nothing.
        extractor: Id of the extractor.
        versions: Versions of libraries, codecs and own code.
    """

    kind: Kind
    sources: str
    preprocessing: str
    extractor: str
    versions: Mapping[str, str] = field(default_factory=library_versions)

    def describe(self) -> dict[str, Any]:
        """Return the key as JSON-able values."""
        return {**self.__dict__, "versions": dict(self.versions)}

    @property
    def digest(self) -> str:
        """Hex SHA-256 of the whole key."""
        return digest_json(self.describe())


def features_key(hashes: Sequence[str], preprocessing: str, extractor_id: str) -> FeatureKey:
    """Return the key of features N x D.

    Args:
        hashes: SHA-256 of each image file, in the order of the rows.
        preprocessing: What is done to the images before the extractor.
        extractor_id: Id of the extractor.
    """
    return FeatureKey("features", digest_json(list(hashes)), preprocessing, extractor_id)


def statistics_key(hashes: Sequence[str], preprocessing: str, extractor_id: str) -> FeatureKey:
    """Return the key of a set's moments, which do not depend on the order of its images."""
    return FeatureKey("statistics", digest_json(sorted(hashes)), preprocessing, extractor_id)


def text_key(texts: Sequence[str], extractor_id: str) -> FeatureKey:
    """Return the key of the features of texts, in order."""
    return FeatureKey("text", digest_json(list(texts)), "", extractor_id)


def _version(distribution: str) -> str | None:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def _code_digest(package: Path) -> str:
    """Return the digest of the modules that decide features: a checkout changes without its version."""
    files = sorted(_modules(package), key=lambda path: path.as_posix())
    return digest_json([[file.relative_to(package).as_posix(), file.read_text(encoding="utf-8")] for file in files])


def _modules(package: Path) -> Iterator[Path]:
    for part in _OWN_CODE:
        path = package / part
        yield from path.rglob("*.py") if path.is_dir() else [path]
