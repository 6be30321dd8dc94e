"""Shipped files are found in the wheel's folder first, then in the checkout, and nowhere else."""

from __future__ import annotations

from pathlib import Path

import pytest

from imagen_bench import assets
from imagen_bench.errors import AssetError


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "imagen_bench").mkdir()
    monkeypatch.setattr(assets, "__file__", str(tmp_path / "imagen_bench" / "assets.py"))
    return tmp_path


def make(folder: Path) -> Path:
    folder.mkdir(parents=True)
    return folder


def test_checkout_is_used_when_pyproject_lies_beside(root: Path) -> None:
    folder = make(root / "models" / "tiny")
    (root / "pyproject.toml").touch()
    assert assets.asset("models/tiny") == folder


def test_installed_assets_win_over_checkout(root: Path) -> None:
    make(root / "models" / "tiny")
    installed = make(root / "imagen_bench" / "_assets" / "models" / "tiny")
    (root / "pyproject.toml").touch()
    assert assets.asset("models/tiny") == installed


def test_stray_folder_beside_an_installed_package_is_not_ours(root: Path) -> None:
    make(root / "models" / "tiny")
    with pytest.raises(AssetError, match=r"'models/tiny' is missing"):
        assets.asset("models/tiny")


def test_missing_asset_names_the_nearest(root: Path) -> None:
    make(root / "drawbench" / "emoji-bench")
    (root / "pyproject.toml").touch()
    with pytest.raises(AssetError, match="did you mean 'emoji-bench'"):
        assets.asset("drawbench/emoji-bensh")


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "imagen_bench",
        "models/../pyproject.toml",
        "/etc/passwd",
        "reports",
        "reports/sample",
        "modelsx",
    ],
)
def test_only_shipped_folders_are_assets(name: str) -> None:
    with pytest.raises(AssetError, match="no shipped file"):
        assets.asset(name)


@pytest.mark.parametrize("name", assets.SHIPPED)
def test_every_shipped_folder_is_there(name: str) -> None:
    assert assets.asset(name).is_dir()
