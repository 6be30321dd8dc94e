"""docs/imagen.md names only files, functions and settings that exist."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from imagen_bench.imagen.config import UNetConfig

ROOT = Path(__file__).resolve().parents[1]
GUIDE = ROOT / "docs" / "imagen.md"
MODEL = ROOT / "imagen_bench" / "imagen"
pytestmark = pytest.mark.skipif(not GUIDE.exists(), reason="needs the source checkout")


def text() -> str:
    return GUIDE.read_text(encoding="utf-8")


def defined(path: Path) -> set[str]:
    """Names of a module's functions, classes and constants."""
    names: set[str] = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign):
            names |= {target.id for target in node.targets if isinstance(target, ast.Name)}
    return names


def test_named_functions_and_classes_exist() -> None:
    named = re.findall(r"([a-z_]+\.py):(\w+)", text())
    assert len(named) > 25
    assert [f"{file}:{name}" for file, name in named if name not in defined(MODEL / file)] == []


def test_named_files_exist() -> None:
    files = set(re.findall(r"(?<![/\w])([a-z_]+\.py)\b", text()))
    assert [name for name in sorted(files) if not (MODEL / name).is_file()] == []
    paths = re.findall(r"[ `]((?:models|imagen_bench|tests)/[\w./-]+)", text())
    assert len(paths) > 3
    assert [name for name in paths if not (ROOT / name).exists()] == []
    links = re.findall(r"\]\((?!http)([^)#]+)\)", text())
    assert [link for link in links if not (GUIDE.parent / link).exists()] == []


def test_named_settings_are_settings() -> None:
    settings = set(re.findall(r"`(\w+) = ", text()))
    assert settings
    assert sorted(settings - set(UNetConfig.model_fields)) == []
