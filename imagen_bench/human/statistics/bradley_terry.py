"""Bradley-Terry strengths of three or more arms from pairwise preferences.

P(i beats j) = 1 / (1 + exp(theta_j - theta_i)) (Bradley & Terry 1952, Biometrika 39). Ties count as half a win
to each side. The strengths are found by Newton's method; a tiny ridge keeps them finite in bootstrap draws where
an arm never loses. Without ties and ridge this is the ordinary maximum-likelihood fit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from imagen_bench.human.statistics.intervals import DRAWS, FEW_PROMPTS
from imagen_bench.metrics.base import FloatArray
from imagen_bench.metrics.intervals import LEVEL

RIDGE = 1e-3
ELO_SCALE = 400 / np.log(10)
"""Elo points of one unit of theta: 400 points are odds of 10 to 1."""
_STEPS, _TOLERANCE, _LONGEST_STEP = 200, 1e-11, 2.0


@dataclass(frozen=True)
class Strengths:
    """Fitted strengths of K arms.

    Attributes:
        theta: K log-strengths, mean 0.
        low: K lower ends of the 95 % intervals; None if there are too few clusters.
        high: K upper ends.
        wins: K x K; (i, j) is how often i beat j, prompts weighing alike, ties as half.
    """

    theta: FloatArray
    low: FloatArray | None
    high: FloatArray | None
    wins: FloatArray


def fit_strengths(wins: FloatArray, ridge: float = RIDGE) -> FloatArray:
    """Fit log-strengths to win matrices.

    Maximises sum_ij W_ij log sigma(theta_i - theta_j) - ridge / 2 |theta|^2 for each matrix.

    Args:
        wins: ... x K x K; the diagonal is ignored.
        ridge: In units of comparisons; must be positive.

    Returns:
        ... x K with mean 0.
    """
    n_arms = wins.shape[-1]
    won = wins * (1 - np.eye(n_arms))
    games = won + np.swapaxes(won, -1, -2)
    theta = np.zeros(wins.shape[:-1])
    for _ in range(_STEPS):
        chance = 1 / (1 + np.exp(np.clip(theta[..., None, :] - theta[..., :, None], -500, 500)))
        gradient = (won - games * chance).sum(axis=-1) - ridge * theta
        curvature = games * chance * (1 - chance)
        hessian = -curvature
        diagonal = np.arange(n_arms)
        hessian[..., diagonal, diagonal] = curvature.sum(axis=-1) - curvature[..., diagonal, diagonal] + ridge
        step = np.linalg.solve(hessian, gradient[..., None])[..., 0]
        longest = np.abs(step).max(axis=-1, keepdims=True)
        theta = theta + step * np.minimum(1.0, _LONGEST_STEP / np.maximum(longest, 1e-300))
        if float(longest.max()) < _TOLERANCE:
            break
    centred: FloatArray = theta - theta.mean(axis=-1, keepdims=True)
    return centred


def unconnected_groups(wins: FloatArray, labels: Sequence[str]) -> list[list[str]]:
    """Return the groups of arms within which each can be reached over wins from each other.

    One group: strengths exist. Several: an arm or a group never lost to, or never met, the rest, so the
    distance between groups has no estimate (Ford 1957, American Mathematical Monthly 64).
    """
    from scipy.sparse.csgraph import connected_components

    count, group = connected_components(wins > 0, directed=True, connection="strong")
    return [[label for label, own in zip(labels, group, strict=True) if own == number] for number in range(count)]


def bootstrap_strengths(prompt_wins: FloatArray, clusters: Sequence[str], seed: int) -> Strengths:
    """Fit strengths with intervals from reweighting the prompts' win matrices by cluster.

    Args:
        prompt_wins: P x K x K; wins on each prompt, in shares of its ratings.
        clusters: P labels.
        seed: Seed of the draws.
    """
    total = prompt_wins.sum(axis=0)
    theta = fit_strengths(total)
    labels, cluster = np.unique(np.asarray(clusters, dtype=str), return_inverse=True)
    if len(labels) < FEW_PROMPTS:
        return Strengths(theta, None, None, total)
    rng = np.random.default_rng(seed)
    weights = rng.multinomial(len(labels), np.full(len(labels), 1 / len(labels)), size=DRAWS)[:, cluster]
    replicates = fit_strengths(np.einsum("bp,pij->bij", weights, prompt_wins, optimize=True))
    low, high = np.quantile(replicates, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
    return Strengths(theta, low, high, total)
