"""The Pareto figure: order, fronts, labels that do not overlap, sizes of text, and equal bytes."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text

from imagen_bench.errors import InputError
from imagen_bench.report.data import RunData, load_runs
from imagen_bench.report.metric_words import metrics_of, pareto_axes, pareto_points
from imagen_bench.report.pareto_figure import draw_pareto, weight_labels
from imagen_bench.report.style import PAPER, Drawing, Width, drawing_to_bytes

MANY = (1, 1.25, 1.5, 1.75, 2, 3, 4, 5, 6, 7, 8, 9, 10)


@pytest.fixture
def one(make_run: Any) -> Sequence[RunData]:
    return load_runs([make_run(with_samples=False, weights=(8.0, 1.0, 3.0, 1.5, 5.0, 2.0))])


@pytest.fixture
def three(make_run: Any) -> Sequence[RunData]:
    paths: list[Path] = [
        make_run("a", with_samples=False),
        make_run("b", with_samples=False, model="baseline", shift=0.004, weights=MANY),
        make_run("c", with_samples=False, model="third-model-with-a-long-name", shift=-0.01),
    ]
    return load_runs(paths)


def boxes(texts: Sequence[Text]) -> list[Any]:
    return [text.get_window_extent() for text in texts]


def line_of(drawing: Drawing, model: int = 0) -> Any:
    joined = [line for line in drawing.figure.axes[0].lines if line.get_linestyle() != "None"]
    return joined[model]


@pytest.mark.parametrize("width", ["column", "full"])
def test_labels_of_one_model_are_all_there_and_apart(one: Sequence[RunData], width: Width) -> None:
    drawing = draw_pareto(one, width)
    labels = weight_labels(drawing.figure)
    assert [label.get_text() for label in labels] == ["w = 1", "1.5", "2", "3", "5", "8"]
    assert not any(a.overlaps(b) for a, b in itertools.combinations(boxes(labels), 2))


@pytest.mark.parametrize("width", ["column", "full"])
def test_labels_of_several_models_stay_apart(three: Sequence[RunData], width: Width) -> None:
    labels = weight_labels(draw_pareto(three, width).figure)
    assert len(labels) >= 20
    assert not any(a.overlaps(b) for a, b in itertools.combinations(boxes(labels), 2))


def test_points_are_joined_in_guidance_order(one: Sequence[RunData]) -> None:
    drawing = draw_pareto(one, "column")
    assert drawing.numbers["guidance_weight"].tolist() == [1, 1.5, 2, 3, 5, 8]
    assert line_of(drawing).get_xdata().tolist() == drawing.numbers["x"].tolist()
    assert line_of(drawing).get_ydata().tolist() == drawing.numbers["y"].tolist()


def test_dominated_points_are_hollow(one: Sequence[RunData]) -> None:
    # By hand: CLIP score rises with w, FD is lowest at w = 2, so only w below 2 loses on both.
    drawing = draw_pareto(one, "column")
    assert drawing.numbers["non_dominated"].tolist() == [False, False, True, True, True, True]
    markers: list[Any] = list(drawing.figure.axes[0].lines[1:])
    faces = {line.get_markerfacecolor(): len(line.get_xdata()) for line in markers}
    assert faces == {PAPER: 2, "#0072B2": 4}


def test_a_model_beaten_everywhere_is_hollow_but_keeps_its_own_front(make_run: Any) -> None:
    runs = load_runs([make_run("a", with_samples=False), make_run("b", with_samples=False, model="worse")])
    worse = runs[1].scores
    is_fd = worse["metric"] == "fd"
    worse.loc[is_fd, "value"] += 1.0
    axes = pareto_axes(metrics_of(runs))
    assert axes is not None
    points = pareto_points(runs, *axes)
    own = points[points["model"] == "worse"]
    assert own["best_of_model"].tolist() == [False, False, True, True, True, True]
    assert not own["non_dominated"].any()


@pytest.mark.parametrize("width", ["column", "full"])
def test_text_is_large_enough_and_inside(three: Sequence[RunData], width: Width) -> None:
    figure: Figure = draw_pareto(three, width).figure
    texts: list[Any] = figure.findobj(Text)
    assert min(text.get_fontsize() for text in texts if text.get_text()) >= 8
    legend = figure.legends[0].get_window_extent()
    assert legend.x0 >= 0
    assert legend.x1 <= figure.bbox.width + 1


def test_distance_axis_names_features_and_count(one: Sequence[RunData]) -> None:
    axes = draw_pareto(one, "column").figure.axes[0]
    assert axes.get_ylabel() == "FD (imagen-emoji CLIP), n = 10"
    assert axes.get_xlabel() == "CLIP score"


@pytest.mark.parametrize("suffix", ["png", "svg", "pdf"])
def test_equal_runs_give_equal_bytes(one: Sequence[RunData], suffix: str) -> None:
    first, second = (drawing_to_bytes(draw_pareto(one, "column"), suffix) for _ in range(2))
    assert first == second
    assert not any(mark in first for mark in (b"<dc:date>", b"/CreationDate", b"Software"))
    assert suffix != "pdf" or b"/FontFile2" in first  # TrueType, not outlines


def test_a_run_without_both_scores_is_refused(make_run: Any) -> None:
    with pytest.raises(InputError, match="score the runs on both first"):
        draw_pareto(load_runs([make_run(with_scores=False)]))


def test_a_single_weight_can_be_drawn(make_run: Any) -> None:
    drawing = draw_pareto(load_runs([make_run(weights=(2.0,), with_samples=False)]), "column")
    assert [label.get_text() for label in weight_labels(drawing.figure)] == ["w = 2"]
