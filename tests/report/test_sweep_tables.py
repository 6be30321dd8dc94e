"""The sweeps in numbers: what the summary says, in tables; and when there are none."""

from __future__ import annotations

from typing import Any

import pytest

from imagen_bench.report import sweep_tables as module
from imagen_bench.report.data import load_runs
from imagen_bench.report.metric_words import metrics_of
from imagen_bench.report.sweep_tables import sweep_tables


def test_tables_of_two_runs(make_run: Any) -> None:
    options = {"with_samples": False}
    runs = load_runs([make_run("a", **options), make_run("b", model="second", shift=-0.01, **options)])
    tables, missing = sweep_tables(runs, metrics_of(runs))
    by_name = {table.name: table for table in tables}
    assert set(by_name) == {"sweeps", "front", "curves"}
    # The synthetic FD is lowest at w = 2: 0.118 + 0.055 * 1.5 * ln(2 / 2.1)^2.
    assert [cell.text for cell in by_name["sweeps"].rows[0][:3]] == ["imagen-emoji", "w = 2", "0.1182"]
    front = {(row[0].text, row[1].text): row[2].text for row in by_name["front"].rows}
    assert front["imagen-emoji", "1"] == "no"
    assert front["imagen-emoji", "8"] == "yes"
    assert by_name["curves"].data["first"].tolist() == ["imagen-emoji"]
    # Without features or scores of single samples there is no joint distribution, and the page says so.
    assert any("no intervals" in sentence for sentence in missing)


def test_one_weight_is_no_sweep(make_run: Any) -> None:
    runs = load_runs([make_run(with_samples=False, weights=(2.0,))])
    assert sweep_tables(runs, metrics_of(runs)) == ([], [])


def test_too_many_features_are_left_to_the_pareto_command(make_run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_NUMBERS", -1)
    runs = load_runs([make_run(with_samples=False)])
    tables, missing = sweep_tables(runs, metrics_of(runs))
    assert tables == []
    assert "`imagen-bench pareto` prints them" in missing[0]
