"""`imagen-bench prompts pull`, `add` and `verify`: prompt sets whose texts do not ship with the package."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from imagen_bench.data.prompts import PromptSet

_SHOWN = 10


@click.command("pull")
@click.argument("name")
@click.option("--url", help="Take it from this http(s) address instead, such as a mirror.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a line.")
def pull(name: str, url: str | None, as_json: bool) -> None:
    """Download the prompt set NAME from its publisher, verify every row and keep it."""
    from imagen_bench.data import prompt_store

    _report(name, _with_differences(lambda: prompt_store.pull(name, url)), as_json)


@click.command("add")
@click.argument("name")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a line.")
def add(name: str, file: Path, as_json: bool) -> None:
    """Verify FILE, your own copy of the prompt set NAME, row by row and keep it.

    Any .csv, .tsv, .jsonl or .parquet copy will do: further columns, the order of rows and columns, line ends
    and blanks around a cell do not matter. A copy whose texts differ is refused.
    """
    from imagen_bench.data.prompt_store import add_copy

    _report(name, _with_differences(lambda: add_copy(name, file)), as_json)


@click.command("verify")
@click.argument("name", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
def verify(name: str | None, as_json: bool) -> None:
    """Check the prompts of NAME, or of every set that is here, against what their definitions pin.

    Without NAME, a set that was never fetched is no failure.
    """
    from imagen_bench.data.prompt_store import status_of
    from imagen_bench.data.prompts import built_in_names
    from imagen_bench.errors import InputError

    sets = [status_of(one) for one in ([name] if name is not None else built_in_names())]
    if as_json:
        click.echo(json.dumps([asdict(found) for found in sets], indent=2, ensure_ascii=False))
    else:
        for found in sets:
            words = f"ok, {found.prompts} prompts, digest {(found.digest or '')[:12]}"
            click.echo(f"{found.name}: {words if found.state == 'ready' else found.state}")
    failed = [found for found in sets if found.state == "broken" or (name and found.state == "missing")]
    if len(failed) == 1:
        raise InputError(failed[0].problem)
    if failed:
        raise InputError(
            f"{len(failed)} sets failed ({', '.join(found.name for found in failed)}); verify them by name"
        )


def _with_differences(fetch: Callable[[], PromptSet]) -> PromptSet:
    """Fetch a set; where it differs, list the first rows that do on stderr, above the error itself."""
    from imagen_bench.data.prompt_check import CopyDiffersError

    try:
        return fetch()
    except CopyDiffersError as error:
        for line in error.differences[:_SHOWN]:
            click.echo(line, err=True)
        if len(error.differences) > _SHOWN:
            click.echo(f"... and {len(error.differences) - _SHOWN} more", err=True)
        raise


def _report(name: str, found: PromptSet, as_json: bool) -> None:
    from imagen_bench.data.prompt_store import stored_path

    path = stored_path(name)
    if as_json:
        entry = {"name": found.id, "version": found.version, "prompts": len(found), "digest": found.digest}
        click.echo(json.dumps({**entry, "path": str(path)}, indent=2, ensure_ascii=False))
        return
    counts = f"{len(found)} prompts in {len(found.categories())} categories"
    click.echo(f"{name}: {counts}, every row verified, digest {found.digest[:12]}; kept in {path}")
