"""The documents name only commands, files and links that exist, and their examples are valid."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from imagen_bench.cli.main import COMMANDS
from imagen_bench.config import RunConfig, validate

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = [
    "README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    *(f"{d}/README.md" for d in ("drawbench", "models", "reports")),
]


def fenced(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("name", DOCUMENTS)
def test_commands_exist_in_the_table(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    named = set(re.findall(r"imagen-bench (?:--\w+ )?([a-z]+)\b", text))
    assert named <= COMMANDS.keys()


@pytest.mark.parametrize("name", DOCUMENTS)
def test_make_targets_and_links_exist(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE))
    assert set(re.findall(r"^make ([a-z]+)", text, flags=re.MULTILINE)) <= targets
    for link in re.findall(r"\]\((?!http)([^)#]+)\)", text):
        assert ((ROOT / name).parent / link).exists(), link


def test_readme_table_has_every_command() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^\| `imagen-bench ([a-z]+)", text, flags=re.MULTILINE)) == COMMANDS.keys()


def test_readme_configuration_is_valid() -> None:
    (example,) = fenced((ROOT / "README.md").read_text(encoding="utf-8"), "toml")
    assert validate(RunConfig, tomllib.loads(example), "README.md").name == "my-run"


def test_readme_python_example_compiles() -> None:
    (example,) = fenced((ROOT / "README.md").read_text(encoding="utf-8"), "python")
    compile(example, "README.md", "exec")


@pytest.mark.parametrize("folder", ["drawbench", "models", "reports"])
def test_data_folders_say_so_in_line_one(folder: str) -> None:
    assert "data only" in (ROOT / folder / "README.md").read_text(encoding="utf-8").splitlines()[0]
    assert not list((ROOT / folder).rglob("*.py"))
