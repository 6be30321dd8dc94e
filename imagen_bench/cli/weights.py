"""`imagen-bench weights`: published weights of feature extractors: list them, fetch them once, check them."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from imagen_bench.metrics.weights_pull import WeightsStatus

_FOLDER = click.option(
    "--weights-dir",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of the files; default: weights/ in IMAGEN_BENCH_HOME.",
)
_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of lines.")


@click.group("weights")
def command() -> None:
    """List, fetch and verify the weights that FID, CLIP score, FD-DINOv2 and CMMD use."""


@command.command("list")
@_FOLDER
@_JSON
def list_weights(weights_dir: Path | None, as_json: bool) -> None:
    """List the weights: what is here, what is missing, and which metrics need them."""
    from imagen_bench.metrics.weights_pull import all_statuses

    found = all_statuses(weights_dir)
    if as_json:
        _print_json(found)
        return
    width = max(len(status.name) for status in found)
    for status in found:
        todo = f": imagen-bench weights pull {status.name}" if status.state == "missing" else ""
        problem = f": {status.problem}" if status.problem else ""
        click.echo(f"{status.name:<{width}}  {status.state}{todo}{problem}")
        click.echo(f"{'':<{width}}  for {status.used_by}; {status.licence}; {status.url}")


@command.command("pull")
@click.argument("name")
@click.option("--url", help="Take it from this http(s) address instead, such as a mirror; the digest stays the same.")
@_FOLDER
@_JSON
def pull(name: str, url: str | None, weights_dir: Path | None, as_json: bool) -> None:
    """Download the weights NAME from their publisher, verify their SHA-256 and keep them."""
    from imagen_bench.bench.progress import progress_bar
    from imagen_bench.metrics import weights_pull
    from imagen_bench.metrics.weights import find_weights

    with progress_bar(name, total=find_weights(name).size, show=True, unit="B") as bar:
        status = weights_pull.pull(name, url, weights_dir, progress=bar.update)
    if as_json:
        _print_json(status)
    else:
        click.echo(_line(status))


@command.command("verify")
@click.argument("name", required=False)
@_FOLDER
@_JSON
def verify(name: str | None, weights_dir: Path | None, as_json: bool) -> None:
    """Check the SHA-256 of NAME, or of all weights that are here.

    Without NAME, weights that were never fetched are no failure.
    """
    from imagen_bench.errors import InputError
    from imagen_bench.metrics.weights_pull import all_statuses, status_of

    found = [status_of(name, weights_dir)] if name is not None else all_statuses(weights_dir)
    if as_json:
        _print_json(found)
    else:
        for status in found:
            click.echo(_line(status))
    failed = [status for status in found if status.state == "broken" or (name and status.state == "missing")]
    if failed:
        first = failed[0]
        missing = f"{first.name} is not here: run `imagen-bench weights pull {first.name}`"
        more = f" (and {len(failed) - 1} more)" if len(failed) > 1 else ""
        raise InputError((first.problem or missing) + more)


def _line(status: WeightsStatus) -> str:
    if status.state != "ready":
        return f"{status.name}: {status.state}"
    how = "the published digest" if status.pinned else "recorded"
    return f"{status.name}: ok, SHA-256 {(status.sha256 or '')[:16]}… ({how}), {status.path}"


def _print_json(found: WeightsStatus | list[WeightsStatus]) -> None:
    value = [asdict(status) for status in found] if isinstance(found, list) else asdict(found)
    click.echo(json.dumps(value, indent=2, ensure_ascii=False))
