"""Features of a run's images and prompts, extracted once and kept in the run folder.

A file `features/<extractor>/<name>.safetensors` holds one float32 tensor `features` (N x D) and, as metadata,
the extractor's id and the digest of what the features were made from (the images' SHA-256 sums, or the texts,
in order). A file whose digest differs is never served: its features are extracted again.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from imagen_bench.files import atomic_write_bytes, digest_json, sha256_bytes

SCHEMA = "imagen-bench-features-1"
Features = npt.NDArray[np.float32]


def extractor_folder(short_name: str, extractor_id: str) -> str:
    """Return the folder name of an extractor's features: its short name and 8 digits of its id's digest."""
    readable = re.sub(r"[^A-Za-z0-9._]+", "-", short_name).strip("-.") or "extractor"
    return f"{readable}-{sha256_bytes(extractor_id.encode())[:8]}"


def cached_features(file: Path, extractor_id: str, sources: Sequence[str], extract: Callable[[], Features]) -> Features:
    """Return the features in `file` if they are of these sources, else extract and write them.

    Args:
        file: The cache file.
        extractor_id: Id of the extractor.
        sources: What the features are of, one string a row: SHA-256 sums of images, or texts.
        extract: Makes the features, float32 N x D.
    """
    from safetensors.numpy import save

    metadata = {"schema": SCHEMA, "extractor": extractor_id, "digest": digest_json(list(sources))}
    found = _load(file, metadata)
    if found is not None and len(found) == len(sources):
        return found
    features = np.ascontiguousarray(extract(), dtype=np.float32)
    atomic_write_bytes(file, save({"features": features}, metadata=metadata))
    return features


def _load(file: Path, metadata: dict[str, str]) -> Features | None:
    """Return the features of a file with this metadata; None if there are none."""
    from safetensors import SafetensorError, safe_open

    if not file.is_file():
        return None
    try:
        with safe_open(file, framework="numpy") as stream:
            if dict(stream.metadata() or {}) != metadata:
                return None
            features = stream.get_tensor("features")
    except (SafetensorError, OSError):
        return None
    return features if features.dtype == np.float32 and features.ndim == 2 else None
