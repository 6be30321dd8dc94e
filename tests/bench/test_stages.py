"""A stage is skipped only with the same inputs and with its outputs still there."""

from __future__ import annotations

from pathlib import Path

import pytest

from imagen_bench.bench.stages import Stages


def test_finished_with_these_inputs_only(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("")
    Stages(tmp_path).finish("report", {"a": 1})
    stages = Stages(tmp_path)
    assert stages.is_finished("report", {"a": 1}, ["out"])
    assert not stages.is_finished("report", {"a": 2}, ["out"])
    assert not stages.is_finished("gallery", {"a": 1}, ["out"])
    assert not stages.is_finished("report", {"a": 1}, ["out", "lost"])


@pytest.mark.parametrize("text", ["", "{", "[]", "\x00"])
def test_damaged_file_means_nothing_is_finished(tmp_path: Path, text: str) -> None:
    (tmp_path / "stages.json").write_text(text)
    assert not Stages(tmp_path).is_finished("report", {}, [])


def test_a_file_that_changed_since_its_stage_made_it(tmp_path: Path) -> None:
    (tmp_path / "scores.csv").write_text("1")
    Stages(tmp_path).finish("evaluate", {}, ["scores.csv"])
    assert Stages(tmp_path).is_finished("evaluate", {}, ["scores.csv"])
    assert not Stages(tmp_path).has_changed("scores.csv")
    (tmp_path / "scores.csv").write_text("2")
    assert Stages(tmp_path).has_changed("scores.csv")
    assert not Stages(tmp_path).is_finished("evaluate", {}, ["scores.csv"])
    assert not Stages(tmp_path).has_changed("other")
