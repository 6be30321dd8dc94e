"""`imagen-bench report`: draw a report again from finished or unfinished run folders."""

from __future__ import annotations

import json
from pathlib import Path

import click


@click.command(name="report")
@click.argument("runs", nargs=-1, required=True, metavar="RUN...", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), help="Folder of the report. Default for one run: RUN/report.")
@click.option("--force", is_flag=True, help="Show scores of different protocols together; the page says so.")
@click.option("--json", "as_json", is_flag=True, help="Print the paths of what was written as JSON.")
def command(runs: tuple[Path, ...], out: Path | None, force: bool, as_json: bool) -> None:
    """Write a page that opens offline, with figures and tables, from the run folders RUN.

    Several runs share one report if their scores were made by the same protocols.
    """
    from imagen_bench.report.page import write_report

    if out is None and len(runs) > 1:
        raise click.UsageError("several runs need --out: where should their common report go?")
    folder = out if out is not None else runs[0] / "report"
    page = write_report(runs, folder, force=force)
    click.echo(json.dumps(_written(page), indent=2) if as_json else str(page))


def _written(page: Path) -> dict[str, object]:
    """Paths of the report's parts."""
    found: dict[str, object] = {"index": str(page)}
    for part in ("figures", "tables"):
        found[part] = sorted(str(path) for path in (page.parent / part).glob("*"))
    scores = page.parent / "scores.csv"
    return found | {"scores": str(scores) if scores.is_file() else None}
