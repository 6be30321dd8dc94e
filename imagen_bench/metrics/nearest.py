"""Nearest neighbours in a feature space, and which points lie in which balls around others; blocked, float64."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from imagen_bench.metrics.base import FloatArray
from imagen_bench.metrics.intervals import IndexArray

# Entries of a block of distances: 64 MiB.
_BLOCK_ENTRIES = 2**23


@dataclass(frozen=True)
class Inside:
    """Which points lie in which balls, as a sparse matrix sorted by ball.

    Attributes:
        ball: Number of the ball of each entry, E, ascending.
        point: Number of the point of each entry, E.
        squared: Squared distance of the point from the ball's centre, float64, E.
        starts: First entry of each ball, and E: balls + 1.
        points: Number of all points.
    """

    ball: IndexArray
    point: IndexArray
    squared: FloatArray
    starts: IndexArray
    points: int

    @classmethod
    def of_entries(cls, ball: IndexArray, point: IndexArray, squared: FloatArray, balls: int, points: int) -> Inside:
        """Make one from entries sorted by ball."""
        return cls(ball, point, squared, np.searchsorted(ball, np.arange(balls + 1)), points)

    def where(self, keep: npt.NDArray[np.bool_]) -> Inside:
        """Return some of the entries."""
        balls = len(self.starts) - 1
        return Inside.of_entries(self.ball[keep], self.point[keep], self.squared[keep], balls, self.points)

    def transposed(self) -> Inside:
        """Return the same with balls and points exchanged."""
        order = np.argsort(self.point, kind="stable")
        ball, point, squared = self.point[order], self.ball[order], self.squared[order]
        return Inside.of_entries(ball, point, squared, self.points, len(self.starts) - 1)

    def entries(self, balls: IndexArray) -> IndexArray:
        """Return the numbers of the entries of some balls."""
        ranges = [np.arange(self.starts[ball], self.starts[ball + 1]) for ball in balls]
        return np.concatenate([np.empty(0, dtype=np.intp), *ranges])

    def per_point(self) -> IndexArray:
        """Return how many balls each point lies in."""
        return np.bincount(self.point, minlength=self.points)


def nearest(features: FloatArray, count: int) -> tuple[IndexArray, FloatArray]:
    """Return each point's nearest other points.

    Args:
        features: N x D.
        count: How many, at most N - 1.

    Returns:
        Their numbers and their squared distances, N x count, nearest first.
    """
    numbers, squares = [], []
    for start, block in _distance_blocks(features, features):
        rows = np.arange(len(block))
        block[rows, start + rows] = np.inf
        found = np.argpartition(block, count - 1, axis=1)[:, :count]
        squared = np.take_along_axis(block, found, axis=1)
        order = np.argsort(squared, axis=1, kind="stable")
        numbers.append(np.take_along_axis(found, order, axis=1))
        squares.append(np.take_along_axis(squared, order, axis=1))
    return np.concatenate(numbers), np.concatenate(squares)


def inside_balls(centres: FloatArray, squared_radii: FloatArray, points: FloatArray, closed: bool = True) -> Inside:
    """Return which points (M x D) lie in the balls around `centres` (N x D).

    Args:
        centres: N x D.
        squared_radii: N.
        points: M x D.
        closed: Whether a point on the sphere is inside.
    """
    balls, numbers, squares = [], [], []
    for start, block in _distance_blocks(centres, points):
        radii = squared_radii[start : start + len(block), None]
        ball, point = np.nonzero(block <= radii if closed else block < radii)
        balls.append(start + ball)
        numbers.append(point)
        squares.append(block[ball, point])
    ball_of, point_of = np.concatenate(balls), np.concatenate(numbers)
    return Inside.of_entries(ball_of, point_of, np.concatenate(squares), len(centres), len(points))


def _distance_blocks(x: FloatArray, y: FloatArray) -> Iterator[tuple[int, FloatArray]]:
    """Yield the first row number and the squared distances of blocks of `x` from all of `y`."""
    y_squares = np.einsum("nd,nd->n", y, y)
    size = max(1, _BLOCK_ENTRIES // len(y))
    for start in range(0, len(x), size):
        rows = x[start : start + size]
        squared = np.einsum("nd,nd->n", rows, rows)[:, None] + y_squares - 2 * (rows @ y.T)
        yield start, np.maximum(squared, 0.0)
