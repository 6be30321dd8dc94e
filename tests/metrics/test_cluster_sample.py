from __future__ import annotations

import numpy as np
import pytest

from imagen_bench.metrics.cluster_sample import ClusterSample, sampled_clusters


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("imagen_bench.metrics.cluster_sample.MOST_ROWS", 40)
    monkeypatch.setattr("imagen_bench.metrics.cluster_sample.LEAST_CLUSTERS", 5)


def offered(features: np.ndarray, clusters: list[str], step: int) -> ClusterSample:
    sample = ClusterSample(seed=3)
    for start in range(0, len(features), step):
        sample.update(features[start : start + step], clusters[start : start + step])
    return sample


@pytest.mark.usefixtures("small")
def test_neither_batches_nor_order_nor_workers_change_the_sample() -> None:
    clusters = [f"p{i % 70}" for i in range(210)]
    features = np.arange(210, dtype=np.float32)[:, None]
    rows, labels, share = offered(features, clusters, 210).rows()
    assert 35 <= len(rows) <= 40
    assert share == len(set(labels)) / 70
    order = np.random.default_rng(0).permutation(210)
    shuffled = offered(features[order], [clusters[i] for i in order], 7)
    one, other = offered(features[100:], clusters[100:], 11), offered(features[:100], clusters[:100], 100)
    one.merge(other)
    for sample in (shuffled, one):
        again, _, same_share = sample.rows()
        assert sorted(again.ravel()) == sorted(rows.ravel())
        assert same_share == share


@pytest.mark.usefixtures("small")
def test_clusters_are_kept_whole() -> None:
    clusters = [f"p{i % 70}" for i in range(210)]
    numbers, share = sampled_clusters(clusters, seed=0)
    kept = {clusters[i] for i in numbers}
    assert sorted(numbers) == [i for i in range(210) if clusters[i] in kept]
    assert share == len(kept) / 70


@pytest.mark.usefixtures("small")
def test_few_large_clusters_are_kept_though_over_budget() -> None:
    numbers, share = sampled_clusters([f"p{i % 6}" for i in range(120)], seed=0)
    assert (len(numbers), share) == (100, 5 / 6)


def test_small_sets_are_kept_whole() -> None:
    numbers, share = sampled_clusters(["a", "b", "a"], seed=0)
    assert (sorted(numbers), share) == ([0, 1, 2], 1)


def test_every_cluster_is_as_likely() -> None:
    # 40 of 80 clusters by each of 200 seeds: each is kept 100 times, with deviation 7.
    clusters = [f"p{i}" for i in range(80)]
    times = np.zeros(80)
    for seed in range(200):
        sample = ClusterSample(seed)
        sample.update(np.arange(80, dtype=np.float32)[:, None], clusters)
        ranked = sample.rows()[0].ravel().astype(int)[:40]
        times[ranked] += 1
    assert times.min() > 70
    assert times.max() < 130
