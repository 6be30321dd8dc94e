"""`run`: a whole run through the command, its outputs, its answer to Ctrl-C, and what it refuses."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from imagen_bench.cli.main import main
from imagen_bench.cli.outputs import export_sheets
from imagen_bench.files import sha256_file

SHEETS = """
[sheets]
guidance_weights = [1.0, 2.0]
"""


@pytest.fixture
def config(write_toy_run: Callable[..., Path]) -> Path:
    return write_toy_run("toy", SHEETS)


@pytest.fixture
def quick_report(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawing takes seconds and is tested once."""

    def write_report(runs: list[Path], out: Path) -> None:
        out.mkdir()
        (out / "index.html").write_text("")

    monkeypatch.setattr("imagen_bench.report.page.write_report", write_report)


def invoke(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, ["run", *map(str, arguments)])


def test_whole_run_makes_scores_sheets_and_report(config: Path, tmp_path: Path) -> None:
    result = invoke(config)
    assert result.exit_code == 0, result.output
    run = tmp_path / "runs" / "toy"
    lines = result.stdout.splitlines()
    assert lines[0].split() == ["weight", "CLIP", "score", "(stub)", "FD", "(stub)", "n"]
    assert lines[1].split()[0] == "1"
    assert lines[1].split()[-1] == "10"
    assert "report   runs/toy/report/index.html" in lines
    for part in ("report/index.html", "scores.csv", "sheets/public", "samples.parquet"):
        assert (run / part).exists()
    key = sha256_file(run / "sheets" / "private" / "key.csv")
    page = (run / "report" / "index.html").stat().st_mtime_ns
    again = invoke(config, "--json")
    assert again.exit_code == 0
    summary = json.loads(again.stdout)
    assert [row["guidance_weight"] for row in summary["scores"]] == [1.0, 1.0, 2.0, 2.0]
    assert summary["paths"]["report"] == "runs/toy/report/index.html"
    assert sha256_file(run / "sheets" / "private" / "key.csv") == key
    assert (run / "report" / "index.html").stat().st_mtime_ns == page


def test_dry_run_writes_nothing(config: Path, tmp_path: Path) -> None:
    before = sorted(tmp_path.rglob("*"))
    result = invoke(config, "--dry-run", "--limit", "3", "--out", "elsewhere")
    assert result.exit_code == 0
    assert "run      toy (new) in elsewhere" in result.stdout
    assert "images   6 (3 prompts x 1 samples x 2 weights), 0 there already" in result.stdout
    assert "stages   generate, evaluate, sheets, report" in result.stdout
    assert sorted(tmp_path.rglob("*")) == before
    plan = json.loads(invoke(config, "--dry-run", "--json").stdout)
    assert plan["images"] == 20


def test_set_overrides_the_file(config: Path) -> None:
    result = invoke(config, "--dry-run", "--json", "--set", "sweep.guidance_weights=[1, 2, 5]", "--set", "name=other")
    assert json.loads(result.stdout)["guidance_weights"] == [1, 2, 5]
    assert json.loads(result.stdout)["out"] == "runs/other"


@pytest.mark.usefixtures("config")
@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("sweep.guidance_weigths=[1]", "did you mean 'guidance_weights'"),
        ("model.generator=calable", "callable"),
        ("prompts.set=nowhere.csv", "nowhere.csv"),
        ("model.options.target=toy_bench:smaple", "has no function 'smaple'"),
        ("scores.reference=nowhere", "nowhere"),
    ],
)
def test_mistakes_are_one_line_and_make_no_folder(tmp_path: Path, override: str, said: str) -> None:
    result = invoke(tmp_path / "toy.toml", "--set", override)
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == 1
    assert said in result.stderr
    assert not (tmp_path / "runs").exists()


def test_usage_errors(config: Path) -> None:
    assert invoke().exit_code == 2
    assert invoke("nowhere.toml").exit_code == 2
    assert invoke(config, "--limit", "0").exit_code == 2


@pytest.mark.usefixtures("quick_report")
def test_interrupted_run_says_how_to_go_on(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import toy_bench

    real, calls = toy_bench.sample, [0]

    def interrupted(prompts: list[str], seeds: list[int], guidance_weight: float) -> Any:
        calls[0] += 1
        if calls[0] == 3:
            raise KeyboardInterrupt
        return real(prompts, seeds, guidance_weight)

    monkeypatch.setattr(toy_bench, "sample", interrupted)
    result = invoke(config)
    assert result.exit_code == 130
    assert result.stderr.splitlines()[-1] == "interrupted; run the same command to continue"
    assert "Traceback" not in result.stderr
    assert json.loads(invoke(config, "--dry-run", "--json").stdout)["images_done"] == 8
    assert invoke(config).exit_code == 0


@pytest.mark.usefixtures("quick_report")
def test_sheets_of_other_images_are_not_written_over(config: Path, tmp_path: Path) -> None:
    from imagen_bench.bench.run_folder import RunFolder
    from imagen_bench.bench.stages import Stages
    from imagen_bench.config import load_config
    from imagen_bench.errors import ImagenBenchError

    assert invoke(config).exit_code == 0
    folder = RunFolder.open(tmp_path / "runs" / "toy")
    key = sha256_file(folder.path / "sheets" / "private" / "key.csv")
    samples = folder.samples()
    samples["sha256"] = samples["sha256"].str[::-1]
    samples.to_parquet(folder.path / "samples.parquet", index=False)
    with pytest.raises(ImagenBenchError):
        export_sheets(folder, load_config(config), Stages(folder.path))
    assert sha256_file(folder.path / "sheets" / "private" / "key.csv") == key
