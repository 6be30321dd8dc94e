"""What a run cost, from what it recorded; and what differs between runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from matplotlib.text import Text

from imagen_bench.errors import InputError
from imagen_bench.report.cost import cost_facts, cost_table, duration, memory_figure, peak_bytes
from imagen_bench.report.data import load_runs
from imagen_bench.report.differences import differences_table


def change(path: Path, **sections: Any) -> Path:
    record = json.loads((path / "run.json").read_text())
    for name, values in sections.items():
        record[name] = {**record.get(name, {}), **values}
    (path / "run.json").write_text(json.dumps(record))
    return path


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.5, "0.500 s"),
        (90, "90.0 s"),
        (600, "10.0 min"),
        (5640, "94.0 min"),
        (36_000, "10.0 h"),
        (864_000, "10.0 days"),
    ],
)
def test_durations_in_words(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def test_time_of_ten_thousand_images_is_estimated(make_run: Any) -> None:
    (run,) = load_runs([make_run(with_samples=False)])
    facts = dict(cost_facts(run))
    # 0.564 s an image: 5640 s for 10,000, 16,920 s for 30,000.
    assert facts["Estimated time"].startswith("94.0 min for 10,000 images and 4.70 h for 30,000 images")
    assert facts["Speed"] == "1.77 images a second, 0.564 seconds an image"
    assert facts["Generation"] == "13.5 min in all"
    assert "Peak memory" not in facts


def test_memory_is_shown_where_it_was_recorded(make_run: Any) -> None:
    generation = {"peak_bytes": {"process": 3 * 1024**3, "gpu": 1024**3 // 2}, "largest_batch": 24}
    runs = load_runs([change(make_run("a", with_samples=False), generation=generation), make_run("b", model="m2")])
    assert peak_bytes(runs[1]) == {}
    facts = dict(cost_facts(runs[0]))
    assert facts["Peak memory"] == "3.00 GiB of main memory and 0.50 GiB of GPU memory, in batches of up to 24 images"
    drawing = memory_figure(runs, "column")
    assert drawing.numbers["bytes"].tolist() == [3 * 1024**3, 1024**3 // 2]
    assert min(text.get_fontsize() for text in drawing.figure.findobj(Text) if text.get_text()) >= 8
    table = cost_table(runs)
    assert table is not None
    assert [cell.text for cell in table.rows[0]] == ["imagen-emoji", "cpu", "0.564", "1.57", "3.00", "0.50"]
    assert [cell.text for cell in table.rows[1]][-2:] == ["–", "–"]


def test_no_memory_no_figure(make_run: Any) -> None:
    with pytest.raises(InputError, match="no run recorded its peak memory"):
        memory_figure(load_runs([make_run(with_samples=False)]))


def test_differences_name_the_settings_that_are_not_equal(make_run: Any) -> None:
    a = change(make_run("a", name="static", with_samples=False), model={"thresholding": "static"})
    b = change(make_run("b", name="dynamic", with_samples=False), model={"thresholding": "dynamic", "percentile": 99.5})
    table = differences_table(load_runs([a, b]))
    assert table is not None
    assert table.head == ("Setting", "static", "dynamic")
    assert [[cell.text for cell in row] for row in table.rows] == [
        ["model.thresholding", "static", "dynamic"],
        ["model.percentile", "–", "99.5"],
    ]


def test_equal_settings_have_no_table(make_run: Any) -> None:
    runs = load_runs([make_run("a", name="one", with_samples=False), make_run("b", name="two", with_samples=False)])
    assert differences_table(runs) is None
