"""Tables hold the scores as they are, and text from users does no harm in any of their formats."""

from __future__ import annotations

import io
from typing import Any

import pandas as pd
import pytest

from imagen_bench.report.data import load_runs
from imagen_bench.report.metric_words import metrics_of
from imagen_bench.report.tables import (
    Cell,
    Table,
    category_table,
    headline_table,
    to_csv,
    to_latex,
    to_markdown,
)

HOSTILE = "=cmd|'/c calc'!A0_{50%} & $x$ \\input{x}"


@pytest.fixture
def hostile() -> Table:
    data = pd.DataFrame({"category": [HOSTILE], "value": [-0.5]})
    return Table("t", "Caption.", ("Category", "w ↑"), ((Cell(HOSTILE), Cell("-0.5", "[-1, 0]", True)),), 1, data)


def test_headline_has_every_weight_and_marks_the_best(make_run: Any) -> None:
    runs = load_runs([make_run(with_samples=False)])
    table = headline_table(runs, metrics_of(runs))
    assert table is not None
    assert table.head == ("w", "CLIP score ↑", "FD (imagen-emoji CLIP) ↓", "n", "Pareto front")
    assert [row[0].text for row in table.rows] == ["1", "1.5", "2", "3", "5", "8"]
    assert [row[1].best for row in table.rows] == [False, False, False, False, False, True]
    assert [row[2].best for row in table.rows] == [False, False, True, False, False, False]
    assert [row[-1].text for row in table.rows] == ["no", "no", "yes", "yes", "yes", "yes"]


def test_csv_holds_the_unrounded_scores(make_run: Any) -> None:
    path = make_run(with_samples=False)
    runs = load_runs([path])
    table = category_table(runs, metrics_of(runs)[0])
    assert table is not None
    ours = pd.read_csv(io.StringIO(to_csv(table).removeprefix("\ufeff")))
    scores = pd.read_csv(path / "scores.csv")
    theirs = scores[scores["metric"] == "clip_score"]
    assert sorted(ours["value"]) == sorted(theirs["value"])
    assert [row[0].text for row in table.rows][-1] == "all prompts"


def test_no_categories_no_table(make_run: Any) -> None:
    runs = load_runs([make_run(with_samples=False)])
    assert category_table(runs, metrics_of(runs)[1]) is None


def test_spreadsheet_formulas_are_defused(hostile: Table) -> None:
    text = to_csv(hostile)
    assert text.startswith("\ufeff")
    row = pd.read_csv(io.StringIO(text.removeprefix("\ufeff"))).iloc[0]
    assert row["category"] == f"'{HOSTILE}"
    assert row["value"] == -0.5


def test_latex_is_escaped(hostile: Table) -> None:
    text = to_latex(hostile)
    assert r"A0\_\{50\%\} \& \$x\$ \textbackslash{}input\{x\}" in text
    assert r"\textbf{-0.5} {\footnotesize [-1, 0]}" in text
    assert text.count(r"\toprule") == text.count(r"\bottomrule") == 1


def test_markdown_cells_stay_cells(hostile: Table) -> None:
    row = to_markdown(hostile).splitlines()[-1]
    assert row.replace("\\|", "").count("|") == 3
    assert "**-0.5** [-1, 0]" in row
