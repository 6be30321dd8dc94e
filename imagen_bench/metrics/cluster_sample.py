"""A random sample of whole clusters from a stream of features, in bounded memory.

Clusters are ranked by a hash of seed and label, and those of lowest rank are kept ("bottom-k sketch", Cohen &
Kaplan 2007). What is kept depends on the set of samples alone: not on their order, their batches, or on how
workers shared them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Self

import numpy as np
import numpy.typing as npt

MOST_ROWS = 4096
LEAST_CLUSTERS = 64


class ClusterSample:
    """Features of a uniform random sample of clusters; at most `MOST_ROWS` of them where clusters are small.

    At least `LEAST_CLUSTERS` clusters are kept whole, however many samples they hold.

    Args:
        seed: Seed of the draw.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._labels: set[int] = set()
        self._kept: dict[int, list[npt.NDArray[np.float32]]] = {}
        self._rows = 0
        self._limit = 2**64

    def update(self, features: npt.NDArray[np.float32], clusters: Sequence[str]) -> None:
        """Offer features, N x D, and their N cluster labels."""
        for row, label in zip(features, clusters, strict=True):
            rank = int.from_bytes(hashlib.sha256(f"{self._seed}/{label}".encode()).digest()[:8])
            self._labels.add(rank)
            if rank < self._limit:
                self._kept.setdefault(rank, []).append(row.copy())
                self._rows += 1
        if self._rows > MOST_ROWS * 5 // 4:
            self._trim()

    def merge(self, other: Self) -> None:
        """Offer what another worker was offered."""
        self._labels |= other._labels
        self._limit = min(self._limit, other._limit)
        for rank, rows in other._kept.items():
            self._kept.setdefault(rank, []).extend(rows)
        self._kept = {rank: rows for rank, rows in self._kept.items() if rank < self._limit}
        self._trim()

    def rows(self) -> tuple[npt.NDArray[np.float32], list[str], float]:
        """Return the kept features, their cluster labels, and the share of all clusters that is kept."""
        self._trim()
        ranks = sorted(self._kept)
        features = np.array([row for rank in ranks for row in self._kept[rank]], dtype=np.float32)
        clusters = [str(rank) for rank in ranks for _ in self._kept[rank]]
        return features, clusters, len(ranks) / max(len(self._labels), 1)

    def _trim(self) -> None:
        """Drop the clusters of highest rank until the budget holds, and refuse their later samples."""
        total, keep = 0, 0
        ranks = sorted(self._kept)
        for rank in ranks:
            total += len(self._kept[rank])
            if total > MOST_ROWS and keep >= LEAST_CLUSTERS:
                break
            keep += 1
        if keep < len(ranks):
            self._limit = ranks[keep]
            for rank in ranks[keep:]:
                del self._kept[rank]
        self._rows = sum(len(rows) for rows in self._kept.values())


def sampled_clusters(clusters: Sequence[str], seed: int) -> tuple[npt.NDArray[np.intp], float]:
    """Draw whole clusters from samples that are all at hand, by the same rule.

    Returns:
        Numbers of the drawn samples, and the share of all clusters that is drawn.
    """
    sample = ClusterSample(seed)
    numbers = np.arange(len(clusters), dtype=np.float32)[:, None]
    sample.update(numbers, clusters)
    rows, _, share = sample.rows()
    return rows[:, 0].astype(np.intp), share
