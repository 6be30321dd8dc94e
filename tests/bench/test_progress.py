"""Every stage of a run shows how far it is, on stderr, with throughput and time left."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from imagen_bench.bench.run import run_benchmark
from imagen_bench.bench.run_folder import RunFolder
from imagen_bench.config import RunConfig


def test_each_stage_shows_its_throughput(toy: RunConfig, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def output(folder: RunFolder, config: RunConfig, stages: object) -> None:
        """Something made from a scored run."""

    run_benchmark(toy, tmp_path / "run", limit=4, progress=True, outputs=[output])
    said = capsys.readouterr()
    assert said.out == ""
    ends = re.findall(r"(\w+): 100%[^\r\n]*?(\d+)/(\d+) \[[\d:]+<[\d:]+, *[\d.]+ ?(?:(\w+)/s|s/(\w+))", said.err)
    found = {stage: (int(done), int(total), unit or other) for stage, done, total, unit, other in ends}
    assert found == {
        "reference": (12, 12, "img"),
        "images": (24, 24, "img"),
        "features": (24, 24, "img"),
        "scores": (6, 6, "score"),
        "outputs": (1, 1, "output"),
    }
