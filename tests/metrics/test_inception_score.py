from __future__ import annotations

import numpy as np
import pytest

from imagen_bench.errors import ConfigError, InputError
from imagen_bench.metrics.base import FeatureBatch, Metric, MetricContext, metrics


def fed(logits: np.ndarray, **options: object) -> Metric:
    metric = metrics.get("inception_score")(MetricContext("tiny", options=options))
    for start in range(0, len(logits), 37):
        part = logits[start : start + 37]
        metric.update(FeatureBatch(part, [f"p{start + i}" for i in range(len(part))]))
    return metric


@pytest.mark.parametrize(("n", "splits"), [(100, 10), (103, 10), (50, 1)])
def test_is_torch_fidelitys(n: int, splits: int) -> None:
    metric_isc = pytest.importorskip("torch_fidelity.metric_isc")
    import torch

    logits = np.random.default_rng(n).normal(size=(n, 30)) * 4
    theirs = metric_isc.isc_features_to_metric(torch.from_numpy(logits), splits=splits)
    result = fed(logits, splits=splits).compute()
    assert result.value == pytest.approx(theirs["inception_score_mean"], rel=1e-10)
    assert result.details["std"] == pytest.approx(theirs["inception_score_std"], rel=1e-8, abs=1e-12)
    assert result.higher_is_better


def test_closed_forms() -> None:
    # Sure and even over 5 classes: exp(log 5); all alike: 1. Logits of 1000 underflow without care.
    sure = np.tile(1000 * np.eye(5), (8, 1))
    assert fed(sure, splits=1).compute().value == pytest.approx(5, rel=1e-12)
    assert fed(np.ones((40, 5))).compute().value == pytest.approx(1, rel=1e-12)


def test_a_constant_added_to_an_images_logits_is_nothing() -> None:
    rng = np.random.default_rng(1)
    logits = rng.normal(size=(60, 12))
    moved = logits + 50 * rng.normal(size=(60, 1))
    assert fed(moved).compute().value == pytest.approx(fed(logits).compute().value, rel=1e-10)


def test_options_enter_the_protocol_and_are_checked() -> None:
    logits = np.zeros((20, 3))
    assert fed(logits).options() == {"splits": 10, "seed": 2020}
    with pytest.raises(ConfigError, match="did you mean 'splits'"):
        fed(logits, split=3)
    with pytest.raises(InputError, match="inception_score needs at least 10 images, found 9"):
        fed(logits[:9]).compute()
