"""The wheel holds exactly the tracked files of package and shipped data, and works when unpacked."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from imagen_bench.assets import SHIPPED

ROOT = Path(__file__).resolve().parents[1]
pytestmark = pytest.mark.skipif(not (ROOT / ".git").exists(), reason="needs the git checkout")


def git_files(*options: str) -> list[str]:
    command = ["git", "-c", f"safe.directory={ROOT}", "ls-files", "-z", *options]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return [name for name in done.stdout.split("\0") if name and (ROOT / name).is_file()]


def in_wheel(name: str) -> str | None:
    """Return where a file of the checkout lies in the wheel, or None if it is not shipped."""
    if name.startswith("imagen_bench/"):
        return name
    if any(name.startswith(f"{folder}/") for folder in SHIPPED):
        return f"imagen_bench/_assets/{name}"
    return None


@pytest.fixture(scope="module")
def tracked() -> list[str]:
    # A file that is new and not ignored counts: it will be tracked with the next commit.
    return git_files("--cached", "--others", "--exclude-standard")


@pytest.fixture(scope="module")
def wheel(tracked: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    source = tmp_path_factory.mktemp("source")
    for name in tracked:
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, source / name)
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", "dist"]
    done = subprocess.run(command, cwd=source, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return next((source / "dist").glob("imagen_bench-*-py3-none-any.whl"))


def test_wheel_holds_exactly_the_tracked_files(wheel: Path, tracked: list[str]) -> None:
    with zipfile.ZipFile(wheel) as archive:
        found = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert found == {place for name in tracked if (place := in_wheel(name))}


def test_wheel_carries_licence_and_notice(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = {name.partition(".dist-info/")[2] for name in archive.namelist()}
    assert {"licenses/LICENSE", "licenses/NOTICE", "entry_points.txt"} <= names


def test_no_ignored_file_lies_where_the_wheel_would_take_it() -> None:
    assert git_files("--others", "--ignored", "--exclude-standard", "--", *SHIPPED) == []


def test_unpacked_wheel_finds_its_own_assets(wheel: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path)
    code = f"from imagen_bench.assets import asset\nfor name in {SHIPPED}: print(asset(name).as_posix())"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [(tmp_path / "imagen_bench/_assets" / name).as_posix() for name in SHIPPED]
