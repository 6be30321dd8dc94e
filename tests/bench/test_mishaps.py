"""What happens to disks, files and clocks: a clear line, nothing lost, and a run that ends with the same bytes."""

from __future__ import annotations

import errno
import itertools
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from imagen_bench.bench.run import run_benchmark
from imagen_bench.cli.main import _one_line
from imagen_bench.config import RunConfig
from imagen_bench.errors import RunFolderError

Contents = Callable[[Path], dict[str, Any]]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """A file system of a size that can be changed, in memory."""
    place = tmp_path / "disk"
    place.mkdir()

    def resize(size: str) -> Path:
        options = f"size={size}" if not place.is_mount() else f"remount,size={size}"
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place)]
        if subprocess.run(command, capture_output=True, check=False).returncode:
            pytest.skip("no right to mount a small file system")
        return place

    yield resize
    if place.is_mount():
        subprocess.run(["umount", str(place)], check=True)


def test_a_full_disk_loses_nothing(
    toy: RunConfig, tmp_path: Path, small_disk: Callable[[str], Path], contents: Contents
) -> None:
    run_benchmark(toy, tmp_path / "straight")
    run = small_disk("200k") / "run"
    with pytest.raises(OSError, match="No space left") as caught:
        run_benchmark(toy, run)
    assert caught.value.errno == errno.ENOSPC
    assert "make room, then run the same command again" in _one_line(caught.value)
    made = {file: file.read_bytes() for file in run.glob("images/**/*.png")}
    assert made
    small_disk("4m")
    run_benchmark(toy, run)
    assert contents(run) == contents(tmp_path / "straight")
    assert list(run.rglob(".tmp-*")) == []


def test_repair_makes_everything_anew_that_was_spoilt(toy: RunConfig, tmp_path: Path, contents: Contents) -> None:
    run_benchmark(toy, tmp_path / "straight")
    run = run_benchmark(toy, tmp_path / "run").path
    images = sorted(run.glob("images/**/*.png"))
    images[3].unlink()
    images[7].write_bytes(images[7].read_bytes()[:-20])
    (run / "scores.csv").write_text("spoilt")
    (run / "samples.parquet").write_bytes(b"spoilt")
    with pytest.raises(RunFolderError, match="--repair") as caught:
        run_benchmark(toy, run)
    for image in (images[3], images[7]):
        assert image.relative_to(run).as_posix() in str(caught.value)
    assert (run / "scores.csv").read_text() == "spoilt"
    run_benchmark(toy, run, repair=True)
    assert contents(run) == contents(tmp_path / "straight")


def test_a_clock_that_jumps_back_changes_nothing(
    toy: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, contents: Contents
) -> None:
    run_benchmark(toy, tmp_path / "straight")
    times = itertools.count(2_000_000_000, -86_400)
    monkeypatch.setattr(time, "time", lambda: float(next(times)))
    run_benchmark(toy, tmp_path / "run", weights=[1.0])
    for file in (tmp_path / "run").rglob("*"):
        os.utime(file, (1, 1))
    run_benchmark(toy, tmp_path / "run")
    assert contents(tmp_path / "run") == contents(tmp_path / "straight")


def test_a_folder_that_cannot_be_written_is_told(toy: RunConfig) -> None:
    with pytest.raises(OSError, match="/proc") as caught:
        run_benchmark(toy, Path("/proc/imagen-bench/run"))
    assert _one_line(caught.value).count("\n") == 0
    assert "--out" in _one_line(OSError(errno.EROFS, "Read-only file system", "/media/run"))
