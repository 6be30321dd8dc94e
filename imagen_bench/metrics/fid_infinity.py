"""FID-infinity: what the FID would be with infinitely many generated images.

Chong & Forsyth 2020 (arXiv:1911.07023, section 4): the FID of N images exceeds its limit by about a constant over N,
so FIDs of subsets of several sizes are fitted by a straight line in 1/N, and its value at 0 is the estimate. The
bias that comes from the reference's own finite number of images stays.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, ClassVar

import numpy as np
from pydantic import Field

from imagen_bench.config import Section, Seed
from imagen_bench.errors import InputError
from imagen_bench.metrics.base import FloatArray, MetricContext, MetricResult, Need, metrics
from imagen_bench.metrics.cluster_sample import sampled_clusters
from imagen_bench.metrics.frechet import FrechetFit
from imagen_bench.metrics.intervals import IndexArray, jackknife_interval
from imagen_bench.metrics.options import read_options
from imagen_bench.metrics.statistics import RunningMoments
from imagen_bench.metrics.stored_features import StoredFeaturesMetric


class FidInfinityOptions(Section):
    """Options of FID-infinity. Where there are fewer than twice `smallest` images, the smallest subset is half."""

    points: Annotated[int, Field(strict=True, ge=3)] = 15
    smallest: Annotated[int, Field(strict=True, ge=2)] = 5000
    seed: Seed = 0


def line_at_zero(x: FloatArray, y: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return intercept and slope of the least-squares lines through points (..., P)."""
    dx = x - x.mean(axis=-1, keepdims=True)
    slope = np.sum(dx * y, axis=-1) / np.sum(dx**2, axis=-1)
    intercept: FloatArray = y.mean(axis=-1) - slope * x.mean(axis=-1)
    return intercept, slope


@metrics.register("fid_infinity")
class FidInfinity(StoredFeaturesMetric):
    """Intercept of the line through FIDs of 15 subsets against 1 / N; details holds the slope and the FID of all.

    The interval leaves prompts out of the whole estimate, and so holds the draw of the subsets too.
    """

    name: ClassVar[str] = "fid_infinity"
    interval_words: ClassVar[str] = (
        "Student's t with a jackknife that leaves out one prompt at a time and extrapolates anew; the reference set is "
        "held fixed."
    )
    features: ClassVar[str | None] = "inception"
    needs: ClassVar[frozenset[Need]] = frozenset({"reference"})

    def __init__(self, context: MetricContext) -> None:
        super().__init__(context)
        self._options = read_options(FidInfinityOptions, context, self.name)
        if context.reference is None:
            raise InputError("the Fréchet distance needs a reference set, found none: give a reference")
        self._reference = context.reference

    @property
    def label(self) -> str:
        """What people read."""
        return "FID-infinity"

    def options(self) -> dict[str, Any]:
        """Number of subsets, their smallest size, seed of their draw."""
        return self._options.model_dump()

    def compute(self) -> MetricResult:
        """Return the intercept and its interval."""
        options = self._options
        features = self.generated(least=4 * options.points)
        smallest = min(options.smallest, len(features) // 2)
        sizes = np.linspace(smallest, len(features), options.points).astype(np.intp)
        rng = np.random.default_rng(options.seed)
        subsets = [rng.permutation(len(features))[:size] for size in sizes]
        rows, share = sampled_clusters(self.clusters, self.context.seed)
        fits = [self._fit(features, subset, rows) for subset in subsets]
        distances = np.array([fit.distance for fit, _ in fits])
        intercept, slope = line_at_zero(1 / sizes, distances)

        def leave_out(groups: Sequence[IndexArray]) -> FloatArray:
            inside = [[place[group][place[group] >= 0] for group in groups] for _, place in fits]
            values = np.stack([fit.without(part) for (fit, _), part in zip(fits, inside, strict=True)], axis=-1)
            left = sizes - np.array([[len(group) for group in part] for part in inside]).T
            return line_at_zero(1 / left, values)[0]

        drawn = [self.clusters[row] for row in rows]
        interval = jackknife_interval(float(intercept), leave_out, drawn, share, self.context.seed)
        details = {"slope": float(slope), "fid": float(distances[-1]), "smallest": int(smallest)}
        return self.result(float(intercept), interval, details=details)

    def _fit(self, features: FloatArray, subset: IndexArray, rows: IndexArray) -> tuple[FrechetFit, IndexArray]:
        """Fit a subset; also say at which place of the fit each of `rows` may be left out, -1 where it is not in."""
        moments = RunningMoments(features.shape[1])
        moments.update(features[subset])
        held = np.isin(rows, subset)
        place = np.where(held, np.cumsum(held) - 1, -1)
        return FrechetFit(moments, self._reference, features[rows[held]]), place
