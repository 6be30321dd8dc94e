"""`imagen-bench doctor`: what works on this machine, what is missing, and what mends it."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from imagen_bench.bench.doctor import Check


@click.command(name="doctor")
@click.option("--json", "as_json", is_flag=True, help="Print the checks as JSON.")
def command(as_json: bool) -> None:
    """Check Python, packages, devices, disk, caches, bundled and fetched weights; nothing is downloaded.

    Each line says what was found, what is expected and what to do. Exit code 1 where something is broken that every
    command needs; a note is about what only some of them need.
    """
    from imagen_bench.bench.doctor import run_checks

    checks = run_checks()
    broken = [check.name for check in checks if check.state == "broken"]
    if as_json:
        click.echo(json.dumps({"ok": not broken, "checks": [asdict(check) for check in checks]}, indent=2))
    else:
        width = max(len(check.name) for check in checks)
        click.echo("\n".join(f"{check.state:<6}  {check.name:<{width}}  {_words(check)}" for check in checks))
    if broken:
        click.echo(f"broken: {', '.join(dict.fromkeys(broken))}; mend what the lines above say", err=True)
        raise click.exceptions.Exit(1)


def _words(check: Check) -> str:
    expected = f" (expected {check.expected})" if check.expected and check.state != "ok" else ""
    advice = f": {check.advice}" if check.advice else ""
    return f"{check.found}{expected}{advice}"
