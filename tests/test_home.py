"""The user's data folder: the variable first, then the platform's usual place."""

from __future__ import annotations

from pathlib import Path

import pytest

from imagen_bench.home import data_home


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("IMAGEN_BENCH_HOME", "XDG_DATA_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))


def test_the_variable_wins_and_may_start_with_a_tilde(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("IMAGEN_BENCH_HOME", "~/bench")
    monkeypatch.setenv("XDG_DATA_HOME", "/elsewhere")
    assert data_home() == tmp_path / "bench"


def test_a_relative_variable_is_made_absolute(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("IMAGEN_BENCH_HOME", "bench")
    assert data_home() == tmp_path / "bench"


@pytest.mark.parametrize(
    ("platform", "variables", "expected"),
    [
        ("linux", {}, ".local/share/imagen-bench"),
        ("linux", {"IMAGEN_BENCH_HOME": ""}, ".local/share/imagen-bench"),
        ("linux", {"XDG_DATA_HOME": "relative"}, ".local/share/imagen-bench"),
        ("darwin", {}, "Library/Application Support/imagen-bench"),
        ("win32", {}, "AppData/Local/imagen-bench"),
    ],
)
def test_the_platform_decides_otherwise(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, platform: str, variables: dict[str, str], expected: str
) -> None:
    monkeypatch.setattr("imagen_bench.home.sys.platform", platform)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert data_home() == tmp_path / expected


@pytest.mark.parametrize(("platform", "variable"), [("linux", "XDG_DATA_HOME"), ("win32", "LOCALAPPDATA")])
def test_the_platforms_own_variable_counts(monkeypatch: pytest.MonkeyPatch, platform: str, variable: str) -> None:
    monkeypatch.setattr("imagen_bench.home.sys.platform", platform)
    monkeypatch.setenv(variable, "/data")
    assert data_home() == Path("/data/imagen-bench")
