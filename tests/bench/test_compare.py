"""Comparisons against scipy's paired test, what gates decide, and equal models by simulation."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from imagen_bench.bench.compare import PAIRED_JACKKNIFE, UNPAIRED, Comparison, Difference, compare_runs
from imagen_bench.bench.gates import check_gate, parse_gate
from imagen_bench.bench.run_folder import SCORE_COLUMNS, RunFolder
from imagen_bench.bench.run_scores import RunScores
from imagen_bench.errors import ConfigError, InputError, ProtocolError


@pytest.fixture
def write_run(monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def]
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "toys"))
    import toy_runs

    return toy_runs.write_run


def compared(a: Path, b: Path, force: bool = False) -> Comparison:
    return compare_runs(*(RunScores(RunFolder.open(path), n) for n, path in enumerate((a, b))), force=force)


def row(comparison: Comparison, metric: str, weight: float, category: str = "all") -> Difference:
    (found,) = [
        item
        for item in comparison.differences
        if (item.metric, item.guidance_weight, item.category) == (metric, weight, category)
    ]
    return found


def values(path: Path, weight: float, prompts: slice = slice(None)) -> Any:
    table = pd.read_parquet(path / "samples_scores.parquet")
    return table[table["guidance_weight"] == weight]["value"].to_numpy()[prompts]


def test_one_sample_a_prompt_is_the_paired_t_test(tmp_path: Path, write_run) -> None:  # type: ignore[no-untyped-def]
    a, b = write_run(tmp_path / "a", 0), write_run(tmp_path / "b", 1, shift=0.002)
    found = compared(a, b)
    for category, prompts in (("all", slice(None)), ("red", slice(0, None, 2)), ("blue", slice(1, None, 2))):
        test = stats.ttest_rel(values(b, 2.0, prompts), values(a, 2.0, prompts))
        item = row(found, "clip_score", 2.0, category)
        assert item.p == pytest.approx(test.pvalue)
        assert item.interval() == pytest.approx(tuple(test.confidence_interval(0.95)))
        assert item.interval(0.99) == pytest.approx(tuple(test.confidence_interval(0.99)))


def test_holm_runs_over_the_whole_set_and_over_categories(tmp_path: Path, write_run) -> None:  # type: ignore[no-untyped-def]
    found = compared(write_run(tmp_path / "a", 0), write_run(tmp_path / "b", 1)).differences
    for overall in (True, False):
        family = sorted((r for r in found if (r.category == "all") == overall), key=lambda r: r.p or 0.0)
        assert len(family) == 6
        smallest = family[0]
        assert smallest.p is not None
        assert smallest.p_holm == pytest.approx(min(1.0, len(family) * smallest.p))


def test_fd_is_paired_too(tmp_path: Path, write_run) -> None:  # type: ignore[no-untyped-def]
    a, b = write_run(tmp_path / "a", 0), write_run(tmp_path / "b", 0, spread=0.5)
    item = row(compared(a, b), "fd", 1.0)
    single = pd.read_csv(a / "scores.csv").query("metric == 'fd'")["value"].iloc[0]
    assert item.a == pytest.approx(single)
    assert item.method == PAIRED_JACKKNIFE
    assert item.verdict == "worse"


def test_a_run_equals_its_copy(tmp_path: Path, write_run) -> None:  # type: ignore[no-untyped-def]
    a = write_run(tmp_path / "a", 0)
    shutil.copytree(a, tmp_path / "b")
    found = compared(a, tmp_path / "b")
    assert {item.value for item in found.differences} == {0.0}
    assert {item.p for item in found.differences} == {1.0}
    assert {item.verdict for item in found.differences} == {"no difference shown"}
    assert found.most_regressed(5) == found.most_improved(5) == ()
    assert not check_gate(parse_gate("clip_score < 0"), found.differences).failed


def test_prompts_are_ordered_by_their_change(tmp_path: Path, write_run) -> None:  # type: ignore[no-untyped-def]
    a, b = write_run(tmp_path / "a", 0, samples=2), write_run(tmp_path / "b", 1, samples=2)
    tables = [pd.read_parquet(path / "samples_scores.parquet") for path in (a, b)]
    means = [table.groupby("prompt_id")["value"].mean() for table in tables]
    expected = (means[1] - means[0]).sort_values()
    found = compared(a, b)
    worst, best = found.most_regressed(3), found.most_improved(3)
    assert [change.prompt_id for change in worst] == expected.index[:3].tolist()
    assert [change.prompt_id for change in best] == expected.index[::-1][:3].tolist()
    assert worst[0].difference == pytest.approx(expected.iloc[0])
    assert worst[0].b < worst[0].a
    assert Path(worst[0].image_a).is_file()
    assert Path(worst[0].image_a).name == Path(worst[0].image_b).name


def test_other_protocols_are_refused_with_what_differs(tmp_path: Path, write_run) -> None:  # type: ignore[no-untyped-def]
    a, b = write_run(tmp_path / "a", 0), write_run(tmp_path / "b", 1, prompts=20, digest="b" * 64)
    with pytest.raises(ProtocolError, match=r"prompts\.n: 24 in A, 20 in B") as refusal:
        compared(a, b)
    assert "\n" not in str(refusal.value)
    found = compared(a, b, force=True)
    assert any(line == "prompts.n: 24 in A, 20 in B" for line in found.forced)
    assert {item.n for item in found.differences if item.category == "all"} == {20}
    assert "4 of 24 samples of A at w = 1 have no pair" in found.notes


def test_nothing_to_pair_is_said(tmp_path: Path, write_run) -> None:  # type: ignore[no-untyped-def]
    a = write_run(tmp_path / "a", 0, weights=(1.0, 2.0))
    with pytest.raises(InputError, match="no common guidance weight with clip_score: A has 1, 2, B has 3"):
        compared(a, write_run(tmp_path / "b", 1, weights=(3.0,)))
    with pytest.raises(InputError, match="share no prompt"):
        compared(a, write_run(tmp_path / "c", 1, weights=(1.0,), prefix="q"), force=True)


def test_without_features_the_two_intervals_are_combined(tmp_path: Path, write_run) -> None:  # type: ignore[no-untyped-def]
    a, b = write_run(tmp_path / "a", 0), write_run(tmp_path / "b", 1)
    shutil.rmtree(b / "features")
    item = row(compared(a, b), "fd", 1.0)
    assert item.method == UNPAIRED
    # Both intervals are value -+ 0.5: that of the difference is value -+ 0.5 sqrt 2.
    assert item.interval() == pytest.approx((item.value - 0.5 * 2**0.5, item.value + 0.5 * 2**0.5))


def test_gates_respect_the_interval(tmp_path: Path, write_run) -> None:  # type: ignore[no-untyped-def]
    found = compared(write_run(tmp_path / "a", 0), write_run(tmp_path / "b", 1, shift=-0.02)).differences
    assert check_gate(parse_gate("clip_score < -0.01"), found).failed
    assert check_gate(parse_gate("clip_score:red@1 < -0.001"), found).failed
    # The fall is about 0.02, so its interval reaches over a bound there.
    assert not check_gate(parse_gate("clip_score@1 < -0.02"), found).failed
    assert not check_gate(parse_gate("clip_score > 0"), found).failed
    several = check_gate(parse_gate("clip_score < -0.01"), found).rows[0]
    alone = check_gate(parse_gate("clip_score@1 < -0.01"), found).rows[0]
    assert several.low < alone.low < alone.high < several.high


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("clip_score", "expected METRIC"),
        ("clip_score < low", "'low' is no number"),
        ("clip_score@two < 0", "'two' is no number"),
        ("clip_scor < 0", "did you mean 'clip_score'"),
        ("clip_score:rde < 0", "did you mean 'red'"),
        ("clip_score@3 < 0", "w = 3 is not compared, expected one of 1, 2, 4"),
    ],
)
def test_gates_that_cannot_be_read(tmp_path: Path, write_run, text: str, said: str) -> None:  # type: ignore[no-untyped-def]
    found = compared(write_run(tmp_path / "a", 0), write_run(tmp_path / "b", 1)).differences
    with pytest.raises(ConfigError, match=said):
        check_gate(parse_gate(text), found)


def test_gates_need_an_interval(tmp_path: Path, write_run) -> None:  # type: ignore[no-untyped-def]
    found = compared(write_run(tmp_path / "a", 0, prompts=2), write_run(tmp_path / "b", 1, prompts=2)).differences
    with pytest.raises(InputError, match="cannot be decided at w = 1"):
        check_gate(parse_gate("fd < 0"), found)


def in_memory(rng: np.random.Generator, difficulty: Any, number: int) -> RunScores:
    """A run of one weight whose prompts differ in difficulty."""
    count = len(difficulty)
    scored = difficulty + rng.normal(0, 0.02, count)
    samples = pd.DataFrame(
        {"prompt_id": [f"p{n:02d}" for n in range(count)], "prompt": "x", "category": "c", "index": 0,
         "guidance_weight": 1.0, "path": "x.png"}
    )  # fmt: skip
    scores = pd.DataFrame(
        [("m", "p", 1.0, "all", "clip_score", scored.mean(), 0, 1, count, "id")], columns=SCORE_COLUMNS
    )
    single = samples[["prompt_id", "index", "guidance_weight"]].assign(metric="clip_score", value=scored)
    run = {"protocols": {"clip_score": {"id": "id", "higher_is_better": True}}}
    folder: Any = SimpleNamespace(
        run=run, path=Path(), samples=lambda: samples, scores=lambda: scores, sample_scores=lambda: single,
        image=lambda row: Path(row["path"]),
    )  # fmt: skip
    return RunScores(folder, number)


def test_equal_models_are_told_apart_in_one_of_twenty_comparisons() -> None:
    rng, trials = np.random.default_rng(3), 40
    rejected = failed = 0
    for _ in range(trials):
        difficulty = rng.normal(0.3, 0.1, 12)
        found = compare_runs(in_memory(rng, difficulty, 0), in_memory(rng, difficulty, 1))
        rejected += found.differences[0].verdict != "no difference shown"
        failed += check_gate(parse_gate("clip_score < 0"), found.differences).failed
    # Of 40: at 5 % at most 6 with 99 %; at 2.5 %, one side, at most 4.
    assert rejected <= 6
    assert failed <= 4
