"""`compare` and the numbers of `pareto`, from the command line: outputs, gates, refusals and exit codes."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from imagen_bench.cli.main import main


@pytest.fixture
def write_run(monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def]
    monkeypatch.setattr("imagen_bench.bench.sweep_summary.DRAWS", 300)
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "toys"))
    import toy_runs

    return toy_runs.write_run


def invoke(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def test_compare_prints_differences_and_prompts(tmp_path: Path, write_run) -> None:  # type: ignore[no-untyped-def]
    a, b = write_run(tmp_path / "a", 0), write_run(tmp_path / "b", 1, shift=-0.02)
    result = invoke("compare", a, b, "--top", 2)
    assert result.exit_code == 0, result.output
    assert "worse" in result.stdout
    assert result.stdout.startswith(f"A, baseline   {a}\nB, candidate  {b}\n")
    assert "most regressed prompts by clip_score" in result.stdout
    assert "most improved prompts by clip_score, mean over the common weights" in result.stdout
    found = json.loads(invoke("compare", a, b, "--top", 2, "--json").stdout)
    assert len(found["most_regressed"]) == 2
    assert {row["metric"] for row in found["differences"]} == {"clip_score", "fd"}
    assert all(row["low"] <= row["value"] <= row["high"] for row in found["differences"])


def test_compare_writes_a_page_that_needs_nothing_else(tmp_path: Path, write_run) -> None:  # type: ignore[no-untyped-def]
    a, b = write_run(tmp_path / "a", 0), write_run(tmp_path / "b", 1, shift=-0.02)
    result = invoke("compare", a, b, "--out", tmp_path / "page", "--top", 3, "--fail-if", "clip_score > 0")
    assert result.exit_code == 0, result.output
    page = (tmp_path / "page" / "index.html").read_text(encoding="utf-8")
    # Three prompts got worse; with a shift this large hardly any got better.
    assert page.count('src="data:image/jpeg;base64,') >= 6
    assert "http://" not in page
    assert "https://" not in page
    assert "<strong>Passed</strong>: <code>clip_score &gt; 0</code>" in page
    lines = (tmp_path / "page" / "prompts.csv").read_text(encoding="utf-8-sig").splitlines()
    assert lines[0].startswith("prompt_id,prompt,category,difference")
    assert len(lines) == 25
    assert invoke("compare", a, b, "--out", a / "run.json").exit_code == 1


def test_compare_says_which_settings_differ(tmp_path: Path, write_run) -> None:  # type: ignore[no-untyped-def]
    a, b = write_run(tmp_path / "a", 0), write_run(tmp_path / "b", 1)
    for path, steps in ((a, 8), (b, 12)):
        record = json.loads((path / "run.json").read_text())
        record.setdefault("config", {}).setdefault("model", {})["options"] = {"base": {"steps": steps}}
        record["model"]["options"] = {"base": {"steps": steps}, "sr": {"steps": 2 * steps}}
        (path / "run.json").write_text(json.dumps(record))
    result = invoke("compare", a, b, "--out", tmp_path / "page")
    assert "differs       model.options.base.steps: 8 in A, 12 in B\n" in result.stdout
    page = (tmp_path / "page" / "index.html").read_text(encoding="utf-8").replace("\u200b", "")
    rows = re.findall(r'<th scope="row">(model[^<]+)</th><td>(\d+)</td><td>(\d+)</td>', page)
    # The model's own words are left out where the configuration says the same.
    assert rows == [("model.options.base.steps", "8", "12"), ("model.options.sr.steps", "16", "24")]


def test_gates_decide_the_exit_code(tmp_path: Path, write_run) -> None:  # type: ignore[no-untyped-def]
    a, b = write_run(tmp_path / "a", 0), write_run(tmp_path / "b", 1, shift=-0.02)
    failed = invoke("compare", a, b, "--fail-if", "clip_score < -0.01", "--fail-if", "fd > 5")
    assert failed.exit_code == 1
    assert failed.stderr.splitlines() == ["gate failed: clip_score < -0.01"]
    assert "gate fd > 5: passed" in failed.stdout
    assert invoke("compare", b, a, "--fail-if", "clip_score < -0.01").exit_code == 0
    wrong = invoke("compare", a, b, "--fail-if", "clip_score")
    assert wrong.exit_code == 1
    assert wrong.stderr.startswith("error: gate 'clip_score' cannot be read")


def test_other_protocols_need_force_which_prints_what_differs(tmp_path: Path, write_run) -> None:  # type: ignore[no-untyped-def]
    a, b = write_run(tmp_path / "a", 0), write_run(tmp_path / "b", 1, prompts=20, digest="b" * 64)
    refused = invoke("compare", a, b)
    assert refused.exit_code == 1
    assert len(refused.stderr.splitlines()) == 1
    assert "prompts.n: 24 in A, 20 in B" in refused.stderr
    forced = invoke("compare", a, b, "--force", "--out", tmp_path / "page")
    assert forced.exit_code == 0, forced.output
    assert "warning: different protocols: prompts.n: 24 in A, 20 in B" in forced.stderr
    assert "prompts.n: 24 in A, 20 in B" in (tmp_path / "page" / "index.html").read_text(encoding="utf-8")


def test_pareto_speaks_without_a_figure(tmp_path: Path, write_run) -> None:  # type: ignore[no-untyped-def]
    a, b = write_run(tmp_path / "a", 0, name="first"), write_run(tmp_path / "b", 1, name="second", spread=0.5)
    options = ("--at-clip", "0.33", "--reference-point", "0.2,30")
    result = invoke("pareto", a, b, *options)
    assert result.exit_code == 0, result.output
    assert "second against first: FD (toy) differs by" in result.stdout
    assert "reference point CLIP score (toy) 0.2, FD (toy) 30" in result.stdout
    found = json.loads(invoke("pareto", a, b, *options, "--json").stdout)
    assert found["reference_point"] == [0.2, 30.0]
    assert [run["label"] for run in found["runs"]] == ["first", "second"]
    assert found["comparisons"][0]["paired"] is True
    assert invoke("pareto", a, "--reference-point", "0.2").exit_code == 2
