"""Answers as arrays: who answered what on which prompt, with the prompts' clusters and categories."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from imagen_bench.metrics.base import FloatArray

BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Ratings:
    """K quantities of P prompts by R raters.

    Attributes:
        sums: K x P x R; sum of a rater's values on a prompt, 0 where there is none.
        counts: P x R; how many values that are.
        prompts: P ids.
        clusters: P labels; prompts of one cluster are near copies and count as dependent.
        categories: P labels.
    """

    sums: FloatArray
    counts: FloatArray
    prompts: tuple[str, ...]
    clusters: tuple[str, ...]
    categories: tuple[str, ...]

    @property
    def means(self) -> FloatArray:
        """K x P means over the ratings of each prompt: prompts weigh alike however many ratings they have."""
        means: FloatArray = self.sums.sum(axis=2) / self.counts.sum(axis=1)
        return means

    @property
    def n_prompts(self) -> int:
        """P."""
        return len(self.prompts)

    @property
    def n_clusters(self) -> int:
        """Number of different clusters."""
        return len(set(self.clusters))

    @property
    def n_ratings(self) -> int:
        """Number of values."""
        return int(self.counts.sum())

    @property
    def n_raters(self) -> int:
        """Number of raters with at least one value."""
        return int((self.counts.sum(axis=0) > 0).sum())

    def keep(self, chosen: BoolArray) -> Ratings:
        """Return the ratings of the prompts that the mask of P entries chooses."""

        def pick(labels: tuple[str, ...]) -> tuple[str, ...]:
            return tuple(label for label, wanted in zip(labels, chosen, strict=True) if wanted)

        counts = self.counts[chosen]
        raters = counts.sum(axis=0) > 0
        return Ratings(
            self.sums[:, chosen][:, :, raters],
            counts[:, raters],
            pick(self.prompts),
            pick(self.clusters),
            pick(self.categories),
        )

    def of_category(self, category: str) -> Ratings:
        """Return the ratings of one category's prompts."""
        return self.keep(np.array([label == category for label in self.categories], dtype=bool))


def answers_to_ratings(
    values: FloatArray,
    prompts: Sequence[str],
    raters: Sequence[str],
    about: dict[str, tuple[str, str]],
) -> Ratings:
    """Arrange N answers as `Ratings`; prompts without an answer do not appear.

    Args:
        values: N x K quantities of each answer.
        prompts: N prompt ids.
        raters: N rater names.
        about: (cluster, category) of each prompt id.
    """
    ids, row = np.unique(np.asarray(prompts, dtype=str), return_inverse=True)
    names, column = np.unique(np.asarray(raters, dtype=str), return_inverse=True)
    counts = np.zeros((len(ids), len(names)))
    np.add.at(counts, (row, column), 1.0)
    sums = np.zeros((values.shape[1], len(ids), len(names)))
    for quantity, matrix in zip(values.T, sums, strict=True):
        np.add.at(matrix, (row, column), quantity)
    found = tuple(str(name) for name in ids)
    clusters, categories = (tuple(about[name][place] for name in found) for place in (0, 1))
    return Ratings(sums, counts, found, clusters, categories)
