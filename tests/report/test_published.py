"""Published values: those of the papers, drawn beside FID alone, and only alike in name or on request."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from imagen_bench.report.curve_figures import score_figure
from imagen_bench.report.data import RunData, load_runs
from imagen_bench.report.labels import spread
from imagen_bench.report.metric_words import metrics_of, pareto_axes
from imagen_bench.report.pareto_figure import pareto_figure
from imagen_bench.report.published import (
    ALIKE,
    UNLIKE,
    drawn_values,
    is_published_protocol,
    published_table,
    published_values,
)
from imagen_bench.report.style import Width

NAMES = {"Imagen 7.27", "DALL-E 2 10.39", "GLIDE 12.24", "DALL-E 17.89", "LAFITE 26.94"}


@pytest.fixture
def coco(make_run: Any) -> Any:
    """Load a run with FID between 12 and 17 of `n` images for a prompt set."""

    def make(prompts: str = "coco-30k", n: int = 30_000) -> RunData:
        path: Path = make_run(f"{prompts}-{n}", with_samples=False)
        scores = pd.read_csv(path / "scores.csv")
        is_fd = scores["metric"] == "fd"
        scores.loc[is_fd, ["value", "low", "high"]] *= 100
        scores.loc[is_fd, "metric"] = "fid"
        scores.loc[is_fd, "n"] = n
        scores.to_csv(path / "scores.csv", index=False)
        record = json.loads((path / "run.json").read_text())
        record["prompts"]["id"] = prompts
        (path / "run.json").write_text(json.dumps(record))
        (run,) = load_runs([path])
        return run

    return make


def test_values_are_those_of_the_imagen_paper() -> None:
    values = {value.model: value for value in published_values()}
    assert (values["Imagen"].fid, values["Imagen"].guidance_weight) == (7.27, 1.35)
    zero_shot = {value.model: value.fid for value in published_values() if value.zero_shot}
    assert zero_shot == {
        "Imagen": 7.27,
        "DALL-E 2": 10.39,
        "GLIDE": 12.24,
        "DALL-E": 17.89,
        "LAFITE (zero-shot)": 26.94,
    }
    assert values["XMC-GAN"].fid == 9.33
    assert all("arXiv:" in value.source for value in published_values())


def test_only_fid_of_30k_coco_images_matches(coco: Any) -> None:
    assert is_published_protocol(coco())
    assert not is_published_protocol(coco(n=10_000))
    assert not is_published_protocol(coco("emoji-bench"))
    assert drawn_values([coco("emoji-bench", 240)], False) == ()
    assert len(drawn_values([coco("emoji-bench", 241)], True)) == 5


@pytest.mark.parametrize("width", ["column", "full"])
def test_lines_are_named_without_overlap(coco: Any, width: Width) -> None:
    run = coco()
    axes = pareto_axes(metrics_of([run]))
    assert axes is not None
    drawing = pareto_figure([run], *axes, width, published_values()[:5])
    names = [text for text in drawing.figure.axes[0].texts if text.get_text() in NAMES]
    assert {"Imagen 7.27", "DALL-E 2 10.39", "GLIDE 12.24"} <= {text.get_text() for text in names}
    boxes = [text.get_window_extent() for text in names]
    assert not any(a.overlaps(b) for a, b in itertools.combinations(boxes, 2))
    assert max(box.x1 for box in boxes) <= drawing.figure.bbox.width + 1
    assert "Imagen 7.27" in drawing.desc
    assert len(drawing.numbers) == 6  # published values never enter the run's numbers


def test_other_distances_get_no_lines(make_run: Any) -> None:
    (run,) = load_runs([make_run(with_samples=False)])
    axes = pareto_axes(metrics_of([run]))
    assert axes is not None
    drawing = pareto_figure([run], *axes, "column", published_values())
    assert "Published" not in drawing.desc


def test_a_star_marks_imagen_at_its_weight(coco: Any) -> None:
    run = coco()
    axes = score_figure([run], metrics_of([run]), "full", published=published_values()).figure.axes[1]
    stars = [line for line in axes.lines if line.get_marker() == "*"]
    assert [(line.get_xdata()[0], line.get_ydata()[0]) for line in stars] == [(1.35, 7.27)]


def test_table_names_sources_and_says_what_it_is(coco: Any) -> None:
    run = coco()
    table = published_table([run], asked=False)
    assert table is not None
    assert ALIKE in table.caption
    assert table.rows[0][0].text == run.label
    assert table.rows[1][1].text == "7.27"
    assert "arXiv:2205.11487" in table.rows[1][-1].text
    other = coco("emoji-bench", 240)
    assert published_table([other], asked=False) is None
    asked = published_table([other], asked=True)
    assert asked is not None
    assert UNLIKE in asked.caption
    assert asked.rows[0][0].text == "Imagen"  # no value of ours in one table with values of another protocol


def test_names_are_pushed_apart_around_their_mean() -> None:
    assert spread([10.0, 30.0], 5.0, 0.0, 100.0) == [10.0, 30.0]
    assert spread([10.0, 11.0, 12.0], 5.0, 0.0, 100.0) == [6.0, 11.0, 16.0]
    assert spread([1.0, 2.0], 5.0, 0.0, 100.0) == [0.0, 5.0]
    assert spread([99.0, 100.0], 5.0, 0.0, 100.0) == [95.0, 100.0]
