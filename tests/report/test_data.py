"""Reading run folders: finished, in progress, incomplete, broken; and which may stand side by side."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from imagen_bench.bench.journal import Sample, append_samples
from imagen_bench.errors import ProtocolError, RunFolderError
from imagen_bench.report.data import check_protocols, load_runs


def test_a_finished_run_misses_nothing(make_run: Any) -> None:
    (run,) = load_runs([make_run()])
    assert run.missing == ()
    assert run.label == "imagen-emoji"
    assert run.overall("fd")["guidance_weight"].tolist() == [1, 1.5, 2, 3, 5, 8]
    assert len(run.per_category("clip_score")) == 30


def test_a_run_that_just_started_is_read_as_far_as_it_goes(make_run: Any) -> None:
    path = make_run(with_scores=False, with_samples=False)
    sample = Sample("sin-00", "a cat", "single object", 0, 7, 2.0, "images/w=2/0000/sin-00_0.png", "0" * 64, 0.5)
    append_samples(path / "journal", [sample])
    (run,) = load_runs([path])
    assert run.weights == (2.0,)
    assert any(
        "59 of 60 images are not generated yet (10 at w = 1, 10 at w = 1.5, 9 at w = 2," in sentence
        for sentence in run.missing
    )
    assert any("No scores yet" in sentence for sentence in run.missing)


def test_runs_of_one_model_are_told_apart(make_run: Any) -> None:
    paths = [make_run("a", name="short"), make_run("b", name="long")]
    assert [run.label for run in load_runs(paths)] == ["short", "long"]
    paths = [make_run("c"), make_run("d")]
    labels = [run.label for run in load_runs(paths)]
    assert len(set(labels)) == 2


def test_mixed_protocols_are_refused_unless_forced(make_run: Any) -> None:
    other = {"clip_score": "clip_score-emoji-bench-240x1-1f0c9a7e", "fd": "fd-emoji-bench-99x1-00000000"}
    paths = [
        make_run("a", with_samples=False),
        make_run("b", with_samples=False, model="m2", protocols=other),
    ]
    runs = load_runs(paths)
    with pytest.raises(ProtocolError, match=r"fd was scored by 2 protocols .*--force"):
        check_protocols(runs, force=False)
    assert check_protocols(runs, force=True) == {"fd": ("fd-emoji-bench-240x1-77ab01c2", other["fd"])}


def test_equal_protocols_pass(make_run: Any) -> None:
    runs = load_runs([make_run("a", with_samples=False), make_run("b", with_samples=False, model="m2")])
    assert check_protocols(runs, force=False) == {}


def test_a_missing_number_is_not_zero(make_run: Any) -> None:
    path = make_run(with_samples=False, weights=(1.0, 2.0))
    file = path / "scores.csv"
    lines = file.read_text().splitlines()
    cells = lines[2].split(",")
    assert cells[4] == "fd"
    lines[2] = ",".join([*cells[:6], "", "", *cells[8:]])
    file.write_text("\n".join(lines) + "\n")
    (run,) = load_runs([path])
    assert run.overall("fd")["low"].isna().tolist() == [True, False]


@pytest.mark.parametrize(
    ("content", "message"),
    [("model,value\na,1\n", "cannot be read|lacks the column"), ("", "cannot be read")],
)
def test_broken_scores_are_refused_by_name(make_run: Any, content: str, message: str) -> None:
    path = make_run(with_samples=False)
    (path / "scores.csv").write_text(content)
    with pytest.raises(RunFolderError, match=rf"scores\.csv.*({message})"):
        load_runs([path])


def test_a_score_given_twice_is_refused(make_run: Any) -> None:
    path = make_run(with_samples=False)
    file = path / "scores.csv"
    file.write_text(file.read_text() + file.read_text().splitlines()[1] + "\n")
    with pytest.raises(RunFolderError, match="two values of clip_score at w = 1"):
        load_runs([path])


def test_broken_samples_are_refused_by_name(make_run: Any) -> None:
    path = make_run(with_samples=False)
    (path / "samples.parquet").write_bytes(b"PAR1 no")
    with pytest.raises(RunFolderError, match=r"samples\.parquet"):
        load_runs([path])


def test_no_run_folder(tmp_path: Path, make_run: Any) -> None:
    with pytest.raises(RunFolderError, match="expected at least one"):
        load_runs([])
    with pytest.raises(RunFolderError, match=r"run\.json"):
        load_runs([tmp_path])
    path = make_run()
    with pytest.raises(RunFolderError, match="given twice"):
        load_runs([path, path / ".." / path.name])


def test_prompt_sets_in_run_json_may_be_incomplete(make_run: Any) -> None:
    path = make_run(with_samples=False)
    record = json.loads((path / "run.json").read_text())
    for key in ("prompts", "reference", "protocols", "timing", "host", "versions", "model"):
        record[key] = None
    (path / "run.json").write_text(json.dumps(record))
    (run,) = load_runs([path])
    assert run.section("prompts") == {}
    assert run.label == "emoji-sweep"


def test_weights_that_are_added_to_a_finished_sweep_are_shown(make_run: Any) -> None:
    path = make_run(weights=(1.0, 2.0))
    record = json.loads((path / "run.json").read_text())
    record["config"]["sweep"]["guidance_weights"] = [1.0, 2.0, 5.0]
    (path / "run.json").write_text(json.dumps(record))
    seen = Sample("sin-00", "a cat", "single object", 0, 7, 1.0, "images/w=1/0000/sin-00_0.png", "0" * 64, 0.5)
    new = Sample("sin-00", "a cat", "single object", 0, 7, 5.0, "images/w=5/0000/sin-00_0.png", "0" * 64, 0.5)
    append_samples(path / "journal", [seen, new])
    (run,) = load_runs([path])
    assert run.weights == (1.0, 2.0, 5.0)
    assert len(run.samples) == 21
    told = " ".join(run.missing)
    assert "9 of 30 images are not generated yet (9 at w = 5)" in told
    assert "Not scored yet: w = 5." in told


def test_samples_know_their_own_scores(make_run: Any) -> None:
    (run,) = load_runs([make_run(weights=(1.0, 2.0), sample_scores={("col-01", 2.0): 0.75})])
    scored = run.scored_samples("clip_score")
    own = scored[(scored["prompt_id"] == "col-01") & (scored["guidance_weight"] == 2)]
    assert own["value"].tolist() == [0.75]
    assert len(scored) == 20
    assert run.scored_samples("fd").empty


def test_equal_protocols_of_different_counts_conflict(make_run: Any) -> None:
    runs = load_runs([make_run("a", with_samples=False), make_run("b", with_samples=False, model="m2")])
    runs[1].scores.loc[runs[1].scores["metric"] == "fd", "n"] = 30_000.0
    name = "fd-emoji-bench-240x1-77ab01c2"
    with pytest.raises(ProtocolError, match="fd was scored by 2 protocols"):
        check_protocols(runs, force=False)
    assert check_protocols(runs, force=True) == {"fd": (f"{name} of 10 images", f"{name} of 30,000 images")}


def test_variants_of_a_study_go_by_their_names(make_run: Any, tmp_path: Path) -> None:
    paths = [make_run(model=model).rename(tmp_path / name) for model, name in (("m1", "pooled"), ("m2", "tokens"))]
    assert [run.label for run in load_runs(paths)] == ["m1", "m2"]
    (tmp_path / "study.json").write_text("{}")
    assert [run.label for run in load_runs(paths)] == ["pooled", "tokens"]
    assert [run.label for run in load_runs(paths[:1])] == ["m1"]
