"""Ctrl-C in the stages of a run: one line, exit code 130, and the same command makes the undisturbed result."""

from __future__ import annotations

import json
import os
import pkgutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from imagen_bench.cli.main import main
from imagen_bench.config import RunConfig, dump_config

Contents = Callable[[Path], dict[str, Any]]
# What each stage calls, and at which call Ctrl-C comes.
STAGES = {
    "reference": ("toy_bench.StubExtractor.image_features", 1),
    "features": ("toy_bench.StubExtractor.image_features", 3),
    "scores": ("imagen_bench.bench.evaluate._score", 2),
    "report": ("imagen_bench.report.page.write_report", 1),
}


def write_job(config: RunConfig, folder: Path) -> Path:
    folder.mkdir()
    (folder / "run.json").write_text(json.dumps({"config": dump_config(config)}), encoding="utf-8")
    return folder / "run.json"


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["run", *map(str, arguments)])


@pytest.mark.parametrize("stage", STAGES)
def test_ctrl_c_ends_with_one_line_and_the_run_continues(
    toy: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stage: str, contents: Contents
) -> None:
    def quick_report(runs: list[Path], out: Path) -> Path:
        out.mkdir()
        (out / "index.html").write_text(f"{len(runs)} run(s)")
        return out / "index.html"

    monkeypatch.setattr("imagen_bench.report.page.write_report", quick_report)
    job, out = write_job(toy, tmp_path / "job"), tmp_path / "run"
    target, at = STAGES[stage]
    place, _, name = target.rpartition(".")
    owner = pkgutil.resolve_name(place)
    real, calls = getattr(owner, name), []

    def interrupted(*args: Any, **options: Any) -> Any:
        calls.append(1)
        if len(calls) == at:
            raise KeyboardInterrupt
        return real(*args, **options)

    with monkeypatch.context() as patch:
        patch.setattr(owner, name, interrupted)
        stopped = run(job, "--out", out)
    assert len(calls) == at
    assert stopped.exit_code == 130
    lines = stopped.stderr.replace("\r", "\n").splitlines()
    assert [line for line in lines if "interrupted" in line] == ["interrupted; run the same command to continue"]
    assert "Traceback" not in stopped.stderr
    assert run(job, "--out", out).exit_code == 0
    assert run(job, "--out", tmp_path / "straight").exit_code == 0
    assert contents(out) == contents(tmp_path / "straight")
    assert (out / "report" / "index.html").is_file()


def test_any_other_command_ends_with_one_line_too(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def stop(*_: Any, **__: Any) -> Iterator[Any]:
        raise KeyboardInterrupt

    monkeypatch.setattr("imagen_bench.bench.score_folder.score_folder", stop)
    done = CliRunner().invoke(main, ["score", "--images", str(tmp_path)])
    assert (done.exit_code, done.stderr) == (130, "interrupted; run the same command again\n")
    monkeypatch.setenv("RANK", "1")
    done = CliRunner().invoke(main, ["score", "--images", str(tmp_path)])
    assert (done.exit_code, done.stderr) == (130, "")


@pytest.mark.slow
def test_ctrl_c_under_torchrun_is_said_once(toy: RunConfig, tmp_path: Path) -> None:
    overrides = {"target": "toy_bench:sample_until_stopped", "batch_size": 4}
    model = toy.model.model_copy(update={"options": overrides})
    scores = toy.scores.model_copy(update={"extractor": "imagen-emoji"})
    job = write_job(toy.model_copy(update={"model": model, "scores": scores}), tmp_path / "job")
    root = Path(__file__).parents[2]
    paths = os.pathsep.join([str(root), str(root / "tests" / "toys")])
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command = [*launch, "-m", "imagen_bench", "run", str(job), "--out", str(tmp_path / "run")]
    environment = {**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, start_new_session=True
    ) as agent:
        try:
            while agent.poll() is None and not list(tmp_path.glob("run/journal/*.jsonl")):
                time.sleep(0.1)
            os.killpg(agent.pid, signal.SIGINT)  # as a terminal does: to the agent and to its workers
            stderr = agent.communicate(timeout=300)[1]
        finally:
            agent.kill()
    said = [line for line in stderr.replace("\r", "\n").splitlines() if "imagen_bench" in line or "interrupted" in line]
    assert said == ["interrupted; run the same command to continue"], stderr
