"""`prompts list`, `show`, `categories`, as a table and as JSON; and that `run` takes the same names."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from imagen_bench.assets import asset
from imagen_bench.cli.main import main


@pytest.fixture(autouse=True)
def empty_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("IMAGEN_BENCH_HOME", str(tmp_path / "home"))


def run(*args: str) -> Result:
    return CliRunner().invoke(main, ["prompts", *args])


def test_list_names_the_built_in_set_with_its_size() -> None:
    with (asset("drawbench/emoji-bench") / "prompts.csv").open(encoding="utf-8", newline="") as stream:
        expected = len(list(csv.DictReader(stream)))
    entries = {entry["name"]: entry for entry in json.loads(run("list", "--json").stdout)}
    assert entries["emoji-bench"]["prompts"] == expected
    assert f"{expected} prompts" in run("list").stdout


def test_show_reads_a_users_file_and_filters_it(tmp_path: Path) -> None:
    file = tmp_path / "mine.csv"
    file.write_text("prompt_id,prompt,category\na,a cat,animals\nb,a bus,things\nc,a dog,animals\n", encoding="utf-8")
    assert run("show", str(file), "--category", "animals").stdout == "a\tanimals\ta cat\nc\tanimals\ta dog\n"
    assert run("show", str(file), "--limit", "1").stdout == "a\tanimals\ta cat\n"
    data = json.loads(run("show", str(file), "--limit", "2", "--json").stdout)
    assert data["n"] == 3
    assert [row["prompt"] for row in data["rows"]] == ["a cat", "a bus"]


def test_unknown_category_names_the_nearest(tmp_path: Path) -> None:
    file = tmp_path / "mine.csv"
    file.write_text("prompt_id,prompt,category\na,a cat,animals\n", encoding="utf-8")
    result = run("show", str(file), "--category", "animal")
    assert result.exit_code == 1
    assert "no category 'animal': did you mean 'animals'?" in result.stderr


def test_unknown_set_is_one_line() -> None:
    result = run("show", "emoji-bensh")
    assert result.exit_code == 1
    assert "emoji-bench" in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_list_says_what_is_missing_and_how_to_get_it() -> None:
    entries = {entry["name"]: entry for entry in json.loads(run("list", "--json").stdout)}
    assert set(entries) >= {"drawbench", "emoji-bench", "geneval", "open-drawbench", "partiprompts"}
    assert {name: entries[name]["state"] for name in ("drawbench", "open-drawbench")} == {
        "drawbench": "missing",
        "open-drawbench": "ready",
    }
    assert entries["drawbench"]["prompts"] == 200
    assert entries["drawbench"]["get"] == [
        "imagen-bench prompts pull drawbench",
        "imagen-bench prompts add drawbench FILE",
    ]
    assert entries["open-drawbench"]["get"] == []
    (line,) = [line for line in run("list").stdout.splitlines() if line.startswith("drawbench ")]
    assert "200 prompts in 11 categories  missing: imagen-bench prompts pull drawbench or " in line


def test_show_of_a_missing_set_names_both_commands() -> None:
    result = run("show", "drawbench")
    assert result.exit_code == 1
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    assert "`imagen-bench prompts pull drawbench`" in line
    assert "`imagen-bench prompts add drawbench FILE`" in line


def test_categories_need_no_texts() -> None:
    entries = json.loads(run("categories", "drawbench", "--json").stdout)
    assert [entry["prompts"] for entry in entries] == [25, 10, 19, 20, 20, 10, 10, 20, 7, 38, 21]
    assert all(entry["probes"] for entry in entries)
    assert run("categories", "drawbench").stdout.splitlines()[8].startswith("    7  Rare Words: ")
    assert run("categories", "open-drawbench").stdout.splitlines()[0] == "   25  Colors"


def test_run_takes_the_names_of_prompt_sets(tmp_path: Path) -> None:
    config = tmp_path / "run.toml"
    config.write_text(
        """name = "x"\n[model]\nname = "imagen-emoji"\n[prompts]\nset = "open-drawbench"
[sweep]\nguidance_weights = [1.0]\n""",
        encoding="utf-8",
    )
    dry = ["run", str(config), "--out", str(tmp_path / "out"), "--dry-run", "--json"]
    result = CliRunner().invoke(main, dry)
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout)["prompts"] == 200
    missing = CliRunner().invoke(main, [*dry, "--set", "prompts.set=drawbench"])
    assert missing.exit_code == 1
    assert "imagen-bench prompts pull drawbench" in missing.stderr
    assert len(missing.stderr.splitlines()) == 1
