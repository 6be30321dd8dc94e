"""A whole run: continued after any death with the same bytes, and never mixed with another."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from imagen_bench.bench.dry_run import plan_run
from imagen_bench.bench.lock import locked
from imagen_bench.bench.run import run_benchmark
from imagen_bench.bench.run_folder import RunFolder
from imagen_bench.bench.stages import Stages
from imagen_bench.bench.summary import summary_json, summary_text
from imagen_bench.config import RunConfig, apply_overrides, dump_config, validate
from imagen_bench.errors import ConfigError, RunFolderError
from imagen_bench.generators.base import generators
from imagen_bench.generators.callable import open_callable

Contents = Callable[[Path], dict[str, Any]]

# Runs the toy benchmark in forked children of one process that has imported all. Each child kills itself at
# the given call of fsync (before or after it) or is killed after the given seconds; the last is left alone.
DRIVER = """
import json, os, signal, sys, time
from pathlib import Path
import pandas, pyarrow.parquet, safetensors.numpy, scipy.special, toy_bench
import imagen_bench.bench.evaluate as evaluate, imagen_bench.data.references, imagen_bench.images
from imagen_bench.bench.run import run_benchmark
from imagen_bench.config import RunConfig, validate

evaluate.open_extractor = toy_bench.StubExtractor
config = validate(RunConfig, json.loads(sys.argv[1]), "driver")
out, deaths = Path(sys.argv[2]), json.loads(sys.argv[3])

def die_at(call, before):
    real, calls = os.fsync, [0]
    def fsync(descriptor):
        calls[0] += 1
        if calls[0] == call and before:
            os.kill(os.getpid(), signal.SIGKILL)
        real(descriptor)
        if calls[0] == call:
            os.kill(os.getpid(), signal.SIGKILL)
    os.fsync = fsync

for death in [*deaths, None]:
    child = os.fork()
    if child == 0:
        if death and "call" in death:
            die_at(death["call"], death["before"])
        if death and "seconds" in death:
            toy_bench.SECONDS_A_CALL = 0.05
        run_benchmark(config, out)
        os._exit(0)
    if death and "seconds" in death:
        time.sleep(death["seconds"])
        os.kill(child, signal.SIGKILL)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    print(status, flush=True)
