"""What metrics that compare single images keep of them."""

from __future__ import annotations

import tracemalloc

import numpy as np
import numpy.typing as npt

from imagen_bench.metrics.base import FeatureBatch, Metric, MetricContext, metrics

NAMES = ("precision", "recall", "density", "coverage")


def opened(reference: npt.NDArray[np.float32]) -> list[Metric]:
    return [metrics.get(name)(MetricContext("x", reference_features=reference)) for name in NAMES]


def test_float32_features_are_kept_once_for_all_metrics() -> None:
    rows = np.random.default_rng(0).standard_normal((2000, 64), dtype=np.float32)
    batch = FeatureBatch(rows, [str(row) for row in range(len(rows))])
    computed = opened(rows[:10])
    tracemalloc.start()
    for metric in computed:
        metric.update(batch)
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # Each metric has a list of the labels; none has a copy of the features.
    assert kept < 0.25 * len(NAMES) * rows.nbytes


def test_scores_do_not_depend_on_the_precision_that_features_come_in() -> None:
    rng = np.random.default_rng(1)
    rows, reference = (rng.standard_normal((60, 5), dtype=np.float32) for _ in range(2))
    found = []
    for features in (rows, rows.astype(np.float64)):
        computed = opened(reference)
        for metric in computed:
            for start in (0, 7, 40):
                stop = {0: 7, 7: 40, 40: 60}[start]
                metric.update(FeatureBatch(features[start:stop], [str(row) for row in range(start, stop)]))
        found.append([metric.compute().value for metric in computed])
    assert found[0] == found[1]
