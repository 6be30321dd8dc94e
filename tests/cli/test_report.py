"""`report` and `pareto` from the command line: outputs, refusals and exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from imagen_bench.bench.run_folder import SCORE_COLUMNS
from imagen_bench.cli.main import main
from imagen_bench.report import style


def make_run(path: Path, model: str = "m", protocol: str = "fd-p-4x1-00000000") -> Path:
    """A run folder with scores alone."""
    path.mkdir()
    (path / "run.json").write_text(json.dumps({"schema": 1, "name": path.name, "model": {"name": model}}))
    rows = [",".join(SCORE_COLUMNS)]
    for weight, clip_score, fd in ((1, 0.2, 3.0), (2, 0.25, 2.0), (4, 0.27, 2.5)):
        rows.append(f"{model},p,{weight},all,clip_score,{clip_score},0.1,0.3,4,clip_score-p-4x1-00000000")
        rows.append(f"{model},p,{weight},all,fd,{fd},1.5,3.5,4,{protocol}")
    (path / "scores.csv").write_text("\n".join(rows) + "\n")
    return path


def invoke(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(style, "SUFFIXES", ("svg", "png"))


def test_report_goes_into_the_run_by_default(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    result = invoke("report", run, "--json")
    assert result.exit_code == 0, result.output
    written = json.loads(result.stdout)
    assert written["index"] == str(run / "report" / "index.html")
    assert str(run / "report" / "tables" / "headline.tex") in written["tables"]
    assert all(Path(path).is_file() for path in [written["index"], *written["figures"], *written["tables"]])


def test_several_runs_need_a_common_folder(tmp_path: Path) -> None:
    result = invoke("report", make_run(tmp_path / "a"), make_run(tmp_path / "b", "n"))
    assert result.exit_code == 2
    assert "--out" in result.stderr


def test_no_run_folder_is_one_line(tmp_path: Path) -> None:
    result = invoke("report", tmp_path)
    assert result.exit_code == 1
    assert result.stderr.startswith("error: ")
    assert len(result.stderr.splitlines()) == 1


def test_pareto_draws_one_figure_and_its_numbers(tmp_path: Path) -> None:
    result = invoke("pareto", make_run(tmp_path / "run"), "--out", tmp_path / "p.svg", "--json")
    assert result.exit_code == 0, result.output
    points = json.loads(result.stdout)["points"]
    assert [point["non_dominated"] for point in points] == [False, True, True]
    assert (tmp_path / "p.svg").read_bytes().startswith(b"<?xml")
    assert (tmp_path / "p.csv").read_text().splitlines()[0].startswith("model,guidance_weight,x,")


def test_pareto_refuses_mixed_protocols_until_forced(tmp_path: Path) -> None:
    runs = (make_run(tmp_path / "a"), make_run(tmp_path / "b", "n", "fd-p-5x1-11111111"))
    refused = invoke("pareto", *runs, "--out", tmp_path / "p.png")
    assert refused.exit_code == 1
    assert "fd-p-5x1-11111111" in refused.stderr
    assert not (tmp_path / "p.png").exists()
    forced = invoke("pareto", *runs, "--out", tmp_path / "p.png", "--width", "column", "--force")
    assert forced.exit_code == 0, forced.output
    assert "warning: fd of different protocols" in forced.stderr
    assert (tmp_path / "p.png").is_file()


def test_pareto_refuses_other_formats(tmp_path: Path) -> None:
    result = invoke("pareto", make_run(tmp_path / "run"), "--out", tmp_path / "p.gif")
    assert result.exit_code == 2
    assert "expected .png, .svg or .pdf" in " ".join(result.stderr.split())
