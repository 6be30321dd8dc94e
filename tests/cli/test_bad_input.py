"""Malformed inputs through the command line: one line, exit code 1 or 2, nothing executed, nothing lost or left."""

from __future__ import annotations

import shutil
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from imagen_bench.cli.main import main

sys.path.insert(0, str(Path(__file__).parents[1] / "toys"))
import bad_inputs
import toy_bench

SECONDS = 2.0
"""Of this thread's own time, which other processes do not lengthen."""
CASES = bad_inputs.all_cases()


@pytest.fixture(scope="module")
def finished_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small finished run."""
    from imagen_bench.bench.run import run_benchmark

    folder = tmp_path_factory.mktemp("finished")
    config = toy_bench.write_world(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("imagen_bench.bench.evaluate.open_extractor", toy_bench.StubExtractor)
        run_benchmark(config, folder / "run", limit=4)
    return folder / "run"


@pytest.fixture(scope="module", autouse=True)
def _imported() -> None:
    """Import what commands import when they run, so that a case's time is its own."""
    import diffusers  # noqa: F401
    import matplotlib.pyplot  # noqa: F401
    import open_clip  # noqa: F401
    import transformers  # noqa: F401


def files_below(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_corpus_is_large_and_its_names_differ() -> None:
    assert len(CASES) >= 150
    assert len({case.name for case in CASES}) == len(CASES)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_bad_input_is_one_line(
    case: bad_inputs.Case, tmp_path: Path, finished_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "case"
    folder.mkdir()
    for name, content in case.files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    if case.spoil is not None:
        shutil.copytree(finished_run, folder / bad_inputs.RUN)
        case.spoil(folder / bad_inputs.RUN)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("IMAGEN_BENCH_HOME", str(tmp_path / "home"))
    before = files_below(folder)
    started = time.thread_time()
    result = CliRunner().invoke(main, list(case.arguments))
    seconds = time.thread_time() - started
    assert result.exit_code in (1, 2), (result.exit_code, result.output)
    lines = [
        line for line in result.stderr.splitlines() if line.strip() and "it/s]" not in line and "img/s]" not in line
    ]
    said = lines[-1]
    assert said.lower().startswith("error: ")
    assert case.says in said
    assert not said.startswith("error: unexpected "), said
    assert "Traceback" not in result.output
    assert len([line for line in lines if line.lower().startswith("error: ")]) == 1
    after = files_below(folder)
    assert {name: after.get(name) for name in before} == before
    made = {name.split("/")[0] for name in set(after) - set(before)}
    assert made <= {"out", "runs", "s", "generated", "docs", bad_inputs.RUN}, made
    assert not (folder / bad_inputs.CANARY).exists()
    assert sorted(path.name for path in tmp_path.iterdir()) in (["case"], ["case", "home"])
    assert seconds < SECONDS
