"""Distances from features against torchmetrics' own functions on the same features (no network runs)."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from imagen_bench.metrics.base import FeatureBatch, MetricContext, metrics
from imagen_bench.metrics.frechet import frechet_distance

fid = pytest.importorskip("torchmetrics.image.fid")
kid = pytest.importorskip("torchmetrics.image.kid")


def sets() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.normal(size=(90, 12)) * 1.3 + 0.2, rng.normal(size=(70, 12))


def test_fid() -> None:
    moments = [(x.mean(axis=0), np.cov(x, rowvar=False)) for x in sets()]
    theirs = fid._compute_fid(*(torch.from_numpy(part) for pair in moments for part in pair))
    assert frechet_distance(*moments[0], *moments[1]) == pytest.approx(float(theirs), rel=1e-8)


def test_kid_of_equally_many() -> None:
    x, y = sets()
    x = x[: len(y)]
    metric = metrics.get("kid")(MetricContext("tiny", reference_features=y, options={"estimator": "full"}))
    metric.update(FeatureBatch(x, [f"p{i}" for i in range(len(x))]))
    theirs = kid.poly_mmd(torch.from_numpy(y), torch.from_numpy(x))
    assert metric.compute().value == pytest.approx(float(theirs), rel=1e-8)
