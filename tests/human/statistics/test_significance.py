"""Tests of significance against scipy, brute force and simulation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from imagen_bench.human.statistics.intervals import cluster_t_interval
from imagen_bench.human.statistics.significance import cluster_t_p, sign_flip_p
from imagen_bench.metrics.multiple_tests import holm


def labels(count: int) -> list[str]:
    return [str(number) for number in range(count)]


def test_cluster_t_p_is_the_one_sample_t_test() -> None:
    values = np.random.default_rng(0).normal(0.3, 1.0, size=23)
    p = cluster_t_p(float(values.mean()), cluster_t_interval(values, labels(23)), 22)
    assert p == pytest.approx(stats.ttest_1samp(values, 0).pvalue)


def test_sign_flips_against_scipys_exact_permutation() -> None:
    values = np.random.default_rng(1).normal(0.5, 1.0, size=10)
    exact = stats.permutation_test((values,), np.mean, permutation_type="samples", n_resamples=np.inf).pvalue
    assert sign_flip_p(values, labels(10), 0) == pytest.approx(exact)


def test_drawn_sign_flips_come_near_the_t_test() -> None:
    values = np.random.default_rng(2).normal(0.2, 1.0, size=80)
    assert sign_flip_p(values, labels(80), 0) == pytest.approx(stats.ttest_1samp(values, 0).pvalue, abs=0.01)


def test_copies_in_one_cluster_are_flipped_together() -> None:
    values = np.random.default_rng(3).normal(0.4, 1.0, size=9)
    alone = sign_flip_p(values, labels(9), 0)
    assert sign_flip_p(np.repeat(values, 3), [str(n // 3) for n in range(27)], 0) == pytest.approx(alone)


def test_unanimous_prompts_have_the_smallest_p_that_flips_allow() -> None:
    assert sign_flip_p(np.ones(5), labels(5), 0) == pytest.approx(2 / 2**5)
    assert sign_flip_p(np.zeros(5), labels(5), 0) == 1.0


@pytest.mark.slow
def test_familywise_error_of_eleven_categories() -> None:
    from toy_study import DRAWBENCH, draw_votes

    rng = np.random.default_rng(4)
    studies = 600
    smallest, uncorrected = np.ones((studies, len(DRAWBENCH))), 0
    for column, prompts in enumerate(DRAWBENCH.values()):
        votes = draw_votes(rng, studies, prompts, 5, rater_sd=0.0).mean(axis=2)
        for study, means in enumerate(votes):
            p = cluster_t_p(float(means.mean()), cluster_t_interval(means, labels(prompts)), prompts - 1)
            smallest[study, column] = 1.0 if p is None else p
    uncorrected = np.mean(smallest.min(axis=1) < 0.05)
    corrected = np.mean([min(p for p in holm(row.tolist()) if p is not None) < 0.05 for row in smallest])
    assert uncorrected > 0.3
    assert corrected < 0.075
