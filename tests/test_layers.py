"""Imports go one way; the listing below is the architecture."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import imagen_bench

PACKAGE = Path(imagen_bench.__file__).parent
BASE = {"assets", "config", "devices", "errors", "files", "home", "images", "registry", "suggest", "workers"}
# What each part may import besides itself.
MODEL = BASE | {"data"}
GENERATE = MODEL | {"imagen", "metrics"}
BENCH = GENERATE | {"generators"}
OUTPUT = BENCH | {"bench"}
ALLOWED = {
    **dict.fromkeys(BASE, BASE),
    "data": BASE,
    "imagen": MODEL,
    "metrics": MODEL,
    "generators": GENERATE,
    "tiny": GENERATE,
    "bench": BENCH,
    "human": OUTPUT,
    "report": OUTPUT,
    "cli": OUTPUT | {"tiny", "human", "report"},
    "__init__": set(),
    "__main__": {"cli"},
}
HEAVY = {"torch", "torchvision", "transformers", "open_clip", "datasets", "pandas", "scipy", "matplotlib"}
MODULES = sorted(PACKAGE.rglob("*.py"), key=lambda path: path.as_posix())


def part_of(path: Path) -> str:
    relative = path.relative_to(PACKAGE)
    return relative.parts[0] if len(relative.parts) > 1 else relative.stem


def imported(path: Path) -> Iterator[str]:
    """Yield the dotted name of every import, those inside functions included."""
    package = [PACKAGE.name, *path.relative_to(PACKAGE).parent.parts]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            anchor = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*anchor, *([node.module] if node.module else [])])
            yield from (f"{module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_imports_go_one_way(path: Path) -> None:
    part = part_of(path)
    assert part in ALLOWED, f"say in ALLOWED what {part} may import"
    ours = {name.split(".")[1] for name in imported(path) if name.startswith("imagen_bench.")}
    assert ours - {part} - ALLOWED[part] - {"__version__"} == set()


def test_layers_hold_no_cycle() -> None:
    placed: set[str] = set(BASE)
    waiting = set(ALLOWED) - placed
    while waiting:
        ready = {part for part in waiting if ALLOWED[part] <= placed}
        assert ready, f"these import each other: {sorted(waiting)}"
        placed |= ready
        waiting -= ready


@pytest.mark.parametrize("name", sorted((BASE | {"__init__", "__main__"}) - {"devices", "images", "workers"}))
def test_base_imports_nothing_heavy(name: str) -> None:
    found = {module.partition(".")[0] for module in imported(PACKAGE / f"{name}.py")}
    assert found & (HEAVY | {"numpy", "PIL"}) == set()


def test_subpackages_do_no_work_at_import() -> None:
    for path in PACKAGE.glob("*/__init__.py"):
        body = ast.parse(path.read_text(encoding="utf-8")).body
        assert ast.get_docstring(ast.Module(body=body, type_ignores=[])), f"{path} has no docstring"
        assert HEAVY.isdisjoint(name.partition(".")[0] for name in imported(path))
