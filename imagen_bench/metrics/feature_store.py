"""A cache of image features and statistics that cannot serve a stale or a broken entry.

What an entry is found by is a `FeatureKey`, which says everything that decides the entry's numbers.

An entry is one safetensors file below `<data folder>/cache/features`, written to a temporary name and renamed. It
holds its whole key and the SHA-256 of its arrays; both are checked whenever it is read, and what does not agree
counts as absent. Entries that were not used for longest make room where the cache grows above its limit.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from imagen_bench.errors import ConfigError
from imagen_bench.files import atomic_path
from imagen_bench.home import data_home
from imagen_bench.metrics.feature_key import FeatureKey
from imagen_bench.metrics.statistics import GaussianStatistics

Arrays = Mapping[str, npt.NDArray[Any]]
Features = npt.NDArray[np.float32]

SCHEMA = "imagen-bench-cache-1"
LIMIT_VARIABLE = "IMAGEN_BENCH_CACHE_GB"
DEFAULT_LIMIT_GB = 20.0
_METADATA_KEY = "imagen_bench_cache"
_SUFFIX = ".safetensors"
_TEMPORARY = ".tmp-"
_ABANDONED_SECONDS = 86_400.0


@dataclass(frozen=True)
class Entry:
    """A file of the cache: its size in bytes and when it was last used, in seconds since the epoch."""

    path: Path
    size: int
    used: float


class FeatureStore:
    """The cache on disk; any number of processes may use it at once.

    Args:
        root: Its folder; by default `cache/features` in the user's data folder.
        limit_bytes: Size above which the entries that were not used for longest are removed; by default 20 GB, or
            what `IMAGEN_BENCH_CACHE_GB` says.

    Attributes:
        problems: What could not be written, one sentence each; a full disk does not stop a score.

    Raises:
        ConfigError: `IMAGEN_BENCH_CACHE_GB` is no number of gigabytes.
    """

    def __init__(self, root: Path | None = None, limit_bytes: int | None = None) -> None:
        self.root = root if root is not None else data_home() / "cache" / "features"
        self.limit_bytes = _limit_bytes() if limit_bytes is None else limit_bytes
        self.problems: list[str] = []

    def path(self, key: FeatureKey) -> Path:
        """Return where an entry lies, or would lie."""
        digest = key.digest
        return self.root / digest[:2] / f"{digest}{_SUFFIX}"

    def get(self, key: FeatureKey) -> dict[str, npt.NDArray[Any]] | None:
        """Return the arrays of an entry; None where there is none, or where it is broken or altered."""
        path = self.path(key)
        arrays = _read(path, key)
        if arrays is not None:
            _touch(path)
        return arrays

    def put(self, key: FeatureKey, arrays: Arrays) -> bool:
        """Write an entry in one step, then make room if the cache is too large.

        Returns:
            Whether it was written; if not, `problems` says why.
        """
        from safetensors.numpy import save_file

        plain = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
        described = {"schema": SCHEMA, "key": key.describe(), "payload": _payload_digest(plain)}
        path = self.path(key)
        try:
            with atomic_path(path) as temporary:
                save_file(plain, temporary, metadata={_METADATA_KEY: json.dumps(described)})
        except OSError as error:
            self.problems.append(
                f"the cache {self.root} cannot be written ({error.strerror}), so features are extracted each time: "
                "mend it, or set IMAGEN_BENCH_HOME to another folder"
            )
            return False
        self.prune(keep=path)
        return True

    def features(self, key: FeatureKey, extract: Callable[[], Features]) -> Features:
        """Return features N x D from the cache; where they are missing, extract and keep them."""
        found = self.get(key)
        if found is not None:
            return found["features"]
        features = np.ascontiguousarray(extract(), dtype=np.float32)
        self.put(key, {"features": features})
        return features

    def statistics(self, key: FeatureKey, name: str, make: Callable[[], GaussianStatistics]) -> GaussianStatistics:
        """Return a set's moments from the cache; where they are missing, make and keep them.

        Args:
            key: Their key.
            name: What people call the set now; the entry may have been made under another name.
            make: Makes the moments.
        """
        found = self.get(key)
        if found is not None:
            digest = bytes(found["digest"]).decode()
            count = int(found["n"][0])
            return GaussianStatistics(found["mean"], found["covariance"], count, key.extractor, digest, name)
        made = make()
        digest_array = np.frombuffer(made.digest.encode(), dtype=np.uint8)
        moments = {"mean": made.mean, "covariance": made.covariance}
        self.put(key, {**moments, "n": np.array([made.n], dtype=np.int64), "digest": digest_array})
        return made

    def entries(self) -> list[Entry]:
        """Return the files of the cache, those used longest ago first."""
        found = []
        for path in self.root.glob(f"??/[!.]*{_SUFFIX}"):
            try:
                stat = path.stat()
            except OSError:  # another process removed it
                continue
            found.append(Entry(path, stat.st_size, stat.st_mtime))
        return sorted(found, key=lambda entry: (entry.used, entry.path.name))

    def prune(self, keep: Path | None = None) -> int:
        """Remove the entries used longest ago until the cache fits its limit, and what killed processes left.

        Args:
            keep: An entry that stays, whatever its size.

        Returns:
            The number of entries removed.
        """
        for left in self.root.glob(f"??/{_TEMPORARY}*"):
            _remove(left, older_than=_ABANDONED_SECONDS)
        entries = self.entries()
        size = sum(entry.size for entry in entries)
        removed = 0
        for entry in entries:
            if size <= self.limit_bytes:
                break
            if entry.path != keep:
                _remove(entry.path)
                size -= entry.size
                removed += 1
        return removed

    def clear(self) -> int:
        """Remove every entry, and what killed processes left; return the number of entries removed."""
        entries = self.entries()
        for entry in entries:
            _remove(entry.path)
        for left in self.root.glob(f"??/{_TEMPORARY}*"):
            _remove(left)
        return len(entries)


def _read(path: Path, key: FeatureKey) -> dict[str, npt.NDArray[Any]] | None:
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        return None
    try:
        with safe_open(path, framework="numpy") as stream:
            described = json.loads((stream.metadata() or {}).get(_METADATA_KEY, "null"))
            arrays = {name: stream.get_tensor(name) for name in stream.keys()}  # noqa: SIM118 (no mapping)
    except (SafetensorError, OSError, ValueError):
        return None
    expected = {"schema": SCHEMA, "key": key.describe(), "payload": _payload_digest(arrays)}
    return arrays if described == expected else None


def _payload_digest(arrays: Arrays) -> str:
    """Return the hex SHA-256 over names, types, shapes and bytes of arrays."""
    digest = hashlib.sha256()
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        digest.update(json.dumps([name, array.dtype.str, array.shape]).encode())
        digest.update(array.data)
    return digest.hexdigest()


def _limit_bytes() -> int:
    text = os.environ.get(LIMIT_VARIABLE, "")
    try:
        gigabytes = float(text) if text else DEFAULT_LIMIT_GB
        if gigabytes < 0:
            raise ValueError
        return int(gigabytes * 1e9)
    except (ValueError, OverflowError):
        raise ConfigError(f"{LIMIT_VARIABLE} is {text!r}: expected a number of gigabytes, such as 20") from None


def _touch(path: Path) -> None:
    try:
        os.utime(path)
    except OSError:  # a read-only cache still serves
        return


def _remove(path: Path, older_than: float = 0.0) -> None:
    try:
        if older_than == 0.0 or time.time() - path.stat().st_mtime > older_than:
            path.unlink(missing_ok=True)
    except OSError:
        return
