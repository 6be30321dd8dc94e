"""`imagen-bench drawbench import`: filled rating sheets into a study."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from imagen_bench.human.importing import Imported

_SHOWN_SHEETS = 5


@click.command("import")
@click.argument("study", type=click.Path(path_type=Path))
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--partial", is_flag=True, help="Keep what fits, although other answers are refused.")
@click.option("--latest", is_flag=True, help="Of contradicting answers of one rater keep the later one.")
@click.option("--dry-run", is_flag=True, help="Check the files and write nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")
def command(study: Path, files: tuple[Path, ...], partial: bool, latest: bool, dry_run: bool, as_json: bool) -> None:
    """Read filled rating sheets into STUDY/private/answers.csv.

    FILE is a sheet's CSV (from the page or any spreadsheet program) or JSON, a Label Studio export (CSV or
    JSON), an old MTurk Batch_results.csv, or a zip file of such. With any mistake nothing is written and each
    one is named. The same file twice changes nothing.
    """
    from imagen_bench.errors import InputError
    from imagen_bench.human.importing import import_files

    result = import_files(study, files, partial=partial, latest=latest, dry_run=dry_run)
    for warning in result.warnings:
        click.echo(f"warning: {warning}", err=True)
    for problem in result.problems:
        click.echo(f"refused: {problem}", err=True)
    if result.problem_count > len(result.problems):
        click.echo(f"refused: {result.problem_count - len(result.problems)} more", err=True)
    if as_json:
        click.echo(json.dumps(result.to_json(), indent=2, ensure_ascii=False))
    elif not result.problem_count or partial:
        click.echo(_as_text(result, study))
    if result.problem_count and not (partial and result.counts.accepted):
        what = "1 mistake" if result.problem_count == 1 else f"{result.problem_count} mistakes"
        hint = "mend the files" if partial else "mend the files, or keep the rest with --partial"
        raise InputError(f"{what} in {_count(len(files), 'file')}; nothing was written: {hint}")


def _as_text(result: Imported, study: Path) -> str:
    counts = result.counts
    total = sum(sheet.answered for sheet in result.rated)
    lines = [
        f"read {_count(result.files, 'file')}, {_count(result.rows, 'row')}",
        f"answers: {counts.new} new, {counts.unchanged} unchanged, {counts.completed} with their time added, "
        f"{counts.replaced} replaced; {total} in all from {_count(len(result.raters), 'rater')}",
        _sheets_line(result),
    ]
    where = study / "private" / "answers.csv"
    lines.append(f"written to {where}" if result.written else "nothing written (dry run)")
    return "\n".join(lines)


def _sheets_line(result: Imported) -> str:
    complete = [sheet for sheet in result.rated if sheet.answered == sheet.expected]
    parts = [f"sheets: {len(complete)} complete"]
    open_sheets = [
        f"{sheet.sheet_id} by {sheet.rater}: {sheet.answered} of {sheet.expected}"
        for sheet in result.rated
        if sheet.answered < sheet.expected
    ]
    parts.append(f"{len(open_sheets)} incomplete{_listed(open_sheets)}")
    parts.append(f"{len(result.missing)} without answers{_listed(result.missing)}")
    return ", ".join(parts)


def _listed(names: tuple[str, ...] | list[str]) -> str:
    if not names:
        return ""
    return f" ({', '.join(names[:_SHOWN_SHEETS])}{', ...' if len(names) > _SHOWN_SHEETS else ''})"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
