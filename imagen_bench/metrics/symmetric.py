"""Linear algebra of symmetric float64 matrices, by torch: its LAPACK is faster than that of numpy's wheels.

At 2048 dimensions on two cores eigenvalues take 0.7 of numpy's time, eigenvectors 0.4, a Cholesky factor 0.4.
Results differ by rounding alone. Of a matrix only the lower triangle is read, so that one which is symmetric but
for rounding need not be made so. Inputs are copied, which also aligns them: the last bits do not depend on where an
array happens to lie.
"""

from __future__ import annotations

import torch

from imagen_bench.metrics.base import FloatArray


def cholesky(matrix: FloatArray) -> FloatArray | None:
    """Return the lower triangular L, D x D, with L L^T = `matrix`; None where it is not positive definite."""
    factor, failed = torch.linalg.cholesky_ex(_copied(matrix))
    return None if int(failed) else _array(factor)


def eigenvalues_of(matrix: FloatArray) -> FloatArray:
    """Return the eigenvalues, ascending, D.

    Args:
        matrix: D x D, symmetric.
    """
    return _array(torch.linalg.eigvalsh(_copied(matrix)))


def eigenvectors_of(matrix: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the eigenvalues, ascending, D, and the eigenvectors as columns, D x D.

    Args:
        matrix: D x D, symmetric.
    """
    values, vectors = torch.linalg.eigh(_copied(matrix))
    return _array(values), _array(vectors)


def congruent(matrix: FloatArray, factor: FloatArray) -> FloatArray:
    """Return F^T S F, D x D, symmetric but for rounding.

    Args:
        matrix: S, D x D, symmetric.
        factor: F, D x D.
    """
    f = _copied(factor)
    return _array(f.T @ _copied(matrix) @ f)


def _copied(matrix: FloatArray) -> torch.Tensor:
    return torch.tensor(matrix, dtype=torch.float64)


def _array(tensor: torch.Tensor) -> FloatArray:
    array: FloatArray = tensor.numpy()
    return array
