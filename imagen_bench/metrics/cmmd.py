"""CMMD: the MMD of normalised CLIP image features under a Gaussian kernel, times 1000.

Jayasumana et al. 2024 (arXiv:2401.09603, section 4), with the choices of their published code: ViT-L/14 at 336
pixels, sigma = 10, the biased estimate of MMD^2, scaled by 1000.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

import numpy as np
from pydantic import Field

from imagen_bench.config import Section
from imagen_bench.errors import ModelError
from imagen_bench.metrics.base import FloatArray, MetricContext, MetricResult, Need, metrics
from imagen_bench.metrics.intervals import expansion_interval
from imagen_bench.metrics.mmd import gaussian_kernel, mmd_expansion, row_means
from imagen_bench.metrics.options import read_options
from imagen_bench.metrics.stored_features import StoredFeaturesMetric

SCALE = 1000


class CmmdOptions(Section):
    """Options of CMMD."""

    sigma: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 10.0


def normalised(features: FloatArray) -> FloatArray:
    """Return features scaled to length 1, N x D.

    Raises:
        ModelError: A feature is all zeros, so that it has no direction.
    """
    lengths = np.linalg.norm(features, axis=1, keepdims=True)
    if (lengths == 0).any():
        raise ModelError(f"feature {int(np.argmin(lengths))} is all zeros: check the extractor's weights")
    unit: FloatArray = features / lengths
    return unit


@metrics.register("cmmd")
class Cmmd(StoredFeaturesMetric):
    """1000 times the biased MMD^2 of CLIP ViT-L/14-336 features; it falls slightly with the number of images."""

    name: ClassVar[str] = "cmmd"
    interval_words: ClassVar[str] = (
        "Student's t with the infinitesimal jackknife over prompts; the reference set is held fixed."
    )
    features: ClassVar[str | None] = "clip-vitl14-336"
    needs: ClassVar[frozenset[Need]] = frozenset({"reference_features"})

    def __init__(self, context: MetricContext) -> None:
        super().__init__(context)
        self._options = read_options(CmmdOptions, context, self.name)

    @property
    def label(self) -> str:
        """What people read."""
        return "CMMD"

    def options(self) -> dict[str, Any]:
        """Width of the kernel."""
        return self._options.model_dump()

    def compute(self) -> MetricResult:
        """Return CMMD and its interval."""
        x, y = normalised(self.generated(least=1)), normalised(self.reference(least=1))
        kernel = gaussian_kernel(self._options.sigma)
        within, across = row_means(x, x, kernel), row_means(x, y, kernel)
        mmd = within.mean() + row_means(y, y, kernel).mean() - 2 * across.mean()
        expansion = mmd_expansion(x, within, across, kernel, len(x))
        low, high = expansion_interval(float(mmd), expansion, self.clusters, self.context.seed) or (None, None)
        interval = (SCALE * max(low, 0.0), SCALE * high) if low is not None and high is not None else None
        return self.result(SCALE * float(mmd), interval)
