"""Joint distributions against closed forms, the jackknife written out, scipy, and simulation."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from scipy import stats

from imagen_bench.bench.joint_scores import JointScores, Part, drawn_interval, joint_jackknife, t_interval
from imagen_bench.bench.pareto import hypervolume
from imagen_bench.bench.run_scores import FrechetOfFeatures, SampleMean
from imagen_bench.errors import InputError
from imagen_bench.metrics.frechet import frechet_distance
from imagen_bench.metrics.intervals import mean_interval
from imagen_bench.metrics.statistics import GaussianStatistics

NORMAL = GaussianStatistics(np.zeros(3), np.eye(3), 1000, "toy", "0", "normal")


def labels(count: int, each: int = 1) -> list[str]:
    return [f"p{number:03d}" for number in range(count) for _ in range(each)]


def joint(*parts: Part) -> JointScores:
    return JointScores(parts, np.arange(sum(len(part.estimate) for part in parts)))


def means(values: Any, clusters: list[str]) -> Part:
    part = joint_jackknife([lambda row=row: SampleMean(row) for row in values], clusters)
    assert part is not None
    return part


def test_means_have_the_covariance_of_means() -> None:
    values = np.random.default_rng(0).multivariate_normal([0.3, 0.5, 0.1], np.full((3, 3), 0.5) + np.eye(3), 40).T
    part = means(values, labels(40))
    assert part.estimate == pytest.approx(values.mean(axis=1))
    assert part.covariance() == pytest.approx(np.cov(values) / 40)
    paired = stats.ttest_rel(values[1], values[0])
    error = joint(part).standard_error([-1, 1, 0])
    assert (part.estimate[1] - part.estimate[0]) / error == pytest.approx(paired.statistic)


def test_samples_of_a_prompt_are_left_out_together() -> None:
    values = np.random.default_rng(1).normal(size=(1, 60)) + np.repeat(np.arange(20) % 3, 3)
    part = means(values, labels(20, 3))
    interval = t_interval(float(values.mean()), joint(part).standard_error([1]), 19)
    assert interval == pytest.approx(mean_interval(values[0], labels(20, 3)))


def test_difference_of_fds_is_the_jackknife_written_out() -> None:
    rng = np.random.default_rng(2)
    one = rng.normal(size=(12, 3)).astype(np.float32)
    two = (one * 1.2 + rng.normal(0, 0.2, (12, 3))).astype(np.float32)

    def difference(left_out: tuple[int, ...]) -> float:
        first, second = (np.delete(x.astype(np.float64), left_out, axis=0) for x in (one, two))
        fds = [frechet_distance(x.mean(axis=0), np.cov(x, rowvar=False), NORMAL.mean, NORMAL.covariance)
               for x in (first, second)]  # fmt: skip
        return fds[1] - fds[0]

    part = joint_jackknife([lambda: FrechetOfFeatures(one, NORMAL), lambda: FrechetOfFeatures(two, NORMAL)], labels(12))
    assert part is not None
    whole, single = difference(()), [difference((row,)) for row in range(12)]
    plain = 11 / 12 * sum((value - np.mean(single)) ** 2 for value in single)
    q = [
        12 * whole - 11 * (single[i] + single[j]) + 10 * difference((i, j))
        for i, j in itertools.combinations(range(12), 2)
    ]
    correction = np.var(q) / 2 * 11 / 12
    assert part.variance(np.array([-1.0, 1.0])) == pytest.approx(plain - min(correction, plain / 2) / 2, rel=1e-5)


def test_parts_are_independent_and_places_are_kept() -> None:
    rng = np.random.default_rng(3)
    a, b = rng.normal(size=(2, 30)), rng.normal(size=(1, 50))
    both = JointScores((means(a, labels(30)), means(b, labels(50))), np.array([0, 2, 1]))
    assert both.estimate == pytest.approx([a[0].mean(), b[0].mean(), a[1].mean()])
    assert both.degrees == 29
    welch = np.sqrt(a[0].var(ddof=1) / 30 + b[0].var(ddof=1) / 50)
    assert both.standard_error([1, -1, 0]) == pytest.approx(welch)
    drawn = np.corrcoef(both.draws(4000, seed=1), rowvar=False)
    assert drawn[0, 2] == pytest.approx(np.corrcoef(a)[0, 1], abs=0.06)
    assert abs(drawn[0, 1]) < 0.06


def test_drawn_interval_of_a_sum_is_students() -> None:
    values = np.random.default_rng(4).normal(size=(2, 15))
    scores = joint(means(values, labels(15)))
    drawn = scores.draws(20_000)
    low, high = drawn_interval(float(scores.estimate[1] - scores.estimate[0]), drawn[:, 1] - drawn[:, 0])
    exact = t_interval(float(values[1].mean() - values[0].mean()), scores.standard_error([-1, 1]), 14)
    assert low is not None
    assert high is not None
    assert (low, high) == pytest.approx(exact, abs=0.05)


def test_what_often_does_not_exist_has_open_ends() -> None:
    drawn = np.arange(1000.0)
    assert drawn_interval(500.0, np.where(drawn < 970, drawn, np.nan)) == (None, None)
    low, high = drawn_interval(500.0, np.where(drawn < 980, drawn, np.nan))
    assert low is not None
    assert high is not None
    # The percentiles are 24.5 and 954.5; reflected at 500, 45.5 and 975.5.
    assert (low, high) == pytest.approx((24.5, 975.5), abs=1)


def test_too_few_prompts_and_wrong_levels() -> None:
    assert joint_jackknife([lambda: SampleMean(np.arange(7.0))], labels(7)) is None
    with pytest.raises(InputError, match="expected a number between 0 and 1"):
        t_interval(0.0, 1.0, 5, 1.5)


def test_many_prompts_are_sampled() -> None:
    values = np.random.default_rng(6).normal(size=(1, 3000))
    part = means(values, labels(3000))
    assert len(part.single) == 512
    assert part.variance(np.ones(1)) == pytest.approx(values.var(ddof=1) / 3000, rel=0.2)


def test_equal_models_differ_in_fd_in_one_of_twenty_comparisons() -> None:
    # Prompts of different look, drawn anew; two sets of images of each, of one model.
    rng, trials, rejected = np.random.default_rng(7), 100, 0
    for _ in range(trials):
        look = rng.normal(size=(30, 3))
        runs = [(look + rng.normal(0, 0.7, (30, 3))).astype(np.float32) for _ in range(2)]
        part = joint_jackknife([lambda x=x: FrechetOfFeatures(x, NORMAL) for x in runs], labels(30))
        assert part is not None
        contrast = np.array([-1.0, 1.0])
        t = contrast @ part.estimate / part.variance(contrast) ** 0.5
        rejected += bool(2 * stats.t.sf(abs(t), 29) < 0.05)
    # A binomial of 100 at 5 % lies in 1 to 12 with 99 %.
    assert 1 <= rejected <= 12


@pytest.mark.slow
@pytest.mark.parametrize("correlation", [0.0, 0.8])
def test_drawn_intervals_cover_area_and_minimum(correlation: float) -> None:
    x = np.array([0.752, 0.764, 0.759, 0.742, 0.670, 0.484])
    y = np.array([6.5, 7.0, 8.0, 10.1, 17.7, 44.5])
    truth = np.concatenate([x, y])
    shared = np.full((6, 6), correlation) + (1 - correlation) * np.eye(6)
    spread = np.concatenate([np.full(6, 0.015), np.full(6, 1.3)]) * np.sqrt(40)
    covariance = np.kron(np.eye(2), shared) * np.outer(spread, spread)
    quantities = [
        lambda row: hypervolume(row.reshape(2, 6).T, (True, False), (0.48, 45.0)),
        lambda row: float(row[6:].min()),
    ]
    rng, held = np.random.default_rng(8), np.zeros(2)
    for _ in range(80):
        scores = joint(means(rng.multivariate_normal(truth, covariance, 40).T, labels(40)))
        draws = scores.draws(300)
        for place, quantity in enumerate(quantities):
            low, high = drawn_interval(quantity(scores.estimate), [quantity(row) for row in draws])
            held[place] += low is not None and high is not None and low <= quantity(truth) <= high
    # A coverage of 93 % gives at least 68 of 80 with 99 %.
    assert (held >= 68).all()
