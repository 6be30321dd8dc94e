"""`report` and `pareto` from the command line: outputs, refusals and exit codes."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from imagen_bench.bench.run_folder import SCORE_COLUMNS
from imagen_bench.cli.main import main
from imagen_bench.report import style, tracking


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
    monkeypatch.setattr(style, "SUFFIXES", ("svg",))


def test_report_goes_into_the_run_by_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracking, "track_report", lambda runs, report, backend: f"{report.name}/{backend}/{len(runs)}")
    run = make_run(tmp_path / "run")
    result = invoke("report", run, "--published", "--track", "tensorboard", "--json")
    assert result.exit_code == 0, result.output
    assert "logged to report/tensorboard/1" in result.stderr
    written = json.loads(result.stdout)
    assert written["index"] == str(run / "report" / "index.html")
    assert str(run / "report" / "tables" / "headline.tex") in written["tables"]
    assert all(Path(path).is_file() for path in [written["index"], *written["figures"], *written["tables"]])
    assert "Imagen,7.27,True,1.35," in (run / "report" / "tables" / "published.csv").read_text()
    page = Path(written["index"]).read_text(encoding="utf-8")
    assert "Published values were asked for, but the protocols differ" in page


def test_one_file_holds_everything_within_its_size(tmp_path: Path) -> None:
    run, out = make_run(tmp_path / "run"), tmp_path / "mail.html"
    result = invoke("report", run, "--single-file", "--out", out, "--max-size", "1")
    assert result.exit_code == 0, result.output
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mail.html", "run"]
    page = out.read_text(encoding="utf-8")
    assert out.stat().st_size <= 1_000_000
    addresses = re.findall(r'(?:href|src)="([^"]*)"', page)
    assert {address[:5] for address in addresses if not address.startswith("#")} == {"data:"}
    assert 'download="headline.tex"' in page
    refused = invoke("report", run, "--single-file", "--out", out, "--max-size", "0.01")
    assert refused.exit_code == 1
    assert "expected at most 0.01 MB: give a larger --max-size" in refused.stderr


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--max-size", "3"), "give --single-file too"),
        (("--track", "wandb", "--single-file"), "without --single-file"),
        (("--sample",), "needs --out"),
        (("--track", "mlflow"), "'tensorboard', 'wandb'"),
        (("--images", "0"), "x>=1"),
    ],
)
def test_options_that_do_not_fit_are_usage_errors(tmp_path: Path, options: tuple[str, ...], told: str) -> None:
    result = invoke("report", make_run(tmp_path / "run"), *options)
    assert result.exit_code == 2
    assert told in " ".join(result.stderr.split())


def test_distances_of_different_numbers_of_images_are_refused(tmp_path: Path) -> None:
    one, other = make_run(tmp_path / "a"), make_run(tmp_path / "b", "n")
    scores = (other / "scores.csv").read_text().replace(",4,fd-p-4x1", ",9,fd-p-4x1")
    (other / "scores.csv").write_text(scores)
    result = invoke("report", one, other, "--out", tmp_path / "out")
    assert result.exit_code == 1
    assert "fd-p-4x1-00000000 of 4 images, fd-p-4x1-00000000 of 9 images" in result.stderr
    assert not (tmp_path / "out").exists()


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
    refused = invoke("pareto", *runs, "--out", tmp_path / "p.svg")
    assert refused.exit_code == 1
    assert "fd-p-5x1-11111111" in refused.stderr
    assert not (tmp_path / "p.svg").exists()
    forced = invoke("pareto", *runs, "--out", tmp_path / "p.svg", "--width", "column", "--force")
    assert forced.exit_code == 0, forced.output
    assert "warning: fd of different protocols" in forced.stderr
    assert (tmp_path / "p.svg").is_file()


def test_pareto_refuses_other_formats(tmp_path: Path) -> None:
    result = invoke("pareto", make_run(tmp_path / "run"), "--out", tmp_path / "p.gif")
    assert result.exit_code == 2
    assert "expected .png, .svg or .pdf" in " ".join(result.stderr.split())
