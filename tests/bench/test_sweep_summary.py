"""Summaries of sweeps, from run folders: probabilities against scipy's t distribution and written-out dominance."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from imagen_bench.bench.run_folder import RunFolder
from imagen_bench.bench.run_scores import RunScores, ScoreId, joint_scores
from imagen_bench.bench.sweep_summary import Axis, ParetoSummary, likely_knees, summarize_sweeps
from imagen_bench.errors import InputError

DRAWS = 500
CLIP, FD = Axis("clip_score", "CLIP score", True), Axis("fd", "FD", False)


@pytest.fixture
def write_run(monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def]
    monkeypatch.setattr("imagen_bench.bench.sweep_summary.DRAWS", DRAWS)
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "toys"))
    import toy_runs

    return toy_runs.write_run


def opened(*paths: Path) -> list[RunScores]:
    return [RunScores(RunFolder.open(path), number) for number, path in enumerate(paths)]


def summary(*paths: Path, **options: object) -> ParetoSummary:
    return summarize_sweeps(opened(*paths), [path.name for path in paths], CLIP, FD, **options)  # type: ignore[arg-type]


def test_scores_computed_again_are_those_of_the_folder(tmp_path: Path, write_run) -> None:  # type: ignore[no-untyped-def]
    (run,) = opened(write_run(tmp_path / "a", 0, samples=2))
    ids = [ScoreId(0, metric, weight) for metric in ("clip_score", "fd") for weight in run.weights()]
    joint = joint_scores([run], ids)
    assert joint is not None
    assert joint.estimate == pytest.approx([run.value(score.metric, score.guidance_weight) for score in ids], rel=1e-6)


def test_dominance_is_the_orthant_of_a_bivariate_t(tmp_path: Path, write_run) -> None:  # type: ignore[no-untyped-def]
    paths = [write_run(tmp_path / "a", 0, weights=(2.0,)), write_run(tmp_path / "b", 1, weights=(2.0,), shift=0.003)]
    found = summary(*paths)
    runs = opened(*paths)
    joint = joint_scores(runs, [ScoreId(n, metric, 2.0) for metric in ("clip_score", "fd") for n in (0, 1)])
    assert joint is not None
    # A is dominated where B has the higher CLIP score and the lower FD.
    turn = np.array([[1.0, -1.0, 0.0, 0.0], [0.0, 0.0, -1.0, 1.0]])
    shape = turn @ joint.parts[0].covariance() @ turn.T
    exact = stats.multivariate_t(loc=turn @ joint.estimate, shape=shape, df=joint.degrees).cdf([0.0, 0.0])
    assert 0.02 < exact < 0.98
    assert found.runs[0].points[0].p_dominated == pytest.approx(exact, abs=4 * 0.5 / DRAWS**0.5)
    assert found.runs[0].points[0].p_dominated_by_own == 0.0


def test_dominance_is_counted_draw_by_draw(tmp_path: Path, write_run) -> None:  # type: ignore[no-untyped-def]
    paths = [write_run(tmp_path / "a", 0), write_run(tmp_path / "b", 1, spread=0.3)]
    found, runs = summary(*paths), opened(*paths)
    places = list(itertools.product((0, 1), (1.0, 2.0, 4.0)))
    joint = joint_scores(runs, [ScoreId(n, metric, w) for metric in ("clip_score", "fd") for n, w in places])
    assert joint is not None
    draws = joint.draws(DRAWS)
    for place, (number, weight) in enumerate(places):
        x, y = draws[:, place], draws[:, 6 + place]
        beaten = np.zeros(DRAWS, dtype=bool)
        for other in range(6):
            better = (draws[:, other] > x) & (draws[:, 6 + other] < y)
            beaten |= better if other != place else False
        point = next(p for p in found.runs[number].points if p.guidance_weight == weight)
        assert point.p_dominated == pytest.approx(beaten.mean())
    assert sum(point.p_best or 0.0 for point in found.runs[0].points) == pytest.approx(1.0)


def test_the_knee_is_looked_for_in_every_draw(tmp_path: Path, write_run) -> None:  # type: ignore[no-untyped-def]
    path = write_run(tmp_path / "a", 0, spread=0.3)
    (run,), joint = (
        summary(path).runs,
        joint_scores(opened(path), [ScoreId(0, metric, w) for metric in ("clip_score", "fd") for w in (1.0, 2.0, 4.0)]),
    )
    assert joint is not None
    counted: dict[float | None, int] = {}
    for draw in joint.draws(DRAWS):
        # With three weights, the knee is the one in between of a front of three, if it lies beyond the line.
        (x0, y0), (x1, y1), (x2, y2) = sorted(zip(draw[:3], draw[3:], strict=True))
        bent = y0 < y1 < y2 and (x1 - x0) / (x2 - x0) > (y1 - y0) / (y2 - y0)
        weight = (1.0, 2.0, 4.0)[draw[:3].tolist().index(x1)] if bent else None
        counted[weight] = counted.get(weight, 0) + 1
    assert dict(run.knees) == {weight: pytest.approx(count / DRAWS) for weight, count in counted.items()}
    assert len(run.knees) > 1
    shares = [share for _, share in run.knees]
    assert shares == sorted(shares, reverse=True)
    likely = [share for _, share in likely_knees(run)]
    assert sum(likely) >= 0.95 > sum(likely[:-1])


def test_quantities_lie_in_their_intervals(tmp_path: Path, write_run) -> None:  # type: ignore[no-untyped-def]
    found = summary(write_run(tmp_path / "a", 0), at=(0.33, 9.0), reference_point=(0.2, 20.0))
    (run,) = found.runs
    assert found.reference_point == (0.2, 20.0)
    for quantity in (run.hypervolume, run.best):
        assert quantity is not None
        assert quantity.low is not None
        assert quantity.high is not None
        assert quantity.low < quantity.value < quantity.high
    assert run.best_weight == min(run.points, key=lambda point: point.y).guidance_weight
    assert run.best_weight in run.best_weights
    assert [at for at, _ in run.at] == [0.33, 9.0]
    assert run.at[1][1] is None


def test_a_worse_copy_lies_above_by_what_was_added(tmp_path: Path, write_run) -> None:  # type: ignore[no-untyped-def]
    # The same noise with another first feature: an FD apart by about the square of the shift.
    found = summary(write_run(tmp_path / "a", 0), write_run(tmp_path / "b", 0, spread=1.0))
    (pair,) = found.comparisons
    assert pair.paired
    assert pair.mean_gap is not None
    assert pair.mean_gap.low is not None
    assert pair.mean_gap.low > 0
    assert pair.area is not None
    assert pair.x_range is not None
    width = pair.x_range[1] - pair.x_range[0]
    assert pair.area.value == pytest.approx(pair.mean_gap.value * width)


def test_other_prompts_are_not_paired(tmp_path: Path, write_run) -> None:  # type: ignore[no-untyped-def]
    same = summary(write_run(tmp_path / "a", 0), write_run(tmp_path / "b", 1))
    other = summary(tmp_path / "a", write_run(tmp_path / "c", 1, prefix="q"))
    assert not other.comparisons[0].paired
    assert other.notes == ("the runs do not share all prompts and samples: they are not paired",)
    widths = [q.high - q.low for q in (same.comparisons[0].mean_gap, other.comparisons[0].mean_gap)
              if q is not None and q.low is not None and q.high is not None]  # fmt: skip
    assert widths[0] < widths[1]


def test_without_features_there_are_values_alone(tmp_path: Path, write_run) -> None:  # type: ignore[no-untyped-def]
    path = write_run(tmp_path / "a", 0)
    (path / "features" / "toy-12345678" / "w=1.safetensors").unlink()
    found = summary(path)
    assert found.runs[0].best is not None
    assert found.runs[0].best.low is None
    assert found.notes == ("no intervals: a: neither scores of single samples nor features that give FD",)


def test_bad_input_is_refused_in_words(tmp_path: Path, write_run) -> None:  # type: ignore[no-untyped-def]
    path = write_run(tmp_path / "a", 0)
    with pytest.raises(InputError, match="no guidance weight with both clip_score and kid"):
        summarize_sweeps(opened(path), ["a"], CLIP, Axis("kid", "KID", False))
    with pytest.raises(InputError, match="finite reference point"):
        summary(path, reference_point=(float("nan"), 1.0))
