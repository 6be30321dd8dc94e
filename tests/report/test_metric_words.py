"""Labels, number formats and the sentences about what was found."""

from __future__ import annotations

import json
from typing import Any

import pytest

from imagen_bench.report.data import load_runs
from imagen_bench.report.metric_words import (
    best_sentence,
    decimals_for,
    describe_metric,
    format_interval,
    format_value,
    front_sentence,
    metrics_of,
    pareto_axes,
    pareto_points,
    sample_count_words,
    words_list,
)


@pytest.mark.parametrize(
    ("values", "decimals"),
    [([0.285, 0.21], 3), ([27.3, 8.1], 1), ([231.0], 0), ([0.0123], 4), ([], 2), ([float("nan"), 4.2], 2)],
)
def test_three_significant_digits(values: list[float], decimals: int) -> None:
    assert decimals_for(values) == decimals


def test_numbers_in_words() -> None:
    assert format_value(1234.5678, 1) == "1,234.6"
    assert format_value(float("nan"), 2) == "–"
    assert format_interval(0.1, 0.25, 2) == "[0.10, 0.25]"
    assert format_interval(float("nan"), 0.25, 2) == ""
    assert sample_count_words([240, 240]) == "n = 240"
    assert sample_count_words([1000, 240]) == "n = 240–1,000"
    assert words_list(["a", "b", "c"]) == "a, b and c"


def test_findings_of_a_sweep(make_run: Any) -> None:
    (run,) = load_runs([make_run(with_samples=False)])
    clip_score, fd = metrics_of([run])
    assert (clip_score.name, fd.label) == ("clip_score", "FD (imagen-emoji CLIP)")
    # From the synthetic curves by hand: CLIP score 0.2849 ± 0.004 at w = 8, 0.2830 at w = 5, 0.2728 at w = 3.
    assert best_sentence(run, clip_score, False) == (
        "Best CLIP score is 0.285 [0.281, 0.289] at w = 8; its interval overlaps that of w = 5."
    )
    axes = pareto_axes([clip_score, fd])
    assert axes == (clip_score, fd)
    assert front_sentence(pareto_points([run], *axes), run.label, False) == (
        "Not dominated: w = 2, 3, 5 and 8; w = 1 and 1.5 are each beaten on both scores by another weight."
    )


def test_a_distance_is_called_fid_only_if_it_is(make_run: Any) -> None:
    path = make_run(with_samples=False)
    record = json.loads((path / "run.json").read_text())
    record["protocols"] = {}
    (path / "run.json").write_text(json.dumps(record))
    (run,) = load_runs([path])
    fd = describe_metric(run, "fd")
    assert fd.label == "FD (imagen-emoji features)"
    assert not fd.higher_is_better
    assert "FID" not in fd.label
    assert describe_metric(run, "fid").label == "FID"
