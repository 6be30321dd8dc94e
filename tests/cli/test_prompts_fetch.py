"""`prompts add`, `pull` and `verify`: what is printed where, and the exit status."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from imagen_bench.cli.main import main
from imagen_bench.data import prompt_store
from imagen_bench.data.prompt_store import stored_path
from imagen_bench.errors import InputError

SHEET = """Prompts,Category,Challenge
A cat's meow.,Zoo,Sound
"Two öxen, one red.",Zoo,Colour
\"""Hello"", in oil.",Art,
A collection of nail is here.,Art,Style
An etching of rain.,Art,Style
"""

pytestmark = pytest.mark.usefixtures("fetched_set")


def run(*args: str) -> Result:
    return CliRunner().invoke(main, ["prompts", *args])


@pytest.fixture
def sheet(tmp_path: Path) -> Path:
    path = tmp_path / "sheet.csv"
    path.write_text(SHEET, encoding="utf-8")
    return path


def test_add_says_what_was_verified_and_where_it_is_kept(sheet: Path) -> None:
    result = run("add", "toy", str(sheet))
    assert result.exit_code == 0
    assert result.stdout.startswith("toy: 5 prompts in 2 categories, every row verified, digest ")
    assert str(stored_path("toy")) in result.stdout
    entry = json.loads(run("add", "toy", str(sheet), "--json").stdout)
    assert (entry["name"], entry["prompts"], entry["path"]) == ("toy", 5, str(stored_path("toy")))
    assert run("show", "toy", "--category", "Art", "--limit", "1").stdout == 'art-1\tArt\t"Hello", in oil.\n'


def test_a_false_copy_lists_its_rows_and_ends_in_one_error(sheet: Path) -> None:
    sheet.write_text(SHEET.replace("rain", "snow").replace("cat's", "cat’s"), encoding="utf-8")
    result = run("add", "toy", str(sheet))
    assert result.exit_code == 1
    assert result.stdout == ""
    lines = result.stderr.splitlines()
    assert lines[:2] == [
        "row 1 (Zoo, zoo-1) is changed in line 2: curly quotes or apostrophes",
        "row 5 (Art, art-3) is changed in line 6: found 'An etching of snow.' (Art)",
    ]
    assert lines[2].startswith(f"error: {sheet} is not toy: 3 of 5 rows agree (2 changed; ")
    assert len(lines) == 3


def test_at_most_ten_rows_are_listed(sheet: Path) -> None:
    sheet.write_text(SHEET + "".join(f"Noise {n}.,Zoo,\n" for n in range(14)), encoding="utf-8")
    lines = run("add", "toy", str(sheet)).stderr.splitlines()
    assert len(lines) == 12
    assert lines[0] == "line 7 is extra: 'Noise 0.' (Zoo) is no row of the set"
    assert lines[10] == "... and 4 more"


def test_pull_downloads_from_the_publisher_or_from_another_address(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def download(url: str, advice: str) -> bytes:
        asked.append(url)
        return SHEET.encode("utf-8")

    monkeypatch.setattr(prompt_store, "download", download)
    assert run("pull", "toy").stdout.startswith("toy: 5 prompts")
    assert json.loads(run("pull", "toy", "--url", "https://mirror.invalid/x", "--json").stdout)["prompts"] == 5
    assert asked == ["https://toy.invalid/toy", "https://mirror.invalid/x"]


def test_a_failed_download_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def download(url: str, advice: str) -> bytes:
        raise InputError(f"cannot download {url}: no network, {advice}")

    monkeypatch.setattr(prompt_store, "download", download)
    result = run("pull", "toy")
    assert result.exit_code == 1
    (line,) = result.stderr.splitlines()
    assert line.endswith("or read a copy of yours with `imagen-bench prompts add toy FILE`")


def test_verify_passes_what_is_here_and_fails_what_is_broken(sheet: Path) -> None:
    result = run("verify")
    assert result.exit_code == 0
    assert result.stdout.splitlines() == ["ours: ok, 0 prompts, digest 000000000000", "toy: missing"]
    assert run("verify", "toy").exit_code == 1
    run("add", "toy", str(sheet))
    assert run("verify", "toy").stdout.startswith("toy: ok, 5 prompts, digest ")
    path = stored_path("toy")
    path.write_text(path.read_text(encoding="utf-8").replace("rain", "snow"), encoding="utf-8")
    broken = run("verify", "--json")
    assert broken.exit_code == 1
    assert {entry["name"]: entry["state"] for entry in json.loads(broken.stdout)} == {"ours": "ready", "toy": "broken"}
    (line,) = broken.stderr.splitlines()
    assert "row 5 (Art, art-3) is changed" in line
    assert "toy   broken: " in run("list").stdout


def test_an_unknown_name_is_one_line_and_a_missing_one_is_usage(sheet: Path) -> None:
    for args in (("verify", "toi"), ("pull", "toi"), ("add", "toi", str(sheet)), ("categories", "toi")):
        result = run(*args)
        assert result.exit_code == 1
        assert "did you mean 'toy'?" in result.stderr
        assert len(result.stderr.splitlines()) == 1
    assert run("add", "toy").exit_code == 2
