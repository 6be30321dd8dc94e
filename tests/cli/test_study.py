"""`run` on a study and on a part of a sweep: folders, reports, plans and refusals."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from imagen_bench.cli.main import main

VARIANTS = """
[variants.first]
[variants.second]
seed = 4
"""


@pytest.fixture
def study(write_toy_run: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> Path:
    def write_report(runs: list[Path], out: Path) -> Path:
        out.mkdir(exist_ok=True)
        (out / "index.html").write_text(" ".join(run.name for run in runs))
        return out / "index.html"

    monkeypatch.setattr("imagen_bench.report.page.write_report", write_report)
    return write_toy_run("toys", VARIANTS)


def invoke(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, ["run", *map(str, arguments)])


def test_a_study_runs_each_variant_and_reports_all(study: Path, tmp_path: Path) -> None:
    result = invoke(study, "--limit", "3")
    assert result.exit_code == 0, result.output
    out = tmp_path / "runs" / "toys"
    assert sorted(path.name for path in out.iterdir()) == ["first", "report", "second", "study.json"]
    assert (out / "report" / "index.html").read_text() == "first second"
    assert result.stdout.splitlines()[0] == "variant first"
    assert result.stdout.splitlines()[-1] == "report   runs/toys/report/index.html"
    again = json.loads(invoke(study, "--limit", "3", "--json").stdout)
    assert set(again["variants"]) == {"first", "second"}
    assert again["variants"]["second"]["name"] == "toys-second"


def test_a_plan_writes_nothing(study: Path, tmp_path: Path) -> None:
    result = invoke(study, "--dry-run", "--variant", "second", "--weights", "2")
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("variant  second\nrun      toys-second (new) in runs/toys/second\nweights  2\n")
    assert not (tmp_path / "runs").exists()
    plan = json.loads(invoke(study, "--dry-run", "--json").stdout)
    assert [plan["variants"][name]["images"] for name in ("first", "second")] == [20, 20]


def test_part_of_a_sweep_says_what_is_missing(study: Path) -> None:
    part = invoke(study, "--variant", "first", "--weights", "2", "--limit", "3")
    assert part.exit_code == 0, part.output
    assert "not made yet: --weights 1; gallery, sheets and report follow when they are" in part.stderr
    assert not Path("runs/toys/first/report").exists()
    rest = invoke(study, "--variant", "first", "--limit", "3")
    assert "not made yet" not in rest.stderr
    assert Path("runs/toys/first/report").is_dir()


def test_wrong_use_is_refused(study: Path, tmp_path: Path) -> None:
    assert "did you mean 'second'" in invoke(study, "--variant", "secnd").stderr
    assert invoke(study, "--weights", "two").exit_code == 2
    plain = tmp_path / "plain.toml"
    plain.write_text(study.read_text().split("[variants")[0])
    assert invoke(plain, "--variant", "first").exit_code == 2
    assert "weight 9 is not in the sweep (1, 2)" in invoke(plain, "--weights", "9").stderr


def test_shipped_configurations_have_short_names() -> None:
    result = invoke("imagen-emoji/studies/thresholding.toml", "--dry-run", "--limit", "4")
    assert result.exit_code == 0, result.output
    assert "variant  dynamic" in result.stdout
    assert invoke("imagen-emoji/studies/nothing.toml").exit_code == 2
