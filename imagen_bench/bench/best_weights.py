"""Which guidance weight is best, and which cannot be told from the best."""

from __future__ import annotations

import numpy as np

from imagen_bench.bench.joint_scores import JointScores
from imagen_bench.metrics.base import FloatArray
from imagen_bench.metrics.intervals import LEVEL


def best_shares(draws: FloatArray, higher_is_better: bool) -> FloatArray:
    """Return the share of draws in which each of K scores is the best; `draws` is T x K."""
    best = np.argmax(draws if higher_is_better else -draws, axis=1)
    return np.bincount(best, minlength=draws.shape[1]) / len(draws)


def best_set(joint: JointScores, places: list[int], draws: FloatArray, higher_is_better: bool) -> list[int]:
    """Return which of some scores may be the best: the true best is among them with 95 % confidence.

    Multiple comparisons with the best (Hsu 1984, Annals of Statistics 12): a score stays unless another one is better
    by more than c standard errors of their difference, c being the 95 % point of the largest such studentised
    difference if all were equal, from the joint draws.

    Args:
        joint: Scores with their joint distribution.
        places: Places of the K scores to choose from.
        draws: From `joint.draws`.
        higher_is_better: Direction of the scores.

    Returns:
        Those of `places` that stay, in their order; never empty.
    """
    sign = 1.0 if higher_is_better else -1.0
    noise = sign * (draws - joint.estimate)
    gains = sign * joint.estimate
    kept = []
    for place in places:
        rivals = [rival for rival in places if rival != place]
        errors = {rival: joint.standard_error(_difference(len(gains), rival, place)) for rival in rivals}
        rivals = [rival for rival in rivals if errors[rival] > 0 or gains[rival] > gains[place]]
        if not rivals:
            kept.append(place)
            continue
        scale = np.array([max(errors[rival], 1e-300) for rival in rivals])
        largest = ((noise[:, rivals] - noise[:, [place]]) / scale).max(axis=1)
        if ((gains[rivals] - gains[place]) / scale).max() <= np.quantile(largest, LEVEL):
            kept.append(place)
    return kept


def _difference(count: int, plus: int, minus: int) -> FloatArray:
    contrast = np.zeros(count)
    contrast[plus], contrast[minus] = 1.0, -1.0
    return contrast
