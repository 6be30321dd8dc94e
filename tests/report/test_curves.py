"""Figures over guidance weights: what they plot is what was measured."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.text import Text

from imagen_bench.errors import InputError
from imagen_bench.report.category_figure import category_figure, cell_texts
from imagen_bench.report.curve_figures import score_figure, timing_figure
from imagen_bench.report.data import load_runs
from imagen_bench.report.metric_words import metrics_of
from imagen_bench.report.style import Width


@pytest.mark.parametrize("width", ["column", "full"])
def test_scores_over_weights(make_run: Any, width: Width) -> None:
    path = make_run(with_samples=False)
    runs = load_runs([path])
    drawing = score_figure(runs, metrics_of(runs), width)
    scores = pd.read_csv(path / "scores.csv")
    overall = scores[scores["category"] == "all"]
    assert len(drawing.figure.axes) == 2
    assert sorted(drawing.numbers["value"]) == sorted(overall["value"])
    texts: list[Any] = drawing.figure.findobj(Text)
    assert min(text.get_fontsize() for text in texts if text.get_text()) >= 8


def test_times_are_quartiles_of_the_samples(make_run: Any) -> None:
    path = make_run()
    numbers = timing_figure(load_runs([path]), "column").numbers
    samples = pd.read_parquet(path / "samples.parquet")
    own = samples.loc[samples["guidance_weight"] == 3, "seconds"]
    row = numbers[numbers["guidance_weight"] == 3].iloc[0]
    assert [row["low"], row["median"], row["high"]] == pytest.approx(np.percentile(own, [25, 50, 75]))


def test_no_times_no_figure(make_run: Any) -> None:
    with pytest.raises(InputError, match="no times"):
        timing_figure(load_runs([make_run(with_samples=False)]))


@pytest.mark.parametrize("weights", [(2.0,), (1, 1.25, 1.5, 1.75, 2, 3, 4, 5, 6, 7, 8, 9, 10)])
def test_heat_map_writes_every_value(make_run: Any, weights: tuple[float, ...]) -> None:
    path = make_run(with_samples=False, weights=weights)
    (run,) = load_runs([path])
    drawing = category_figure(run, metrics_of([run])[0], "column")
    scores = pd.read_csv(path / "scores.csv")
    expected = scores.loc[scores["metric"] == "clip_score", "value"]
    written = [text.get_text() for text in drawing.figure.axes[0].texts]
    assert sorted(float(text) for text in written) == pytest.approx(sorted(expected), abs=6e-4)
    assert [label.get_text() for label in drawing.figure.axes[0].get_yticklabels()][-1] == "all prompts (10)"


def test_cells_shorten_values_alike() -> None:
    assert cell_texts([0.285, 0.21], 60) == ["0.285", "0.210"]
    assert cell_texts([0.285, 0.21], 22) == [".285", ".210"]
    assert cell_texts([0.285, 0.21], 1) == ["", ""]
