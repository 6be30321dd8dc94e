"""Linear algebra of symmetric matrices against numpy, and what only symmetric matrices have."""

from __future__ import annotations

import numpy as np
import pytest

from imagen_bench.metrics.base import FloatArray
from imagen_bench.metrics.symmetric import cholesky, congruent, eigenvalues_of, eigenvectors_of


def covariance(rows: int, dim: int) -> FloatArray:
    return np.cov(np.random.default_rng(dim).standard_normal((rows, dim)), rowvar=False)


@pytest.mark.parametrize(("rows", "dim"), [(9, 2), (40, 17), (10, 30), (500, 130)])
def test_eigenvalues_and_vectors(rows: int, dim: int) -> None:
    matrix = covariance(rows, dim)
    expected = np.linalg.eigvalsh(matrix)
    values, vectors = eigenvectors_of(matrix)
    np.testing.assert_allclose(eigenvalues_of(matrix), expected, atol=1e-13)
    np.testing.assert_allclose(values, expected, atol=1e-13)
    np.testing.assert_allclose(vectors * values @ vectors.T, matrix, atol=1e-13)
    np.testing.assert_allclose(vectors.T @ vectors, np.eye(dim), atol=1e-13)


def test_cholesky_factor_or_none() -> None:
    matrix = covariance(60, 20)
    factor = cholesky(matrix)
    assert factor is not None
    np.testing.assert_allclose(factor, np.linalg.cholesky(matrix), atol=1e-14)
    assert cholesky(-matrix) is None
    assert cholesky(np.zeros((3, 3))) is None


def test_congruent() -> None:
    matrix, factor = covariance(60, 20), np.random.default_rng(1).standard_normal((20, 20))
    np.testing.assert_allclose(congruent(matrix, factor), factor.T @ matrix @ factor, atol=1e-12)


def test_only_the_lower_triangle_is_read() -> None:
    matrix = covariance(60, 20)
    lower = np.tril(matrix)
    np.testing.assert_array_equal(eigenvalues_of(lower), eigenvalues_of(matrix))
    np.testing.assert_array_equal(eigenvectors_of(lower)[1], eigenvectors_of(matrix)[1])
    np.testing.assert_array_equal(cholesky(lower), cholesky(matrix))


def test_inputs_are_left_as_they_are_and_may_lie_anywhere() -> None:
    matrix = covariance(60, 20)
    before = matrix.copy()
    shifted = np.empty(401)[1:].reshape(20, 20)
    shifted[:] = matrix
    np.testing.assert_array_equal(eigenvalues_of(matrix), eigenvalues_of(shifted))
    np.testing.assert_array_equal(eigenvalues_of(matrix), eigenvalues_of(np.asfortranarray(matrix)))
    np.testing.assert_array_equal(matrix, before)
