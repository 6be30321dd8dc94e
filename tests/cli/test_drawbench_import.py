"""`drawbench import` and `drawbench label-studio`: output, messages and exit codes."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from PIL import Image

from imagen_bench.cli.main import main

Fill = Callable[..., Path]


def run(*args: object) -> Result:
    return CliRunner().invoke(main, ["drawbench", *map(str, args)])


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """A study in the least form that an import needs; two sheets of one item."""
    items = {"S01": "iaaa", "S02": "ibbb"}
    instrument = {
        "instructions": ["Look."],
        "questions": [{"name": "quality", "text": "Which?", "shows_caption": False}],
        "answers": [{"value": value, "label": value.upper(), "key": value[0]} for value in ("left", "tie", "right")],
    }
    record = {
        "schema": 1,
        "secret": "ab" * 32,
        "config": {"mode": "sxs", "instrument": instrument},
        "study_id": "sxyz",
        "sheets": [{"sheet_id": sheet, "items": 1, "hash": sheet * 2} for sheet in items],
    }
    folder = tmp_path / "study"
    (folder / "private").mkdir(parents=True)
    (folder / "public/images").mkdir(parents=True)
    Image.new("RGB", (1, 1)).save(folder / "public/images/m.png")
    (folder / "private/study.json").write_text(json.dumps(record), encoding="utf-8")
    key = "".join(f"{sheet},{item}\n" for sheet, item in items.items())
    (folder / "private/key.csv").write_text(f"sheet_id,item_id\n{key}", encoding="utf-8")
    columns = "study_id,sheet_id,item_id,order,prompt,image_left,image_right,q_quality,comment,rater_id"
    for sheet, item in items.items():
        text = f"{columns}\nsxyz,{sheet},{item},1,a cat,images/m.png,images/m.png,,,\n"
        (folder / f"public/sheet_{sheet}.csv").write_text(text, encoding="utf-8")
    return folder


@pytest.fixture
def fill(study: Path, tmp_path: Path) -> Fill:
    def filled(name: str, sheet: str = "S01", **cells: str) -> Path:
        rows = list(csv.DictReader((study / f"public/sheet_{sheet}.csv").read_text(encoding="utf-8").splitlines()))
        with (tmp_path / name).open("w", encoding="utf-8", newline="") as stream:
            writer = csv.DictWriter(stream, rows[0])
            writer.writeheader()
            writer.writerows({**row, **cells} for row in rows)
        return tmp_path / name

    return filled


def test_the_summary(study: Path, fill: Fill) -> None:
    result = run("import", study, fill("a.csv", q_quality="A", rater_id="me"))
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.splitlines() == [
        "read 1 file, 1 row",
        "answers: 1 new, 0 unchanged, 0 with their time added, 0 replaced; 1 in all from 1 rater",
        "sheets: 1 complete, 0 incomplete, 1 without answers (S02)",
        f"written to {study / 'private' / 'answers.csv'}",
    ]


def test_json(study: Path, fill: Fill) -> None:
    result = run("import", study, fill("a.csv", q_quality="A"), fill("b.csv", "S02", q_quality="tie"), "--json")
    record = json.loads(result.stdout)
    assert record["written"] is True
    assert record["answers"] == {"new": 2, "unchanged": 0, "completed": 0, "replaced": 0, "total": 2}
    assert [(one["sheet_id"], one["answered"], one["expected"]) for one in record["sheets"]] == [
        ("S01", 1, 1),
        ("S02", 1, 1),
    ]


def test_mistakes_are_listed_and_counted_and_nothing_written(study: Path, fill: Fill) -> None:
    files = fill("good.csv", q_quality="left"), fill("bad.csv", "S02", q_quality="perhaps"), study / "no.csv"
    result = run("import", study, *files)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.splitlines() == [
        "refused: bad.csv, line 2, column q_quality: 'perhaps' is no answer; write one of left, tie, right, "
        "or leave it blank",
        "refused: no.csv: cannot be read (No such file or directory)",
        "error: 2 mistakes in 3 files; nothing was written: mend the files, or keep the rest with --partial",
    ]
    assert not (study / "private/answers.csv").exists()
    record = json.loads(run("import", study, *files, "--json").stdout)
    assert (record["written"], record["problem_count"], record["problems"][1]["source"]) == (False, 2, "no.csv")


def test_partial_keeps_the_rest_and_still_tells(study: Path, fill: Fill) -> None:
    files = fill("good.csv", q_quality="left"), fill("bad.csv", "S02", q_quality="perhaps")
    result = run("import", study, *files, "--partial")
    assert result.exit_code == 0
    assert result.stderr.startswith("refused: bad.csv, line 2")
    assert "1 new" in result.stdout
    result = run("import", study, files[1], "--partial")
    assert result.exit_code == 1
    assert result.stderr.endswith("error: 1 mistake in 1 file; nothing was written: mend the files\n")


def test_dry_run_and_warnings(study: Path, fill: Fill) -> None:
    result = run("import", study, fill("a.csv"), "--dry-run")
    assert (result.exit_code, result.stderr) == (0, "warning: a.csv: holds no answers\n")
    assert result.stdout.endswith("nothing written (dry run)\n")
    assert not (study / "private/answers.csv").exists()


def test_no_study_and_wrong_usage(tmp_path: Path, fill: Fill) -> None:
    result = run("import", tmp_path / "none", fill("a.csv"))
    assert result.exit_code == 1
    assert "holds no study" in result.stderr
    assert run("import", tmp_path).exit_code == 2


def test_label_studio_and_back(study: Path, tmp_path: Path) -> None:
    out = tmp_path / "project"
    result = run("label-studio", study, "--out", out, "--image-url", "https://example.org/public", "--json")
    record = json.loads(result.stdout)
    tasks = json.loads(Path(record["tasks"][0]).read_text(encoding="utf-8"))
    assert tasks[0]["data"]["image_left"] == "https://example.org/public/images/m.png"
    choice = {"from_name": "q_quality", "type": "choices", "value": {"choices": ["tie"]}}
    export = [{**task, "annotations": [{"completed_by": 1, "result": [choice]}]} for task in tasks]
    (tmp_path / "export.json").write_text(json.dumps(export), encoding="utf-8")
    assert "1 new" in run("import", study, tmp_path / "export.json").stdout
    assert "instructions: " in run("label-studio", study, "--out", out, "--image-url", "x", "--sheet", "S02").stdout
    assert run("label-studio", study, "--out", out, "--image-url", "x", "--sheet", "S7").exit_code == 1
