"""Fréchet distances without some of the images, all from one eigenvalue problem: the jackknife made cheap.

Leaving out c of N images with deviations z from the mean takes a matrix of rank c from the scatter matrix
(N - 1) S, and so from B = (N - 1) F^T S F with the reference covariance F F^T. With B = U diag(b) U^T, Y the c x D
rows U^T F^T z, and M = I + 1 1^T / (N - c), which accounts for the moved mean,

    B' = B - (U Y^T) M (Y U^T),
    log det(B' + t) - log det(B + t) = log det(I - M Y (diag(b) + t)^-1 Y^T),

a determinant of size c. The trace of a root is an integral of log-determinants over t,

    tr B^1/2 - tr B'^1/2 = -1/(2 pi) int_0^inf t^-1/2 [log det(B' + t) - log det(B + t)] dt,

because int_0^inf log(1 + b / t) t^-1/2 dt = 2 pi b^1/2. In s = log t the integrand is analytic for |Im s| < pi, so
the trapezoidal rule with unit steps errs by exp(-2 pi^2), 3e-9. Directions with b = 0 hold no image and drop out:
fewer images than dimensions are no special case.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from imagen_bench.metrics.base import FloatArray
from imagen_bench.metrics.intervals import IndexArray
from imagen_bench.metrics.statistics import GaussianStatistics, RunningMoments
from imagen_bench.metrics.symmetric import eigenvalues_of

# Nodes from exp(-36) to exp(28) times the largest eigenvalue: what is cut off is 1e-6 of the integral.
_NODES = np.arange(-36.0, 29.0)
_ROWS_AT_ONCE = 2048
# Above so many images at once, eigenvalues are cheaper than determinants at every node.
_MOST_BY_DETERMINANT = 32


class LeaveOut:
    """FD of all images but a few.

    Args:
        rows: Float64, R x D: features of those images that may be left out.
        moments: Moments of all N images.
        reference: Moments of the reference.
        factor: F, D x D, the reference's covariance being F F^T.
        eigenvalues: Of F^T S F, rounding noise set to 0, D.
        eigenvectors: D x D.
    """

    def __init__(
        self,
        rows: FloatArray,
        moments: RunningMoments,
        reference: GaussianStatistics,
        factor: FloatArray,
        eigenvalues: FloatArray,
        eigenvectors: FloatArray,
    ) -> None:
        seen = eigenvalues > 0
        scatter = (moments.n - 1) * eigenvalues[seen]
        self._n = moments.n
        self._scatter_trace = (moments.n - 1) * float(np.trace(moments.covariance))
        self._scatter = scatter
        self._root_trace = float(np.sqrt(scatter).sum())
        self._shift = moments.mean - reference.mean
        self._reference_trace = float(np.trace(reference.covariance))
        self._deviations = rows - moments.mean
        self._y = self._deviations @ (factor @ eigenvectors[:, seen])
        nodes = np.exp(_NODES) * scatter.max(initial=np.finfo(np.float64).tiny)
        self._resolvent = 1 / (scatter[:, None] + nodes)
        self._weights = np.sqrt(nodes) / (2 * np.pi)

    def __call__(self, groups: Sequence[IndexArray]) -> FloatArray:
        """Return the FD without each group of rows (row numbers; the groups may differ in size)."""
        values = np.empty(len(groups))
        sizes = np.array([len(group) for group in groups])
        for size in np.unique(sizes):
            same = np.flatnonzero(sizes == size)
            for part in np.array_split(same, max(1, len(same) * size // _ROWS_AT_ONCE)):
                values[part] = self._without(np.stack([groups[index] for index in part]))
        return values

    def _without(self, rows: IndexArray) -> FloatArray:
        """FD without each of G groups of c rows, given as G x c row numbers."""
        size = rows.shape[1]
        left = self._n - size
        deviations = self._deviations[rows]
        total = deviations.sum(axis=1)
        moved = self._shift - total / left
        scatter = self._scatter_trace - np.sum(deviations**2, axis=(1, 2)) - np.sum(total**2, axis=1) / left
        y = self._y[rows]
        if size > _MOST_BY_DETERMINANT:
            roots = np.array([self._root_without(each, left) for each in y])
        else:
            roots = self._root_trace + self._log_determinants(y, left) @ self._weights
        distances: FloatArray = (
            np.sum(moved**2, axis=1) + scatter / (left - 1) + self._reference_trace - 2 * roots / np.sqrt(left - 1)
        )
        return distances

    def _root_without(self, y: FloatArray, left: int) -> float:
        """Tr B'^1/2 of one group, by the eigenvalues of B'; `y` is c x D."""
        total = y.sum(axis=0)
        values = eigenvalues_of(np.diag(self._scatter) - y.T @ y - np.outer(total, total) / left)
        return float(np.sqrt(np.maximum(values, 0.0)).sum())

    def _log_determinants(self, y: FloatArray, left: int) -> FloatArray:
        """Log det(B' + t) - log det(B + t) of each group and node, G x T; `y` is G x c x D."""
        groups, size, _ = y.shape
        inner = np.empty((size, size, groups, len(self._weights)))
        for i in range(size):
            for j in range(i + 1):
                inner[i, j] = inner[j, i] = (y[:, i] * y[:, j]) @ self._resolvent
        # M inner = inner + 1 (1^T inner) / (N - c)
        inner += inner.sum(axis=0) / left
        matrices = np.eye(size) - np.moveaxis(inner, (0, 1), (2, 3))
        determinants = np.linalg.det(matrices)
        logs: FloatArray = np.log(np.maximum(determinants, np.finfo(np.float64).tiny))
        return logs