"""


def changed(config: RunConfig, *overrides: str) -> RunConfig:
    return validate(RunConfig, apply_overrides(dump_config(config), overrides), "test")


def test_killed_at_any_moment_a_run_ends_with_the_same_bytes(
    toy: RunConfig, tmp_path: Path, contents: Contents
) -> None:
    toy = changed(toy, "prompts.samples_per_prompt=1")
    run_benchmark(toy, tmp_path / "straight")
    rng = random.Random(7)
    # Each death leaves what was made before it, so that later ones fall into later stages.
    deaths: list[dict[str, Any]] = [{"call": 1, "before": True}]
    deaths += [{"call": rng.randint(2, 30), "before": rng.random() < 0.5} for _ in range(6)]
    deaths += [{"seconds": round(rng.uniform(0.05, 0.3), 3)}]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(["tests/toys", "."])}
    arguments = [json.dumps(dump_config(toy)), str(tmp_path / "killed"), json.dumps(deaths)]
    done = subprocess.run(
        [sys.executable, "-c", DRIVER, *arguments],
        capture_output=True,
        text=True,
        env=environment,
        cwd=Path(__file__).parents[2],
        check=False,
    )
    assert done.stderr == ""
    codes = [int(line) for line in done.stdout.split()]
    assert codes[-1] == 0
    assert codes[:4] == [-9] * 4
    assert contents(tmp_path / "killed") == contents(tmp_path / "straight")
    assert list((tmp_path / "killed").rglob(".tmp-*")) == []


def test_run_json_says_how_the_run_was_made(toy: RunConfig, tmp_path: Path) -> None:
    run = run_benchmark(toy, tmp_path / "run", limit=5).run
    assert RunFolder.open(tmp_path / "run").run == run
    assert validate(RunConfig, run["config"], "run.json").prompts.limit == 5
    assert run["model"]["name"] == "toy-model"
    assert run["prompts"]["n"] == 5
    assert run["prompts"]["samples_per_prompt"] == 2
    assert run["reference"]["n"] == 12
    assert set(run["protocols"]) == {"clip_score", "fd"}
    assert set(run["timing"]) == {"generate_seconds", "seconds_per_image", "score_seconds"}
    protocols = set(RunFolder.open(tmp_path / "run").scores()["protocol"])
    assert protocols == {protocol["id"] for protocol in run["protocols"].values()}


def test_second_start_does_nothing(toy: RunConfig, tmp_path: Path) -> None:
    made: list[str] = []

    def output(folder: RunFolder, config: RunConfig, stages: Stages) -> None:
        if not stages.is_finished("toy", {}, []):
            made.append(config.name)
            stages.finish("toy", {})

    run_benchmark(toy, tmp_path / "run", outputs=[output])
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "run").rglob("*.parquet")}
    scores = (tmp_path / "run" / "scores.csv").stat().st_mtime_ns
    run_benchmark(toy, tmp_path / "run", outputs=[output])
    assert made == ["toy"]
    assert (tmp_path / "run" / "scores.csv").stat().st_mtime_ns == scores
    assert set(before) == set((tmp_path / "run").rglob("*.parquet"))


def test_added_weight_gives_the_scores_of_a_run_that_had_it(toy: RunConfig, tmp_path: Path, contents: Contents) -> None:
    more = changed(toy, "sweep.guidance_weights=[2.0, 1.0, 1.5, 4.0]")
    run_benchmark(toy, tmp_path / "grown")
    run_benchmark(more, tmp_path / "grown")
    run_benchmark(more, tmp_path / "straight")
    assert contents(tmp_path / "grown") == contents(tmp_path / "straight")


class Doubling:
    """The toy generator with a super-resolution stage."""

    name = "doubling"

    def __init__(self, name: str, options: dict[str, Any]) -> None:
        self.inner = open_callable(name, options)

    def describe(self) -> dict[str, Any]:
        return self.inner.describe()

    def generate(self, prompts: Any, seeds: Any, guidance_weight: float) -> torch.Tensor:
        return self.inner.generate(prompts, seeds, guidance_weight)

    def super_resolve(self, images: torch.Tensor, prompts: Any, seeds: Any) -> torch.Tensor:
        return images.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)


def test_gallery_holds_one_weight(toy: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(generators._items, "doubling", Doubling)
    config = changed(toy, "model.generator=doubling", "gallery={prompts=3, guidance_weight=1.0}")
    folder = run_benchmark(config, tmp_path / "run", limit=4)
    names = [path.relative_to(folder.path).as_posix() for path in sorted(folder.path.glob("gallery/*/*"))]
    assert names == [f"gallery/w=1/p0{number}_0.png" for number in range(3)]
    stale = folder.path / "gallery" / "w=2" / "p00_0.png"
    stale.parent.mkdir()
    stale.write_bytes((folder.path / names[0]).read_bytes())
    (folder.path / names[1]).unlink()
    run_benchmark(config, tmp_path / "run", limit=4)
    assert (folder.path / names[1]).is_file()
    assert not stale.exists()


def test_model_without_super_resolution_has_no_gallery(toy: RunConfig, tmp_path: Path) -> None:
    folder = run_benchmark(changed(toy, "gallery={}"), tmp_path / "run", limit=4)
    assert not (folder.path / "gallery").exists()


def test_too_few_images_for_the_features_are_noted(toy: RunConfig, tmp_path: Path) -> None:
    folder = run_benchmark(changed(toy, "prompts.samples_per_prompt=1"), tmp_path / "run", limit=4)
    assert folder.run["notes"] == [
        "4 images and 12 reference images for 4 feature dimensions: a covariance is rank-deficient; "
        "compare distances of as many images alone"
    ]
    assert "note: 4 images and" in summary_text(folder)
    assert summary_json(folder)["notes"] == folder.run["notes"]


def test_other_config_is_refused_before_anything_is_opened(toy: RunConfig, tmp_path: Path) -> None:
    run_benchmark(toy, tmp_path / "run", limit=2)
    other = changed(toy, "seed=4", "model.options.target=no_such_module:f")
    with pytest.raises(RunFolderError, match="seed: 3 in the folder, 4 asked"):
        run_benchmark(other, tmp_path / "run", limit=2)
    with pytest.raises(RunFolderError, match=r"prompts\.limit: 2 in the folder, null asked"):
        run_benchmark(toy, tmp_path / "run")


def test_changed_prompts_are_refused(toy: RunConfig, tmp_path: Path) -> None:
    run_benchmark(toy, tmp_path / "run")
    file = Path(toy.prompts.set)
    file.write_text(file.read_text(encoding="utf-8").replace("a toy of kind 3", "a toy of kind 33"), encoding="utf-8")
    with pytest.raises(RunFolderError, match=r"prompts \(digest: "):
        run_benchmark(toy, tmp_path / "run")


def test_broken_scoring_leaves_no_folder(toy: RunConfig, tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        run_benchmark(changed(toy, 'scores.metrics=["nonsense"]'), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_busy_folder_is_refused(toy: RunConfig, tmp_path: Path) -> None:
    with locked(tmp_path / "run"), pytest.raises(RunFolderError, match="in use by another imagen-bench"):
        run_benchmark(toy, tmp_path / "run")


def test_plan_counts_and_writes_nothing(toy: RunConfig, tmp_path: Path) -> None:
    plan = plan_run(changed(toy, "gallery={}"), tmp_path / "run", limit=4)
    assert (plan.images, plan.images_done, plan.continues) == (4 * 2 * 3, 0, False)
    assert plan.stages == ("generate", "evaluate", "gallery")
    assert not (tmp_path / "run").exists()
    run_benchmark(toy, tmp_path / "run", limit=4)
    plan = plan_run(changed(toy, "sweep.guidance_weights=[1.0, 1.5, 2.0, 3.0]"), tmp_path / "run", limit=4)
    assert (plan.images, plan.images_done, plan.continues) == (32, 24, True)
    with pytest.raises(RunFolderError, match="holds another run"):
        plan_run(toy, tmp_path / "run")
