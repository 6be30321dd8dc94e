"""Several workers of one run: the same bytes as one, whoever dies and whenever."""

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

from imagen_bench.bench.generate import Part
from imagen_bench.bench.merge import merge_runs
from imagen_bench.bench.rerun import compare_with_original
from imagen_bench.bench.run import run_benchmark
from imagen_bench.bench.run_folder import RunFolder
from imagen_bench.config import RunConfig, apply_overrides, dump_config, validate
from imagen_bench.errors import RunFolderError

Contents = Callable[[Path], dict[str, Any]]

# Runs the toy benchmark again and again in groups of forked workers that find each other as under torchrun. Of each
# group but the last, one worker is killed after some seconds, and then the others, as torchrun's agent does.
DRIVER = """
import json, os, random, signal, socket, sys, time
from pathlib import Path
import pandas, pyarrow.parquet, safetensors.numpy, scipy.special, toy_bench
import torch.distributed
import imagen_bench.bench.evaluate as evaluate, imagen_bench.data.references, imagen_bench.images
from imagen_bench.bench.run import run_benchmark
from imagen_bench.config import RunConfig, validate

evaluate.open_extractor = toy_bench.StubExtractor
config = validate(RunConfig, json.loads(sys.argv[1]), "driver")
out, groups = Path(sys.argv[2]), json.loads(sys.argv[3])

def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]

def work(rank, count, port, seconds):
    toy_bench.SECONDS_A_CALL = seconds
    given = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": count, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    os.environ.update({name: str(value) for name, value in given.items()})
    run_benchmark(config, out)
    if count > 1:
        torch.distributed.barrier()
    os._exit(0)

for group in groups:
    port, children = free_port(), []
    for rank in range(group["workers"]):
        child = os.fork()
        if child == 0:
            work(rank, group["workers"], port, group.get("seconds_a_call", 0.05))
        children.append(child)
    if "victim" in group:
        time.sleep(group["seconds"])
        os.kill(children[group["victim"]], signal.SIGKILL)
        time.sleep(0.02)
        for child in children:
            try:
                os.kill(child, signal.SIGKILL)
            except ProcessLookupError:
                pass
    codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    print(json.dumps(codes), flush=True)
"""


def changed(config: RunConfig, *overrides: str) -> RunConfig:
    return validate(RunConfig, apply_overrides(dump_config(config), overrides), "test")


