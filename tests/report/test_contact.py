"""Contact sheets follow their rule: equal draws for equal prompts, the extremes of a score, the largest changes."""

from __future__ import annotations

from typing import Any

from imagen_bench.report.contact import changes_over_runs, changes_over_weights, pick_sheets, shown_weight
from imagen_bench.report.data import load_runs
from imagen_bench.report.image_figures import contact_figure, grid_figure
from imagen_bench.report.metric_words import metrics_of
from imagen_bench.report.style import drawing_to_bytes

WEIGHTS = (1.0, 2.0, 5.0)


def test_random_samples_are_the_same_prompts_in_every_run(make_run: Any) -> None:
    # Other categories first, more prompts, another order: what both have comes in the same order.
    few = load_runs([make_run("few", weights=WEIGHTS, per_category=3)])[0]
    many = load_runs([make_run("many", model="m2", weights=WEIGHTS, per_category=6)])[0]
    drawn = [[tile.prompt_id for tile in pick_sheets(run, metrics_of([run]))[0].tiles] for run in (few, many)]
    shared = [prompt_id for prompt_id in drawn[1] if prompt_id in drawn[0]]
    assert len(drawn[0]) == 15
    assert len(drawn[1]) == 24
    assert shared == [prompt_id for prompt_id in drawn[0] if prompt_id in shared]
    assert drawn[0] != sorted(drawn[0])


def test_sheets_show_the_weight_of_the_best_distance(make_run: Any) -> None:
    (run,) = load_runs([make_run(weights=WEIGHTS)])
    # The synthetic FD is lowest near w = 2.
    assert shown_weight(run, metrics_of([run])) == 2.0
    assert shown_weight(run, []) == 1.0
    assert {tile.guidance_weight for tile in pick_sheets(run, metrics_of([run]))[0].tiles} == {2.0}


def test_highest_and_lowest_are_sorted_by_score(make_run: Any) -> None:
    known = {("cou-03", 2.0): 0.9, ("pos-01", 2.0): 0.8, ("sin-04", 2.0): -0.5, ("col-00", 5.0): 0.99}
    (run,) = load_runs([make_run(weights=WEIGHTS, per_category=5, sample_scores=known)])
    sheets = {sheet.key: sheet for sheet in pick_sheets(run, metrics_of([run]))}
    assert [tile.prompt_id for tile in sheets["highest"].tiles[:2]] == ["cou-03", "pos-01"]
    assert sheets["highest"].notes[:2] == ("0.900", "0.800")
    assert sheets["lowest"].tiles[0].prompt_id == "sin-04"
    assert "The 12 of 25 images at w = 2 with the lowest CLIP score." in sheets["lowest"].rule


def test_too_few_scores_give_no_extremes(make_run: Any) -> None:
    (run,) = load_runs([make_run(weights=WEIGHTS, sample_scores={})])
    assert [sheet.key for sheet in pick_sheets(run, metrics_of([run]))] == ["random"]


def test_most_changed_between_weights(make_run: Any) -> None:
    known = {("bac-01", 1.0): 0.1, ("bac-01", 5.0): 0.9, ("sin-00", 2.0): 0.7}
    (run,) = load_runs([make_run(weights=WEIGHTS, sample_scores=known)])
    grid = changes_over_weights(run, metrics_of([run]))
    assert grid is not None
    assert grid.heads == ("w = 1", "w = 2", "w = 5")
    assert [tile.prompt_id for tile in grid.rows[0].tiles if tile is not None] == ["bac-01"] * 3
    assert grid.rows[0].notes[0] == "0.100"
    assert [tile.prompt_id for tile in grid.rows[1].tiles if tile is not None] == ["sin-00"] * 3
    first, second = (drawing_to_bytes(grid_figure(grid, "changed"), "png") for _ in range(2))
    assert first == second


def test_most_changed_between_runs(make_run: Any) -> None:
    options = {"weights": WEIGHTS, "per_category": 4}
    runs = load_runs(
        [
            make_run("a", name="one", sample_scores={("cou-01", 2.0): 0.2}, **options),
            make_run("b", name="two", sample_scores={("cou-01", 2.0): 0.8, ("cou-02", 5.0): 0.9}, **options),
        ]
    )
    grid = changes_over_runs(runs, metrics_of(runs))
    assert grid is not None
    assert grid.heads == ("one", "two")
    assert grid.title == "The same prompts in each run, w = 2"
    assert grid.rows[0].notes == ("0.200", "0.800")
    files = [tile.file for tile in grid.rows[0].tiles if tile is not None]
    assert [file.parts[-5] for file in files if file is not None] == ["a", "b"]


def test_runs_without_scores_of_samples_are_shown_side_by_side(make_run: Any) -> None:
    runs = load_runs([make_run("a", name="one", weights=WEIGHTS), make_run("b", name="two", weights=(5.0,))])
    grid = changes_over_runs(runs, metrics_of(runs))
    assert grid is not None
    assert "w = 5" in grid.title
    assert grid.rule == "Samples drawn with seed 0."
    assert grid.rows[0].notes == ()


def test_runs_of_other_prompts_share_nothing(make_run: Any) -> None:
    options = {"weights": (2.0,), "categories": ("color",)}
    runs = load_runs([make_run("a", **options), make_run("b", model="m", prompts_of={"color": "else"}, **options)])
    assert changes_over_runs(runs, metrics_of(runs)) is None


def test_notes_stand_before_the_prompt(make_run: Any) -> None:
    (run,) = load_runs([make_run(weights=(2.0,), categories=("color",))])
    tiles = pick_sheets(run, [])[0].tiles
    drawing = contact_figure(tiles, "contact_highest", "Highest", ["0.900"] * len(tiles))
    assert f"0.900: {tiles[0].prompt}" in drawing.desc
