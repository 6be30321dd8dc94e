"""`prompts list` and `prompts show`, as a table and as JSON."""

from __future__ import annotations

import csv
import json
from pathlib import Path

from click.testing import CliRunner, Result

from imagen_bench.assets import asset
from imagen_bench.cli.main import main


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
