"""Trackers get the numbers of scores.csv and the figures of the report; TensorBoard's files are read back."""

from __future__ import annotations

import sys
import types
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from imagen_bench.errors import ConfigError
from imagen_bench.report.data import load_runs
from imagen_bench.report.tracking import score_rows, track_report


@pytest.fixture
def run(make_run: Any) -> Path:
    path: Path = make_run("demo", with_samples=False, weights=(1.0, 1.35, 2.0))
    return path


@pytest.fixture
def report(tmp_path: Path) -> Path:
    """A report's folder with one figure of 8 x 6 pixels, once more at column width, and the headline table."""
    from PIL import Image

    folder = tmp_path / "report"
    (folder / "figures").mkdir(parents=True)
    (folder / "tables").mkdir()
    for name in ("pareto", "pareto_column"):
        Image.new("RGB", (8, 6), "teal").save(folder / "figures" / f"{name}.png")
    (folder / "tables" / "headline.md").write_text("| w |\n| --- |\n")
    return folder


def overall(run: Path, metric: str, column: str = "value") -> list[float]:
    scores = pd.read_csv(run / "scores.csv")
    chosen: list[float] = scores[(scores["metric"] == metric) & (scores["category"] == "all")][column].tolist()
    return chosen


def test_rows_hold_values_and_intervals(run: Path) -> None:
    (data,) = load_runs([run])
    rows = dict(score_rows(data))
    assert list(rows) == [1.0, 1.35, 2.0]
    assert [row["fd"] for row in rows.values()] == overall(run, "fd")
    assert [row["clip_score/low"] for row in rows.values()] == overall(run, "clip_score", "low")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_tensorboard_files_hold_the_scores(run: Path, report: Path) -> None:
    pytest.importorskip("tensorboard", reason="tensorboard is not installed")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    folder = Path(track_report([run], report, "tensorboard"))
    assert sorted(path.name for path in folder.iterdir()) == ["1-demo", "report"]
    events = EventAccumulator(str(folder / "1-demo"))
    events.Reload()
    scalars = events.Scalars("fd")
    assert [event.step for event in scalars] == [100, 135, 200]
    assert [event.value for event in scalars] == pytest.approx(overall(run, "fd"))
    assert [event.value for event in events.Scalars("fd/high")] == pytest.approx(overall(run, "fd", "high"))
    figures = EventAccumulator(str(folder / "report"))
    figures.Reload()
    assert figures.Tags()["images"] == ["pareto"]
    (image,) = figures.Images("pareto")
    assert (image.width, image.height) == (8, 6)


class FakeRun:
    def __init__(self, options: dict[str, Any]) -> None:
        self.options = options
        self.axes: list[tuple[str, Any]] = []
        self.logged: list[dict[str, Any]] = []
        self.finished = False

    def define_metric(self, name: str, step_metric: str | None = None) -> None:
        self.axes.append((name, step_metric))

    def log(self, values: dict[str, Any]) -> None:
        assert not self.finished
        self.logged.append(values)

    def finish(self) -> None:
        self.finished = True


def test_wandb_gets_one_run_a_folder(run: Path, report: Path, make_run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[FakeRun] = []

    def init(**options: Any) -> FakeRun:
        made.append(FakeRun(options))
        return made[-1]

    fake = types.SimpleNamespace(init=init, Image=lambda path: f"image {Path(path).name}")
    monkeypatch.setitem(sys.modules, "wandb", fake)
    other = make_run("other", model="m2", with_samples=False, weights=(2.0,))
    track_report([run, other], report, "wandb")
    first, second = made
    assert (first.options["name"], second.options["name"]) == ("imagen-emoji", "m2")
    assert first.options["config"]["config"]["sweep"]["guidance_weights"] == [1.0, 1.35, 2.0]
    assert ("*", "guidance_weight") in first.axes
    assert [row["guidance_weight"] for row in first.logged[:3]] == [1.0, 1.35, 2.0]
    assert [row["fd"] for row in first.logged[:3]] == overall(run, "fd")
    assert first.logged[3] == {"figures/pareto": "image pareto.png"}
    assert len(second.logged) == 1
    assert first.finished
    assert second.finished


@pytest.mark.parametrize(("backend", "module"), [("wandb", "wandb"), ("tensorboard", "torch.utils.tensorboard")])
def test_a_tracker_that_is_not_installed_is_named(
    run: Path, report: Path, monkeypatch: pytest.MonkeyPatch, backend: str, module: str
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ConfigError, match=rf"{backend} is not installed.*pip install 'imagen-bench\[track\]'"):
        track_report([run], report, backend)


def test_an_unknown_tracker_is_refused(run: Path, report: Path) -> None:
    with pytest.raises(ConfigError, match="expected one of tensorboard, wandb"):
        track_report([run], report, "mlflow")
