"""House rules that the linter does not know: short files, short functions, no leftovers."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import imagen_bench

PACKAGE = Path(imagen_bench.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"), key=lambda path: path.as_posix())
MAX_FILE_LINES = 350
MAX_FUNCTION_LINES = 60
LEFTOVER = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")

each_module = pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(PACKAGE).as_posix())


@each_module
def test_file_is_short_and_says_what_it_is_for(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= MAX_FILE_LINES
    assert ast.get_docstring(ast.parse(text)), "no module docstring"


@each_module
def test_functions_are_short(path: Path) -> None:
    functions = [
        node
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    lengths = {node.name: (node.end_lineno or node.lineno) - node.lineno + 1 for node in functions}
    assert {name: length for name, length in lengths.items() if length > MAX_FUNCTION_LINES} == {}


@each_module
def test_no_print_and_no_leftovers(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert LEFTOVER.findall(text) == []
    names = [node.func for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call)]
    assert [name.lineno for name in names if isinstance(name, ast.Name) and name.id == "print"] == []
