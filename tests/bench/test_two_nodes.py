"""Two torchrun agents that meet over loopback as two nodes: on a shared folder, and on disks of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import torch.distributed
from click.testing import CliRunner

from imagen_bench.cli.main import main
from imagen_bench.config import RunConfig, apply_overrides, dump_config, validate
from imagen_bench.metrics.extractors import open_extractor

Contents = Callable[[Path], dict[str, Any]]
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--local-addr", "127.0.0.1"]
# Nothing waits for a time; these end what hangs.
PATIENCE_SECONDS = 600
JOIN_SECONDS = 300


@pytest.fixture
def job(toy: RunConfig, tmp_path: Path) -> Path:
    """Configuration of the toy run on the bundled extractor, as a file: what processes of their own can open."""
    overrides = ["scores.extractor=imagen-emoji", "sweep.guidance_weights=[2.0, 1.0]", "prompts.samples_per_prompt=1"]
    record = {"config": dump_config(validate(RunConfig, apply_overrides(dump_config(toy), overrides), "two nodes"))}
    file = tmp_path / "job" / "run.json"
    file.parent.mkdir()
    file.write_text(json.dumps(record), encoding="utf-8")
    return file


@pytest.fixture
def meeting_place() -> Iterator[str]:
    """Address of a store that the agents meet at; the system chose its port, and nobody else can take it."""
    dist: Any = torch.distributed
    store = dist.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False, timeout=timedelta(seconds=300))
    yield f"127.0.0.1:{store.port}"
    del store


def together(tmp_path: Path, launches: list[list[str]]) -> list[subprocess.CompletedProcess[str]]:
    """Start torchrun's agents at once, each with its own arguments, and wait for all of them."""
    root = Path(__file__).parents[2]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(root), str(root / "tests" / "toys")]),
        "OMP_NUM_THREADS": "1",
        "GLOO_SOCKET_IFNAME": "lo",
        "IMAGEN_BENCH_HOME": str(tmp_path / "home-of-the-nodes"),
    }
    with ExitStack() as stack:
        agents = []
        for launch in launches:
            agent = subprocess.Popen(
                [*TORCHRUN, *launch],
                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, cwd=tmp_path,
            )  # fmt: skip
            stack.callback(agent.kill)
            agents.append(agent)
        ended = [agent.communicate(timeout=PATIENCE_SECONDS) for agent in agents]
    return [
        subprocess.CompletedProcess(agent.args, agent.returncode, *said)
        for agent, said in zip(agents, ended, strict=True)
    ]


def two_nodes(tmp_path: Path, endpoint: str, commands: list[list[str]]) -> list[subprocess.CompletedProcess[str]]:
    meet = ["--nnodes", "2", "--nproc-per-node", "1", "--max-restarts", "0", "--rdzv-backend", "c10d"]
    meet += ["--rdzv-endpoint", endpoint, "--rdzv-id", "two-nodes"]
    meet += ["--rdzv-conf", f"is_host=false,join_timeout={JOIN_SECONDS}"]
    return together(tmp_path, [[*meet, "-m", "imagen_bench", *command] for command in commands])


def invoke(*arguments: object) -> dict[str, Any]:
    result = CliRunner().invoke(main, [*map(str, arguments), "--json"], catch_exceptions=False)
    assert result.exit_code == 0, result.stderr
    said: dict[str, Any] = json.loads(result.stdout)
    return said


@pytest.fixture
def straight(job: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same run by one process, with the extractor that the nodes have."""
    monkeypatch.setattr("imagen_bench.bench.evaluate.open_extractor", open_extractor)
    invoke("run", job, "--out", tmp_path / "straight")
    return tmp_path / "straight"


@pytest.mark.slow
def test_two_nodes_share_a_folder_and_make_the_bytes_of_one_process(
    job: Path, straight: Path, tmp_path: Path, meeting_place: str, contents: Contents
) -> None:
    out = tmp_path / "shared"
    nodes = two_nodes(tmp_path, meeting_place, [["run", str(job), "--out", str(out)]] * 2)
    assert [node.returncode for node in nodes] == [0, 0], [node.stderr for node in nodes]
    assert contents(out) == contents(straight)
    journals = {file.stem: len(file.read_text(encoding="utf-8").splitlines()) for file in out.glob("journal/*.jsonl")}
    assert sum(journals.values()) == 20
    assert set(journals) <= {"0", "1"}
    # The main worker prints the summary, once.
    assert sorted(bool(node.stdout.strip()) for node in nodes) == [False, True]


@pytest.mark.slow
def test_nodes_with_disks_of_their_own_make_parts_that_merge(
    job: Path, straight: Path, tmp_path: Path, meeting_place: str, contents: Contents
) -> None:
    places = [tmp_path / f"disk{number}" / "run" for number in (1, 2)]
    apart = two_nodes(tmp_path, meeting_place, [["run", str(job), "--out", str(place)] for place in places])
    assert all(node.returncode != 0 for node in apart)
    said = "".join(node.stderr for node in apart)
    assert said.count("does not see the run") == 1
    assert "--part" in said
    alone = ["--standalone", "--nproc-per-node", "1", "-m", "imagen_bench"]
    parts = [
        [*alone, "run", str(job), "--part", f"{number}/2", "--out", str(tmp_path / f"part{number}")]
        for number in (1, 2)
    ]
    nodes = together(tmp_path, parts)
    assert [node.returncode for node in nodes] == [0, 0], [node.stderr for node in nodes]
    merged = invoke("merge", tmp_path / "part1", tmp_path / "part2", "--out", tmp_path / "merged")
    assert (merged["images"], merged["missing"]) == (20, [])
    invoke("run", tmp_path / "merged" / "run.json", "--out", tmp_path / "merged")
    assert contents(tmp_path / "merged") == contents(straight)