def drive(config: RunConfig, out: Path, groups: list[dict[str, Any]]) -> list[list[int]]:
    """Run groups of workers in one folder; return the exit codes of each."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(["tests/toys", "."]), "OMP_NUM_THREADS": "1"}
    arguments = [json.dumps(dump_config(config)), str(out), json.dumps(groups)]
    done = subprocess.run(
        [sys.executable, "-c", DRIVER, *arguments],
        capture_output=True, text=True, env=environment, cwd=Path(__file__).parents[2], check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_three_workers_share_a_run_and_make_its_bytes(toy: RunConfig, tmp_path: Path, contents: Contents) -> None:
    run_benchmark(toy, tmp_path / "straight")
    # Calls that last let every worker come to its turn, on a busy machine too.
    assert drive(toy, tmp_path / "shared", [{"workers": 3, "seconds_a_call": 0.25}]) == [[0, 0, 0]]
    assert contents(tmp_path / "shared") == contents(tmp_path / "straight")
    journals = {path.stem: len(path.read_text().splitlines()) for path in (tmp_path / "shared/journal").iterdir()}
    assert set(journals) == {"0", "1", "2"}
    assert sum(journals.values()) == 60
    assert max(journals.values()) < 40
    assert RunFolder.open(tmp_path / "shared").run["generation"]["images"] == 60


@pytest.mark.slow
def test_killed_25_times_alone_and_in_groups_a_run_ends_with_the_same_bytes(
    toy: RunConfig, tmp_path: Path, contents: Contents
) -> None:
    run_benchmark(toy, tmp_path / "straight")
    rng = random.Random(11)
    groups: list[dict[str, Any]] = []
    for death in range(25):
        workers = 1 + death % 3
        seconds = round(rng.uniform(0.03, 0.3), 3)
        groups.append({"workers": workers, "victim": rng.randrange(workers), "seconds": seconds})
    codes = drive(toy, tmp_path / "killed", [*groups, {"workers": 2}])
    assert codes[-1] == [0, 0]
    killed = sum(-9 in group for group in codes)
    assert killed >= 12, codes
    assert contents(tmp_path / "killed") == contents(tmp_path / "straight")
    assert list((tmp_path / "killed").rglob(".tmp-*")) == []


def test_parts_merge_into_the_run(toy: RunConfig, tmp_path: Path, contents: Contents) -> None:
    run_benchmark(toy, tmp_path / "straight")
    places = [tmp_path / f"part{number}" for number in (1, 2, 3)]
    for number, place in enumerate(places, start=1):
        folder = run_benchmark(toy, place, part=Part(number, 3))
        assert not (place / "scores.csv").exists()
        assert 16 <= len(folder.samples()) <= 24
    first = merge_runs(places[:2], tmp_path / "merged")
    assert first.images + sum(first.missing.values()) == first.planned == 60
    assert first.missing
    merged = merge_runs(places, tmp_path / "merged")
    assert (merged.images, merged.missing) == (60, {})
    assert len(merged.folder.run["merged"]) == 3
    assert "durations" not in merged.folder.run  # those of one part would pass for those of all
    run_benchmark(toy, tmp_path / "merged")
    assert contents(tmp_path / "merged") == contents(tmp_path / "straight")
    assert RunFolder.open(tmp_path / "merged").run["generation"]["images"] == 60


def test_weights_made_apart_merge(toy: RunConfig, tmp_path: Path, contents: Contents) -> None:
    run_benchmark(toy, tmp_path / "straight")
    for weight in (2.0, 1.0, 1.5):
        run_benchmark(changed(toy, f"sweep.guidance_weights=[{weight}]"), tmp_path / f"w{weight}")
    merged = merge_runs([tmp_path / "w2.0", tmp_path / "w1.0", tmp_path / "w1.5"], tmp_path / "merged")
    assert merged.missing == {}
    run_benchmark(toy, tmp_path / "merged")
    assert contents(tmp_path / "merged") == contents(tmp_path / "straight")


def test_other_runs_and_other_images_do_not_merge(toy: RunConfig, tmp_path: Path) -> None:
    run_benchmark(toy, tmp_path / "a", limit=2)
    run_benchmark(changed(toy, "seed=4"), tmp_path / "b", limit=2)
    with pytest.raises(RunFolderError, match="seed"):
        merge_runs([tmp_path / "a", tmp_path / "b"], tmp_path / "merged")
    brighter = {"target": "toy_bench:brighter", "batch_size": 4}
    record = RunFolder.open(tmp_path / "a")
    run_benchmark(changed(toy, f"model.options.target={brighter['target']}"), tmp_path / "c", limit=2)
    other = RunFolder.open(tmp_path / "c")
    other.run.update({key: record.run[key] for key in ("config", "model")})
    other.write_run()
    with pytest.raises(RunFolderError, match="different images for one sample"):
        merge_runs([tmp_path / "a", tmp_path / "c"], tmp_path / "merged")
    assert not (tmp_path / "merged").exists()


def test_a_rerun_says_what_agrees(toy: RunConfig, tmp_path: Path) -> None:
    original = run_benchmark(toy, tmp_path / "run")
    again = run_benchmark(toy, tmp_path / "again")
    same = compare_with_original(original, again)
    assert same.agrees
    assert (same.identical, same.missing, same.largest_difference) == (60, 0, 0)
    assert "the same images and scores" in same.words()
    other = run_benchmark(changed(toy, "model.options.target=toy_bench:brighter"), tmp_path / "other")
    different = compare_with_original(original, other)
    assert not different.agrees
    assert different.largest_difference == 9
    assert different.largest_score_difference > 1e-6
    assert "NOT repeated: images differ" in different.words()
