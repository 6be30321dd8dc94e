"""The run folder: who may write in it, what counts as a sample, and what it refuses."""

from __future__ import annotations

import copy
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from imagen_bench.bench.journal import Sample
from imagen_bench.bench.lock import locked
from imagen_bench.bench.run_folder import (
    RunFolder,
    sample_path,
    samples_digest,
    samples_to_frame,
    weight_folder,
)
from imagen_bench.errors import RunFolderError
from imagen_bench.files import sha256_bytes

RECORD: dict[str, Any] = {
    "name": "toy",
    "created": "2026-01-01T00:00:00+00:00",
    "config": {
        "name": "toy",
        "seed": 0,
        "model": {"name": "m", "options": {"steps": 4, "batch_size": 2}},
        "sweep": {"guidance_weights": [1.0, 2.0]},
    },
    "model": {"name": "m", "weights": "abc"},
    "prompts": {"id": "p", "digest": "d"},
    "versions": {"torch": "2.0"},
}


def changed(path: str, value: Any) -> dict[str, Any]:
    record = copy.deepcopy(RECORD)
    *parents, last = path.split(".")
    table = record
    for part in parents:
        table = table[part]
    table[last] = value
    return record


def sample(folder: Path, prompt_id: str, weight: float = 1.0, content: bytes = b"pixels") -> Sample:
    path = sample_path(weight, 0, prompt_id, 0)
    (folder / path).parent.mkdir(parents=True, exist_ok=True)
    (folder / path).write_bytes(content)
    return Sample(prompt_id, "a cat", "animals", 0, 1, weight, path, sha256_bytes(content), 0.1)


def test_layout_of_paths() -> None:
    assert sample_path(1.5, 1000, "EB-001", 3) == "images/w=1.5/0001/EB-001_3.png"
    assert weight_folder(2.0) == "w=2"


def test_a_new_folder_holds_run_json(tmp_path: Path) -> None:
    RunFolder.create_or_resume(tmp_path / "a" / "run", RECORD)
    run = json.loads((tmp_path / "a" / "run" / "run.json").read_text())
    assert run["schema"] == 1
    assert run["config"] == RECORD["config"]


def test_the_same_run_continues_and_keeps_its_date(tmp_path: Path) -> None:
    RunFolder.create_or_resume(tmp_path, RECORD)
    folder = RunFolder.create_or_resume(tmp_path, changed("created", "2027-01-01T00:00:00+00:00"))
    assert folder.run["created"] == RECORD["created"]
    assert "continued_with" not in folder.run


def test_continuing_with_other_libraries_is_written_down_once(tmp_path: Path) -> None:
    RunFolder.create_or_resume(tmp_path, RECORD)
    for _ in range(2):
        folder = RunFolder.create_or_resume(tmp_path, changed("versions.torch", "2.1"))
    assert folder.run["versions"] == {"torch": "2.0"}
    assert folder.run["continued_with"] == [{"torch": "2.1"}]


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("config.seed", 1, "seed: 0 in the folder, 1 asked"),
        (
            "config.sweep.guidance_weights",
            [1.0],
            "sweep.guidance_weights: [1.0, 2.0] in the folder, [1.0] asked",
        ),
        (
            "config.sweep.guidance_weights",
            [1.0, 3.0],
            "sweep.guidance_weights: [1.0, 2.0] in the folder, [1.0, 3.0] asked",
        ),
        ("config.model.options.steps", 8, "model.options.steps: 4 in the folder, 8 asked"),
        ("config.gallery", {"prompts": 4}, "gallery.prompts: absent in the folder, 4 asked"),
        ("model.weights", "abd", 'model (weights: "abc" in the folder, "abd" asked)'),
        ("prompts.digest", "e", 'prompts (digest: "d" in the folder, "e" asked)'),
    ],
)
def test_another_run_is_refused_with_the_difference(tmp_path: Path, key: str, value: Any, said: str) -> None:
    RunFolder.create_or_resume(tmp_path, RECORD)
    before = (tmp_path / "run.json").read_bytes()
    with pytest.raises(RunFolderError) as caught:
        RunFolder.create_or_resume(tmp_path, changed(key, value))
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
    assert (tmp_path / "run.json").read_bytes() == before


@pytest.mark.parametrize(
    ("key", "value"),
    [("config.sweep.guidance_weights", [0.0, 2.0, 1.0, 3.0]), ("config.model.options.batch_size", 64)],
)
def test_weights_may_be_added_and_the_batch_size_may_change(tmp_path: Path, key: str, value: Any) -> None:
    RunFolder.create_or_resume(tmp_path, RECORD)
    RunFolder.create_or_resume(tmp_path, changed(key, value))
    assert RunFolder.open(tmp_path).run["config"] == changed(key, value)["config"]


def test_foreign_folder_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("mine")
    with pytest.raises(RunFolderError, match=r"is not empty and holds no run.json \(found 'thesis.tex'\)"):
        RunFolder.create_or_resume(tmp_path, RECORD)
    assert [item.name for item in tmp_path.iterdir()] == ["thesis.tex"]


