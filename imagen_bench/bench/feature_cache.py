"""Features of a run's images and prompts, extracted once and kept in the run folder.

A file `features/<extractor>/<name>.safetensors` holds one float32 tensor `features` (N x D) and, as metadata,
the extractor's id, the digest of what the features were made from (the images' SHA-256 sums, or the texts, in
order) and that of the tensor's bytes. A file of which either differs is never served: its features are extracted
again. Features of images are written and read in parts, so that memory does not grow with their number.
"""

from __future__ import annotations

import hashlib
import json
import re
import struct
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import numpy.typing as npt

from imagen_bench.errors import RunFolderError
from imagen_bench.files import atomic_path, atomic_write_bytes, digest_json, sha256_bytes

SCHEMA = "imagen-bench-features-2"
_PAYLOAD = "payload"
_UNKNOWN = "0" * 64
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
    described = {**metadata, _PAYLOAD: sha256_bytes(features.tobytes())}
    atomic_write_bytes(file, save({"features": features}, metadata=described))
    return features


class FeatureFile:
    """The features of a run's images in one file, written and read in parts.

    Args:
        path: The file.
        extractor_id: Id of the extractor.
        sources: What the features are of, one string a row: SHA-256 sums of the images.
    """

    def __init__(self, path: Path, extractor_id: str, sources: Sequence[str]) -> None:
        self._path = path
        self._rows = len(sources)
        self._metadata = {"schema": SCHEMA, "extractor": extractor_id, "digest": digest_json(list(sources))}

    def is_there(self) -> bool:
        """True if the file holds features of these sources and this extractor, and no byte of them has changed."""
        from safetensors import SafetensorError, safe_open

        if not self._path.is_file():
            return False
        try:
            with safe_open(self._path, framework="numpy") as stream:
                part, metadata = stream.get_slice("features"), dict(stream.metadata() or {})
                shape, kind = part.get_shape(), part.get_dtype()
            payload = metadata.pop(_PAYLOAD, "")
            fits = metadata == self._metadata and kind == "F32" and shape[0] == self._rows
            return fits and _tensor_digest(self._path) == payload
        except (SafetensorError, OSError, IndexError):
            return False

    def read(self, start: int, stop: int) -> Features:
        """Return the features of some rows, float32."""
        from safetensors import safe_open

        with safe_open(self._path, framework="numpy") as stream:
            rows: Features = stream.get_slice("features")[start:stop]
        return rows

    @contextmanager
    def writing(self, dim: int) -> Iterator[Callable[[Features], None]]:
        """Yield what appends features, float32 N x D; the file appears when all rows were written.

        Raises:
            RunFolderError: Fewer or more rows than sources were written.
        """
        size = self._rows * dim * 4
        tensor = {"dtype": "F32", "shape": [self._rows, dim], "data_offsets": [0, size]}
        metadata = {**self._metadata, _PAYLOAD: _UNKNOWN}
        header = json.dumps({"__metadata__": metadata, "features": tensor}).encode()
        # safetensors: length of the header, the header padded to 8 bytes, the tensor in rows.
        header += b" " * (-len(header) % 8)
        with atomic_path(self._path) as temporary, temporary.open("wb") as stream:
            stream.write(struct.pack("<Q", len(header)) + header)
            digest = hashlib.sha256()

            def append(features: Features) -> None:
                data = np.ascontiguousarray(features, dtype="<f4").data
                digest.update(data)
                stream.write(data)

            yield append
            if stream.tell() != 8 + len(header) + size:
                raise RunFolderError(f"{str(self._path)!r} got other rows than its {self._rows} images: start again")
            stream.seek(8 + header.index(f'"{_PAYLOAD}": "{_UNKNOWN}"'.encode()) + len(_PAYLOAD) + 5)
            stream.write(digest.hexdigest().encode())


def _load(file: Path, metadata: dict[str, str]) -> Features | None:
    """Return the features of a file with this metadata; None if there are none."""
    from safetensors import SafetensorError, safe_open

    if not file.is_file():
        return None
    try:
        with safe_open(file, framework="numpy") as stream:
            found = dict(stream.metadata() or {})
            payload = found.pop(_PAYLOAD, "")
            if found != metadata:
                return None
            features = stream.get_tensor("features")
    except (SafetensorError, OSError):
        return None
    sound = features.dtype == np.float32 and features.ndim == 2 and sha256_bytes(features.tobytes()) == payload
    return features if sound else None


def _tensor_digest(path: Path) -> str:
    """Return the hex SHA-256 of what follows the header of a safetensors file, read in blocks."""
    with path.open("rb") as stream:
        (length,) = struct.unpack("<Q", stream.read(8))
        stream.seek(8 + length)
        return hashlib.file_digest(stream, "sha256").hexdigest()
