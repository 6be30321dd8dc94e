"""Moments of image features: summed in a stream, kept for a reference set, read from and written to a file.

The file is safetensors: tensors `mean` (float64, D) and `covariance` (float64, D x D), and one metadata entry
with JSON of schema, n, extractor, digest, name, and a digest of the arrays. (One entry, since safetensors writes
several in any order, and equal statistics should be equal files.) Read, but never written, are the .npz files of
pytorch-fid and clean-fid: arrays `mu` and `sigma`, which say neither their extractor nor their number of images.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from imagen_bench.errors import InputError, ProtocolError
from imagen_bench.files import atomic_write_bytes, sha256_bytes, sha256_file
from imagen_bench.metrics.base import FloatArray, checked_features

if TYPE_CHECKING:
    import torch

    from imagen_bench.metrics.extractors import ImageExtractor

METADATA_KEY = "imagen_bench_statistics"
SCHEMA = 1
NPZ_EXTRACTOR = "npz, extractor assumed from the metric"
_FIELDS: dict[str, type] = {"n": int, "extractor": str, "digest": str, "name": str}


class RunningMoments:
    """Count, sum and sum of outer products of features, in float64: memory does not grow with N.

    The products are added in place to one triangle: at 2048 dimensions and batches of 32, a product of whole matrices
    would take thirty times as long, most of it for reading and writing them.
    """

    def __init__(self, dim: int) -> None:
        self.n = 0
        self.sum: FloatArray = np.zeros(dim)
        self._upper: FloatArray = np.zeros((dim, dim), order="F")

    def update(self, features: npt.ArrayLike) -> None:
        """Add features, N x D.

        Raises:
            InputError: Another dimension than before.
            ModelError: NaN or infinite features.
        """
        x = np.ascontiguousarray(checked_features(features, "image features"))
        if x.shape[1] != len(self.sum):
            raise InputError(f"features have {x.shape[1]} dimensions, expected {len(self.sum)}: use one extractor")
        self.n += len(x)
        self.sum += x.sum(axis=0)
        self._add_products(x, 1.0)

    def merge(self, other: RunningMoments) -> None:
        """Add what another worker summed."""
        self.n += other.n
        self.sum += other.sum
        self._upper += other._upper

    def without(self, features: npt.ArrayLike) -> RunningMoments:
        """Return the moments of the same samples less these ones, N x D."""
        x = np.asarray(features, dtype=np.float64)
        rest = RunningMoments(len(self.sum))
        rest.n = self.n - len(x)
        rest.sum = self.sum - x.sum(axis=0)
        rest._upper = self._upper.copy(order="F")
        rest._add_products(x, -1.0)
        return rest

    def _add_products(self, x: FloatArray, factor: float) -> None:
        from scipy.linalg.blas import dsyrk

        if len(x):
            self._upper = dsyrk(factor, x.T, beta=1.0, c=self._upper, overwrite_c=1)

    @property
    def mean(self) -> FloatArray:
        """Mean of the features, D."""
        return self.sum / self.n

    @property
    def covariance(self) -> FloatArray:
        """Covariance of the features, D x D, divided by N - 1.

        Raises:
            InputError: Fewer than two samples.
        """
        if self.n < 2:
            raise InputError(f"{self.n} image(s) have no covariance: expected at least 2")
        mean = self.mean
        outer = self._upper + np.triu(self._upper, 1).T
        covariance: FloatArray = (outer - self.n * np.outer(mean, mean)) / (self.n - 1)
        return covariance


@dataclass(frozen=True)
class GaussianStatistics:
    """Mean and covariance of one image set's features, and where they come from.

    Attributes:
        mean: Float64, D.
        covariance: Float64, D x D.
        n: Number of images; 0 where it is not known, as from an .npz file.
        extractor_id: `id` of the extractor; `NPZ_EXTRACTOR` where it is not known.
        digest: Content digest of the image set.
        name: What people call the set.
    """

    mean: FloatArray
    covariance: FloatArray
    n: int
    extractor_id: str
    digest: str
    name: str

    @property
    def dim(self) -> int:
        """Number of feature dimensions."""
        return len(self.mean)


def features_to_statistics(
    batches: Iterable[torch.Tensor | Sequence[torch.Tensor]],
    extractor: ImageExtractor,
    digest: str,
    name: str,
) -> GaussianStatistics:
    """Extract features of an image set and return their moments; one pass, memory does not grow with the set.

    Args:
        batches: uint8 images, each batch N x 3 x H x W or a list of 3 x H x W.
        extractor: Feature extractor.
        digest: Content digest of the set.
        name: What people call the set.
    """
    moments = RunningMoments(extractor.dim)
    for images in batches:
        moments.update(extractor.image_features(images).numpy())
    return GaussianStatistics(moments.mean, moments.covariance, moments.n, extractor.id, digest, name)


def save_statistics(path: Path | str, statistics: GaussianStatistics) -> None:
    """Write statistics to `path` in one step."""
    from safetensors.numpy import save

    described = {
        "schema": SCHEMA,
        "n": statistics.n,
        "extractor": statistics.extractor_id,
        "digest": statistics.digest,
        "name": statistics.name,
        "payload": _payload(statistics.mean, statistics.covariance),
    }
    tensors = {"mean": statistics.mean, "covariance": np.ascontiguousarray(statistics.covariance)}
    atomic_write_bytes(path, save(tensors, metadata={METADATA_KEY: json.dumps(described)}))


def load_statistics(path: Path | str, extractor_id: str | None = None, dim: int | None = None) -> GaussianStatistics:
    """Read statistics that `save_statistics` wrote, or an .npz file of pytorch-fid or clean-fid.

    Args:
        path: The file.
        extractor_id: Extractor that they have to come from; None takes any. An .npz file does not name its own, so
            that it is taken at its word.
        dim: Number of feature dimensions that they have to have; None takes any.

    Raises:
        InputError: Missing, damaged, not such a file, or of another dimension.
        ProtocolError: Made with another extractor.
    """
    statistics = _load_npz(Path(path)) if Path(path).suffix == ".npz" else _load_own(path, extractor_id)
    if dim is not None and statistics.dim != dim:
        raise InputError(
            f"{str(path)!r} holds moments of {statistics.dim} dimensions, expected {dim}: give those of the metric's "
            "own features, or the reference images themselves"
        )
    return statistics


def _load_own(path: Path | str, extractor_id: str | None) -> GaussianStatistics:
    tensors, text = _read(Path(path))
    described = _described(path, text)
    if set(tensors) != {"mean", "covariance"}:
        raise InputError(f"{str(path)!r} holds tensors {sorted(tensors)}: expected mean and covariance")
    mean, covariance = tensors["mean"], tensors["covariance"]
    _check_arrays(path, mean, covariance)
    if "payload" in described and described["payload"] != _payload(mean, covariance):
        raise InputError(f"{str(path)!r} was changed since it was written: write it again, or restore it")
    made_with = described["extractor"]
    if extractor_id is not None and made_with != extractor_id:
        raise ProtocolError(
            f"{str(path)!r} was made with extractor {made_with}, but this run uses {extractor_id}: choose "
            "that extractor, or give the reference images themselves"
        )
    return GaussianStatistics(mean, covariance, described["n"], made_with, described["digest"], described["name"])


def _load_npz(path: Path) -> GaussianStatistics:
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
            if not {"mu", "sigma"} <= set(file.files):
                raise InputError(f"{str(path)!r} holds arrays {sorted(file.files)}: expected mu and sigma")
            mean, covariance = file["mu"], file["sigma"]
    except OSError as error:
        raise InputError(f"no statistics file {str(path)!r}: {error.strerror or error}") from error
    except (ValueError, EOFError, zipfile.BadZipFile, AttributeError, TypeError) as error:
        raise InputError(
            f"{str(path)!r} is no .npz file of plain arrays mu and sigma, or damaged ({error}): write it again"
        ) from error
    if not (np.issubdtype(mean.dtype, np.floating) and np.issubdtype(covariance.dtype, np.floating)):
        raise InputError(f"{str(path)!r} holds mu {mean.dtype} and sigma {covariance.dtype}: expected floats")
    mean, covariance = mean.astype(np.float64), covariance.astype(np.float64)
    # Files of float32 are symmetric to its rounding alone.
    covariance = (covariance + covariance.T) / 2 if _nearly_symmetric(covariance) else covariance
    _check_arrays(path, mean, covariance)
    return GaussianStatistics(mean, covariance, 0, NPZ_EXTRACTOR, sha256_file(path), path.stem)


def _payload(mean: FloatArray, covariance: FloatArray) -> str:
    return sha256_bytes(np.ascontiguousarray(mean).tobytes() + np.ascontiguousarray(covariance).tobytes())


def _nearly_symmetric(matrix: FloatArray) -> bool:
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or not matrix.size:
        return False
    return bool(np.abs(matrix - matrix.T).max() <= 1e-5 * np.abs(matrix).max())


def _read(path: Path) -> tuple[dict[str, Any], str | None]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            keys = list(file.keys())
            return {key: file.get_tensor(key) for key in keys}, (file.metadata() or {}).get(METADATA_KEY)
    except OSError as error:
        raise InputError(f"no statistics file {str(path)!r}: {error.strerror or error}") from error
    except SafetensorError as error:
        raise InputError(f"{str(path)!r} is no safetensors file, or damaged ({error}): write it again") from error


def _described(path: Path | str, text: str | None) -> dict[str, Any]:
    try:
        described = json.loads(text or "{}")
    except json.JSONDecodeError:
        described = {}
    schema = described.get("schema") if isinstance(described, dict) else None
    if schema != SCHEMA:
        raise InputError(
            f"{str(path)!r} has statistics of schema {schema}, expected {SCHEMA}: use `score --save-stats`"
        )
    for key, kind in _FIELDS.items():
        if not isinstance(described.get(key), kind):
            raise InputError(
                f"{str(path)!r} says {key} = {described.get(key)!r}, expected {kind.__name__}: write it again"
            )
    if described["n"] < 2 and described["n"] != 0:
        raise InputError(f"{str(path)!r} says n = {described['n']}, expected at least 2, or 0 for unknown")
    return dict(described)


def _check_arrays(path: Path | str, mean: Any, covariance: Any) -> None:
    square = mean.ndim == 1 and covariance.shape == (len(mean), len(mean)) and len(mean) > 0
    if not square or mean.dtype != np.float64 or covariance.dtype != np.float64:
        raise InputError(
            f"{str(path)!r} holds mean {mean.dtype} {mean.shape} and covariance {covariance.dtype} "
            f"{covariance.shape}: expected float64 D and D x D"
        )
    if not (np.isfinite(mean).all() and np.isfinite(covariance).all()):
        raise InputError(f"{str(path)!r} holds NaN or infinite values: write it again")
    scale = float(np.abs(covariance).max())
    if not np.allclose(covariance, covariance.T, rtol=0, atol=1e-9 * scale) or (np.diag(covariance) < 0).any():
        raise InputError(f"{str(path)!r} holds no covariance (not symmetric, or negative variances): write it again")
