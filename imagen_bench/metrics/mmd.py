"""Maximum mean discrepancy (MMD) of two feature sets under a kernel, and its expansion for an interval.

MMD^2 = E k(x, x') + E k(y, y') - 2 E k(x, y), Gretton et al. 2012 (JMLR 13, eq. 1). The unbiased estimate leaves
k(x_i, x_i) and k(y_i, y_i) out of the means (eq. 3) and may be negative; the biased one keeps them (eq. 5).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from imagen_bench.metrics.base import FloatArray
from imagen_bench.metrics.intervals import Expansion, IndexArray

# From dot products x . y and |x|^2 + |y|^2, which broadcast, to k(x, y).
Kernel = Callable[[FloatArray, FloatArray], FloatArray]
_ROWS = 1024


def polynomial_kernel(dim: int) -> Kernel:
    """Return k(x, y) = (x . y / D + 1)^3, KID's kernel (arXiv:1801.01401, section 4)."""

    def kernel(dots: FloatArray, squares: FloatArray) -> FloatArray:
        base = dots / dim + 1
        cubes: FloatArray = base * base * base
        return cubes

    return kernel


def gaussian_kernel(sigma: float) -> Kernel:
    """Return k(x, y) = exp(-|x - y|^2 / (2 sigma^2))."""

    def kernel(dots: FloatArray, squares: FloatArray) -> FloatArray:
        values: FloatArray = np.exp((2 * dots - squares) / (2 * sigma**2))
        return values

    return kernel


def gram(x: FloatArray, y: FloatArray, kernel: Kernel) -> FloatArray:
    """Return k(x_i, y_j), N x M, of rows x (N x D) and y (M x D)."""
    return kernel(x @ y.T, _squares(x)[:, None] + _squares(y))


def pairwise(x: FloatArray, y: FloatArray, kernel: Kernel) -> FloatArray:
    """Return k(x_i, y_i), N, of rows x and y (both N x D)."""
    return kernel(np.einsum("nd,nd->n", x, y), _squares(x) + _squares(y))


def row_means(x: FloatArray, y: FloatArray, kernel: Kernel) -> FloatArray:
    """Return the mean of k(x_i, y_j) over j for each i, N; blocks of rows bound the memory."""
    blocks = [gram(x[start : start + _ROWS], y, kernel).mean(axis=1) for start in range(0, len(x), _ROWS)]
    return np.concatenate(blocks)


def without_self(means: FloatArray, x: FloatArray, kernel: Kernel) -> FloatArray:
    """Return the mean of k(x_i, x_j) over j other than i, given the means over all j, N."""
    own = pairwise(x, x, kernel)
    rest: FloatArray = (len(x) * means - own) / (len(x) - 1)
    return rest


def unbiased_mmd(xx: FloatArray, xy: FloatArray, yy: FloatArray) -> float:
    """Return the unbiased MMD^2 of the kernel matrices N x N, N x M and M x M."""
    within = [(matrix.sum() - np.trace(matrix)) / (len(matrix) * (len(matrix) - 1)) for matrix in (xx, yy)]
    return float(within[0] + within[1] - 2 * xy.mean())


def mmd_expansion(
    x: FloatArray, within: FloatArray, across: FloatArray, kernel: Kernel, n: int, share: float = 1.0
) -> Expansion:
    """Return the expansion of an MMD^2 in the weights of (some of) the N generated samples.

    Args:
        x: Features of the rows, R x D.
        within: Mean of k(x_i, x_j) over the generated samples j, R.
        across: Mean of k(x_i, y_j) over the reference, R.
        kernel: k.
        n: Number of all generated samples.
        share: Share of all clusters that the rows are.
    """
    influence = within - across
    level = float(within.mean())

    def second(rows: IndexArray, columns: IndexArray) -> FloatArray:
        values = pairwise(x[rows], x[columns], kernel)
        terms: FloatArray = 2 * (values - within[rows] - within[columns] + level) / n**2
        return terms

    return Expansion(2 * (influence - influence.mean()) / n, second, share)


def _squares(x: FloatArray) -> FloatArray:
    squares: FloatArray = np.einsum("nd,nd->n", x, x)
    return squares
