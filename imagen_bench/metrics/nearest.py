"""Nearest neighbours in a feature space, and which points lie in which balls; blocked, float64."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from imagen_bench.metrics.base import FloatArray
from imagen_bench.metrics.intervals import IndexArray

# Entries of a block of distances: 64 MiB.
_BLOCK_ENTRIES = 2**23


@dataclass(frozen=True)
class Inside:
    """Which points lie in which balls, as the list of the pairs that do.

    Attributes:
        ball: Number of the ball of each pair.
        point: Number of the point of each pair.
        balls: Number of all balls.
        points: Number of all points.
    """

    ball: IndexArray
    point: IndexArray
    balls: int
    points: int

    def transposed(self) -> Inside:
        """Return the same with balls and points exchanged."""
        return Inside(self.point, self.ball, self.points, self.balls)

    def per_point(self) -> IndexArray:
        """Return how many balls each point lies in."""
        return np.bincount(self.point, minlength=self.points)


def squared_radii(features: FloatArray, k: int) -> FloatArray:
    """Return the squared distance of each point (N x D) from its k-th nearest other point, N; k is at most N - 1."""
    found = []
    for start, block in _distance_blocks(features, features):
        rows = np.arange(len(block))
        block[rows, start + rows] = np.inf
        block.partition(k - 1, axis=1)
        found.append(block[:, k - 1].copy())
    return np.concatenate(found)


def inside_balls(centres: FloatArray, squared: FloatArray, points: FloatArray, closed: bool = True) -> Inside:
    """Return which points lie in the balls around `centres`.

    Args:
        centres: N x D.
        squared: Squared radii, N.
        points: M x D.
        closed: Whether a point on the sphere is inside.
    """
    balls, numbers = [], []
    for start, block in _distance_blocks(centres, points):
        radii = squared[start : start + len(block), None]
        ball, point = np.nonzero(block <= radii if closed else block < radii)
        balls.append(start + ball)
        numbers.append(point)
    return Inside(np.concatenate(balls), np.concatenate(numbers), len(centres), len(points))


def _distance_blocks(x: FloatArray, y: FloatArray) -> Iterator[tuple[int, FloatArray]]:
    """Yield the first row number and the squared distances of blocks of `x` from all of `y`."""
    y_squares = np.einsum("nd,nd->n", y, y)
    size = max(1, _BLOCK_ENTRIES // len(y))
    for start in range(0, len(x), size):
        rows = x[start : start + size]
        squared = np.einsum("nd,nd->n", rows, rows)[:, None] + y_squares - 2 * (rows @ y.T)
        yield start, np.maximum(squared, 0.0)
