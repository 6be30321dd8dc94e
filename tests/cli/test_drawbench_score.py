"""`drawbench score` and `drawbench plan` from the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from imagen_bench.cli.main import main


def invoke(*args: object) -> Result:
    return CliRunner().invoke(main, ["drawbench", *map(str, args)])


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "toys"))
    from toy_study import write_study

    return write_study(
        tmp_path / "study", categories={"Colors": 6, "Text": 5}, raters=3, questions=("alignment",), strengths=(1.5, 0)
    )


def test_score_writes_everything_and_prints_the_result(study: Path) -> None:
    result = invoke("score", study)
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("alignment: imagen preferred ")
    assert "categories that differ after Holm" in result.stdout
    out = study / "results"
    assert result.stdout.splitlines()[-1] == str(out / "index.html")
    for name in (
        "study_card.md",
        "tables/preference.tex",
        "tables/raters.csv",
        "figures/preference.pdf",
        "figures/categories.svg",
        "figures/net.png",
        "figures/quality.csv",
    ):
        assert (out / name).is_file(), name
    assert json.loads((out / "results.json").read_text())["arms"] == ["imagen", "other"]


def test_score_as_json_in_another_folder(study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("imagen_bench.report.human_report.write_human_report", lambda *_: tmp_path)
    result = invoke("score", study, "--json", "--out", tmp_path / "elsewhere", "--seed", 3)
    printed = json.loads(result.stdout)
    assert printed == json.loads((tmp_path / "elsewhere" / "results.json").read_text())
    assert printed["seed"] == 3
    assert not (study / "results").exists()


@pytest.mark.parametrize("broken", ["no-study", "answers", "out"])
def test_refusals_are_one_line(study: Path, tmp_path: Path, broken: str) -> None:
    (tmp_path / "file").touch()
    if broken == "answers":
        (study / "private" / "answers.csv").unlink()
    args = {"no-study": [tmp_path], "answers": [study], "out": [study, "--out", tmp_path / "file"]}[broken]
    result = invoke("score", *args)
    assert result.exit_code == 1
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == 1
    assert result.stdout == ""


def test_plan_prints_a_table(study: Path) -> None:
    result = invoke("plan", "--prompts", 200, "--raters", 5, "--price", 0.05, "--items-per-hour", 200)
    assert result.exit_code == 0, result.output
    assert "net preference -+ 0.077 for these raters" in result.stdout
    assert "pay 50.00 in all, 10.00 an hour" in result.stdout
    assert "0.077 (0.107)*" in result.stdout


def test_plan_as_json() -> None:
    printed = json.loads(invoke("plan", "--prompts", 150, "--raters", 4, "--samples", 8, "--json").stdout)
    assert (printed["plan"]["items"], printed["plan"]["images"], printed["plan"]["cost"]) == (600, 2400, None)
    assert {(row["prompts"], row["raters"]) for row in printed["table"]} >= {(150, 4), (200, 25)}
    assert printed["assumptions"]["tie_share"] == 0.2


@pytest.mark.parametrize(
    "args", [["--prompts", "1"], ["--tie-share", "1"], ["--items-per-hour", "0"], ["--price", "-1"]]
)
def test_plan_refuses_impossible_numbers(args: list[str]) -> None:
    assert invoke("plan", *args).exit_code == 2
