"""The command table: light to import, complete, and errors in one line with the right exit code."""

from __future__ import annotations

import subprocess
import sys

import click
import pytest
from click.testing import CliRunner, Result

from imagen_bench.cli import main as main_module
from imagen_bench.cli.main import COMMANDS, main
from imagen_bench.errors import ImagenBenchError, InputError

HEAVY = {
    "torch",
    "numpy",
    "pandas",
    "scipy",
    "transformers",
    "open_clip",
    "datasets",
    "matplotlib",
    "PIL",
    "pyarrow",
}
PROBE = """
import sys
from imagen_bench.cli.main import main
main(sys.argv[1:], prog_name="imagen-bench", standalone_mode=False)
print("LOADED", *{name.partition(".")[0] for name in sys.modules})
"""


def run(*args: str) -> Result:
    return CliRunner().invoke(main, list(args), prog_name="imagen-bench")


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> list[Exception]:
    """A command `demo` that raises what the list holds."""
    errors: list[Exception] = []

    @click.command("demo")
    def command() -> None:
        raise errors[0]

    monkeypatch.setattr(main_module, "failing_command", command, raising=False)
    monkeypatch.setitem(COMMANDS, "demo", "imagen_bench.cli.main:failing_command")
    return errors


def test_every_command_keeps_freed_memory(failing: list[Exception], monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    monkeypatch.setattr(main_module, "keep_freed_memory", lambda: calls.append("kept"))
    failing.append(InputError("after that"))
    assert "after that" in run("demo").output
    assert calls == ["kept"]


@pytest.mark.parametrize("args", [["--help"], ["--version"], *([name, "--help"] for name in COMMANDS)], ids=" ".join)
def test_help_imports_nothing_heavy(args: list[str]) -> None:
    done = subprocess.run([sys.executable, "-c", PROBE, *args], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(("Usage: ", "imagen-bench, version ")), done.stderr
    loaded = done.stdout.rpartition("LOADED")[2].split()
    assert HEAVY.intersection(loaded) == set()


def test_help_lists_every_command_with_what_it_does() -> None:
    lines = run("--help").output.splitlines()
    shown = {line.split()[0]: line.split()[1:] for line in lines[lines.index("Commands:") + 1 :] if line.strip()}
    assert shown.keys() == COMMANDS.keys()
    assert all(shown.values())


def test_python_dash_m_is_the_same_command() -> None:
    done = subprocess.run([sys.executable, "-m", "imagen_bench", "--help"], capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert done.stdout.startswith("Usage: imagen-bench ")


def test_unknown_command_is_wrong_usage_and_names_the_nearest() -> None:
    result = run("prompt")
    assert result.exit_code == 2
    assert "Did you mean 'prompts'?" in result.stderr


def test_no_arguments_show_the_help() -> None:
    assert "Commands:" in run().output


def test_refused_input_is_one_line_on_stderr_and_status_1(failing: list[Exception]) -> None:
    failing.append(InputError("found 1 image,\nexpected 2"))
    result = run("demo")
    assert (result.exit_code, result.stdout, result.stderr) == (1, "", "error: found 1 image, expected 2\n")


def test_system_error_is_told_without_a_traceback(failing: list[Exception]) -> None:
    failing.append(PermissionError(13, "Permission denied", "/x"))
    result = run("demo")
    assert result.exit_code == 1
    assert (
        result.stderr
        == "error: PermissionError: [Errno 13] Permission denied: '/x'; give a folder that you may write to as --out\n"
    )


def test_unforeseen_error_says_how_to_see_where(failing: list[Exception]) -> None:
    failing.append(KeyError("x"))
    result = run("demo")
    assert result.exit_code == 1
    assert result.stderr == "error: unexpected KeyError: 'x'; run `imagen-bench --debug ...` to see where\n"


def test_debug_lets_the_traceback_through(failing: list[Exception]) -> None:
    failing.append(ImagenBenchError("x"))
    result = run("--debug", "demo")
    assert result.exit_code == 1
    assert result.exception is failing[0]


def test_wrong_option_is_status_2(failing: list[Exception]) -> None:
    assert run("demo", "--no-such-option").exit_code == 2


def test_closed_pipe_is_left_to_click(failing: list[Exception]) -> None:
    failing.append(BrokenPipeError(32, "Broken pipe"))
    result = run("demo")
    assert (result.exit_code, result.stderr) == (1, "")
