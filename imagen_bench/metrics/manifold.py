"""What share of a point set is covered, and by how much that changes where some of the cover is left out."""

from __future__ import annotations

import numpy as np

from imagen_bench.metrics.base import FloatArray
from imagen_bench.metrics.intervals import IndexArray
from imagen_bench.metrics.nearest import Inside, inside_balls, nearest


class FixedCover:
    """Share of points that lie in any ball; the balls stay as they are when others are left out.

    Args:
        inside: Which points lie in which balls.
    """

    def __init__(self, inside: Inside) -> None:
        self._inside = inside
        self._times = inside.per_point()
        self._covered = int((self._times > 0).sum())

    @property
    def share(self) -> float:
        """Share of the points that are covered."""
        return self._covered / self._inside.points

    def without(self, balls: IndexArray) -> float:
        """Return the share that is covered without some balls."""
        return self._changed(self._inside.point[self._inside.entries(balls)], np.empty(0, dtype=np.intp))

    def _changed(self, lost: IndexArray, gained: IndexArray) -> float:
        """Share that is covered once points lose balls (a point for each ball lost) and others gain some."""
        points, times = np.unique(lost, return_counts=True)
        bare = points[self._times[points] == times]
        new = np.unique(gained)
        uncovered = len(np.setdiff1d(bare, new, assume_unique=True))
        return (self._covered - uncovered + int((self._times[new] == 0).sum())) / self._inside.points


class MovingCover(FixedCover):
    """Share of points in balls that reach to the k-th nearest other centre.

    When centres are left out, balls whose neighbours went reach further, to one of the spare neighbours.

    Args:
        centres: Float64, N x D.
        points: Float64, M x D.
        k: Neighbours that a ball reaches to, at most N - 1.
        spare: The most centres that are left out at once.
    """

    def __init__(self, centres: FloatArray, points: FloatArray, k: int, spare: int) -> None:
        self._k = k
        self._neighbours, self._squares = nearest(centres, min(k + spare, len(centres) - 1))
        self._further = inside_balls(centres, self._squares[:, -1], points)
        self._now = self._further.squared <= self._squares[self._further.ball, k - 1]
        super().__init__(self._further.where(self._now))
        near = self._neighbours[:, :k].ravel()
        self._neighbour_of = np.argsort(near, kind="stable") // k
        self._starts = np.searchsorted(np.sort(near), np.arange(len(centres) + 1))

    def without(self, balls: IndexArray) -> float:
        """Return the share that is covered without some balls and their centres."""
        lost = self._inside.point[self._inside.entries(balls)]
        near = [self._neighbour_of[self._starts[ball] : self._starts[ball + 1]] for ball in balls]
        grown = np.setdiff1d(np.concatenate(near), balls)
        kept = ~np.isin(self._neighbours[grown], balls)
        # The k-th neighbour that is left; the furthest that is known where fewer than k are.
        reach = np.argmax(np.cumsum(kept, axis=1) >= min(self._k, self._squares.shape[1] - len(balls)), axis=1)
        entries = self._further.entries(grown)
        radii = np.zeros(len(self._squares))
        radii[grown] = self._squares[grown, reach]
        newly = ~self._now[entries] & (self._further.squared[entries] <= radii[self._further.ball[entries]])
        return self._changed(lost, self._further.point[entries[newly]])
