"""Whatever happens to files of a finished run: the undisturbed result, or one line; nothing outside is touched."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imagen_bench.bench.run import run_benchmark
from imagen_bench.bench.run_folder import RunFolder
from imagen_bench.bench.summary import summary_text
from imagen_bench.config import RunConfig
from imagen_bench.errors import ImagenBenchError
from imagen_bench.report.data import load_runs

Contents = Callable[[Path], dict[str, Any]]
MISHAPS = ("delete", "empty", "cut", "flip", "append")
LIMIT = 3


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RunConfig, Path]]:
    """A small finished run of its own world."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(Path(__file__).parents[1] / "toys"))
        import toy_bench

        patch.setattr("imagen_bench.bench.evaluate.open_extractor", toy_bench.StubExtractor)
        patch.setenv("IMAGEN_BENCH_HOME", str(tmp_path_factory.mktemp("home")))
        folder = tmp_path_factory.mktemp("world")
        config = toy_bench.write_world(folder)
        run_benchmark(config, folder / "run", limit=LIMIT)
        yield config, folder


def files_below(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def spoil(file: Path, mishap: str, where: float, bit: int) -> None:
    data = file.read_bytes() if file.is_file() else b""
    at = int(where * max(len(data) - 1, 0))
    if mishap == "delete" or not data:
        file.unlink(missing_ok=True)
    elif mishap == "flip":
        file.write_bytes(data[:at] + bytes([data[at] ^ (1 << bit)]) + data[at + 1 :])
    else:
        file.write_bytes({"empty": b"", "cut": data[:at], "append": data + b"\x00{\xff"}[mishap])


def outcome(make: Callable[[], Any]) -> str | None:
    """Return the line with which it was refused; None where it succeeded."""
    said = None
    try:
        make()
    except ImagenBenchError as error:
        said = str(error)
    assert said is None or (said.strip() and "\n" not in said), said
    return said


@settings(derandomize=True, deadline=None, max_examples=20, database=None)
@given(data=st.data())
def test_a_spoilt_run_ends_as_it_was_or_says_what_is_wrong(
    world: tuple[RunConfig, Path], contents: Contents, data: st.DataObject
) -> None:
    config, folder = world
    undisturbed, outside = (
        contents(folder / "run"),
        {name: (folder / name).read_bytes() for name in files_below(folder)},
    )
    names = st.sampled_from([name for name in files_below(folder / "run") if name != ".lock"])
    share = st.floats(0, 1, allow_nan=False)
    mishaps = data.draw(st.lists(st.tuples(names, st.sampled_from(MISHAPS), share, st.integers(0, 7)), max_size=3))
    with tempfile.TemporaryDirectory() as place:
        run = Path(place) / "run"
        shutil.copytree(folder / "run", run)
        for name, *mishap in mishaps:
            spoil(run / name, *mishap)
        read = outcome(
            lambda: (load_runs([run]), summary_text(RunFolder.open(run)), RunFolder.open(run).sample_scores())
        )
        if read is None and (run / "scores.csv").is_file():
            scores = RunFolder.open(run).scores()
            assert scores.equals(RunFolder.open(folder / "run").scores()) or not (run / "stages.json").is_file()
        for repair in (False, True):
            if outcome(partial(run_benchmark, config, run, limit=LIMIT, repair=repair)) is None:
                assert contents(run) == undisturbed
                assert outcome(lambda: load_runs([run])) is None
            elif repair:
                assert any(name == "run.json" for name, *_ in mishaps), mishaps
        assert files_below(Path(place)) == [f"run/{name}" for name in files_below(run)]
    assert {name: (folder / name).read_bytes() for name in files_below(folder)} == outside


def altered(folder: Path, place: Path, name: str, old: bytes, new: bytes) -> Path:
    """A copy of the run in which some bytes of a file are replaced, once."""
    run = place / "run"
    shutil.copytree(folder / "run", run)
    data = (run / name).read_bytes()
    assert old in data
    (run / name).write_bytes(data.replace(old, new, 1))
    return run


def test_a_line_of_the_journal_that_changed_and_still_is_json_counts_as_lost(
    world: tuple[RunConfig, Path], tmp_path: Path, contents: Contents
) -> None:
    config, folder = world
    run = altered(folder, tmp_path, "journal/0.jsonl", b"a toy of kind 0", b"a boy of kind 0")
    run_benchmark(config, run, limit=LIMIT)
    assert contents(run) == contents(folder / "run")


def test_scores_that_were_changed_are_not_shown_and_are_made_anew(
    world: tuple[RunConfig, Path], tmp_path: Path, contents: Contents
) -> None:
    config, folder = world
    run = altered(folder, tmp_path, "scores.csv", b",0.", b",1.")
    with pytest.raises(ImagenBenchError, match="changed since the run made it: run the run's own command again"):
        load_runs([run])
    run_benchmark(config, run, limit=LIMIT)
    assert contents(run) == contents(folder / "run")


def test_a_table_of_samples_with_a_changed_byte_is_not_read(world: tuple[RunConfig, Path], tmp_path: Path) -> None:
    run = altered(world[1], tmp_path, "samples.parquet", b"a toy of kind", b"b toy of kind")
    with pytest.raises(ImagenBenchError, match="is damaged"):
        RunFolder.open(run).samples()