def test_file_instead_of_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("")
    with pytest.raises(RunFolderError, match="is a file, expected a folder"):
        RunFolder.create_or_resume(tmp_path / "out", RECORD)


def test_remains_of_a_first_start_are_no_foreign_files(tmp_path: Path) -> None:
    (tmp_path / ".lock").write_text("1\n")
    (tmp_path / ".tmp-0011.json").write_text("{")
    folder = RunFolder.create_or_resume(tmp_path, RECORD)
    folder.remove_temporary()
    assert sorted(item.name for item in tmp_path.iterdir()) == [".lock", "run.json"]


@pytest.mark.parametrize(
    ("text", "said"), [("{", "is not JSON"), ('{"schema": 2}', "has schema 2"), ("[]", "has schema None")]
)
def test_unreadable_run_json(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "run.json").write_text(text)
    with pytest.raises(RunFolderError, match=said):
        RunFolder.open(tmp_path)


def test_open_needs_a_run_folder(tmp_path: Path) -> None:
    with pytest.raises(RunFolderError, match=r"holds no run.json"):
        RunFolder.open(tmp_path)


def test_a_sample_counts_only_with_its_whole_image(tmp_path: Path) -> None:
    folder = RunFolder.create_or_resume(tmp_path, RECORD)
    whole, torn, absent = (sample(tmp_path, name) for name in ("a", "b", "c"))
    folder.add_samples([whole, torn, absent])
    folder.image(torn).write_bytes(b"pix")
    folder.image(absent).unlink()
    assert list(folder.finished_samples().values()) == [whole]


def test_samples_are_sorted_and_the_last_line_of_a_key_wins(tmp_path: Path) -> None:
    folder = RunFolder.create_or_resume(tmp_path, RECORD)
    old, late = sample(tmp_path, "b", 2.0, b"old"), sample(tmp_path, "a", 10.0)
    new = sample(tmp_path, "b", 2.0, b"new")
    folder.add_samples([late, old, new])
    assert folder.samples()["sha256"].tolist() == [new.sha256, late.sha256]
    folder.compile_samples(folder.finished_samples().values())
    frame = folder.samples()
    assert frame["prompt_id"].tolist() == ["b", "a"]
    assert frame["guidance_weight"].dtype == float
    assert frame["index"].dtype == int
    assert folder.image(frame.iloc[0]).read_bytes() == b"new"
    assert folder.image_files(10.0, 0) == {"a": folder.image(late)}


def test_digest_of_samples_ignores_time_alone(tmp_path: Path) -> None:
    one = sample(tmp_path, "a")
    digests = [
        samples_digest(samples_to_frame([item])) for item in (one, replace(one, seconds=9.0), replace(one, sha256="00"))
    ]
    assert digests[0] == digests[1] != digests[2]


@pytest.mark.parametrize("path", ["../secret.png", "/etc/passwd", "images/../../x.png"])
def test_paths_never_leave_the_folder(tmp_path: Path, path: str) -> None:
    folder = RunFolder.create_or_resume(tmp_path, RECORD)
    with pytest.raises(RunFolderError, match="leads out of the run folder"):
        folder.image({"path": path})


def test_scores_read_back_with_missing_values_and_awkward_names(tmp_path: Path) -> None:
    folder = RunFolder.create_or_resume(tmp_path, RECORD)
    with pytest.raises(RunFolderError, match=r"no scores.csv yet"):
        folder.scores()
    rows = [
        ["m", "p", 1.0, "NA", "fd", 0.1 + 0.2, None, None, 4, "x"],
        ["m", "p", 1.0, "null", "fd", None, None, None, 0, "x"],
    ]
    columns = [
        "model",
        "prompt_set",
        "guidance_weight",
        "category",
        "metric",
        "value",
        "low",
        "high",
        "n",
        "protocol",
    ]
    pd.DataFrame(rows, columns=columns).to_csv(tmp_path / "scores.csv", index=False)
    scores = folder.scores()
    assert scores["category"].tolist() == ["NA", "null"]
    assert scores["value"].iloc[0] == 0.1 + 0.2
    assert scores["value"].isna().tolist() == [False, True]
    assert scores["low"].isna().all()


def test_home_folder_is_not_written_down(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/someone")
    RunFolder.create_or_resume(tmp_path, changed("config.model.name", "/home/someone/weights"))
    assert "someone" not in (tmp_path / "run.json").read_text()
    RunFolder.create_or_resume(tmp_path, changed("config.model.name", "/home/someone/weights"))


def test_second_process_is_refused(tmp_path: Path) -> None:
    imports = "import sys; from pathlib import Path; from imagen_bench.bench.lock import locked"
    code = f"{imports}\nwith locked(Path(sys.argv[1])): pass"
    attempt = [sys.executable, "-c", code, str(tmp_path)]
    with locked(tmp_path):
        refused = subprocess.run(attempt, capture_output=True, text=True, check=False)
    assert f"in use by another imagen-bench (process {os.getpid()})" in refused.stderr
    subprocess.run(attempt, check=True)
