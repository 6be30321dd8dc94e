"""The group `drawbench`: complete, light to import, and with the manners of the main group."""

from __future__ import annotations

import subprocess
import sys

import pytest
from click.testing import CliRunner, Result

from imagen_bench.cli.drawbench import COMMANDS
from imagen_bench.cli.main import main

HEAVY = {"torch", "numpy", "pandas", "scipy", "matplotlib", "PIL", "pyarrow"}
PROBE = """
import sys
from imagen_bench.cli.main import main
main(sys.argv[1:], prog_name="imagen-bench", standalone_mode=False)
print("LOADED", *{name.partition(".")[0] for name in sys.modules})
"""


def run(*args: str) -> Result:
    return CliRunner().invoke(main, ["drawbench", *args], prog_name="imagen-bench")


@pytest.mark.parametrize("name", COMMANDS)
def test_help_of_each_command_imports_nothing_heavy(name: str) -> None:
    args = [sys.executable, "-c", PROBE, "drawbench", name, "--help"]
    done = subprocess.run(args, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"Usage: imagen-bench drawbench {name} ")
    assert HEAVY.intersection(done.stdout.rpartition("LOADED")[2].split()) == set()


def test_help_lists_every_command_with_what_it_does() -> None:
    lines = run("--help").output.splitlines()
    shown = {line.split()[0]: line.split()[1:] for line in lines[lines.index("Commands:") + 1 :] if line.strip()}
    assert list(shown) == list(COMMANDS)
    assert all(shown.values())


def test_a_misspelt_command_names_the_nearest() -> None:
    result = run("exprot")
    assert result.exit_code == 2
    assert "No such command 'exprot'. Did you mean 'export'?" in result.stderr
