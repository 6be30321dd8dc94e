"""`imagen-bench prompts`: which prompt sets there are, what they ask for, and how to fetch the others."""

from __future__ import annotations

import json
from dataclasses import asdict

import click

from imagen_bench.cli.prompts_fetch import add, pull, verify


@click.group("prompts")
def command() -> None:
    """List, show, fetch and verify prompt sets."""


@command.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
def list_sets(as_json: bool) -> None:
    """List the prompt sets: what is here, what is missing, and how to get it."""
    from imagen_bench.data.prompt_store import status_of
    from imagen_bench.data.prompts import built_in_names

    sets = [status_of(name) for name in built_in_names()]
    if as_json:
        click.echo(json.dumps([asdict(found) for found in sets], indent=2, ensure_ascii=False))
        return
    width = max((len(found.name) for found in sets), default=0)
    for found in sets:
        if found.state == "broken":
            words = f"broken: {found.problem}"
        else:
            words = f"{found.version:<8}{found.prompts:>6} prompts in {len(found.categories):>2} categories"
        todo = f": {' or '.join(found.get)}" if found.state == "missing" else ""
        click.echo(f"{found.name:<{width}}  {words}" + ("" if found.state == "broken" else f"  {found.state}{todo}"))


@command.command("show")
@click.argument("name")
@click.option("--category", help="Only prompts of this category.")
@click.option("--limit", type=click.IntRange(min=1), help="Only the first N prompts.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
def show(name: str, category: str | None, limit: int | None, as_json: bool) -> None:
    """Show the prompts of NAME: a prompt set, or a .txt, .csv, .jsonl, .parquet or .tsv file."""
    from imagen_bench.data.prompts import load_prompt_set
    from imagen_bench.errors import InputError
    from imagen_bench.suggest import did_you_mean

    prompts = load_prompt_set(name)
    categories = prompts.categories()
    if category is not None and category not in categories:
        raise InputError(f"{name} has no category {category!r}: {did_you_mean(category, categories)}")
    rows = [row for row in prompts.rows if category in (None, row.category)][:limit]
    if as_json:
        header = {"id": prompts.id, "version": prompts.version, "digest": prompts.digest, "n": len(prompts)}
        click.echo(json.dumps({**header, "rows": [asdict(row) for row in rows]}, indent=2, ensure_ascii=False))
        return
    for row in rows:
        click.echo(f"{row.prompt_id}\t{row.category}\t{row.prompt}")
    click.echo(f"{len(rows)} of {len(prompts)} prompts, digest {prompts.digest[:12]}", err=True)


@command.command("categories")
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
def categories(name: str, as_json: bool) -> None:
    """Show the categories of NAME and what each probes; needs no texts, so the set may be missing."""
    from imagen_bench.data.prompt_store import OUTSIDE_SETS, outside_definition
    from imagen_bench.data.prompts import load_prompt_set

    if name in OUTSIDE_SETS:
        definition = outside_definition(name)
        counts, probes = definition.categories, definition.probes
    else:
        counts, probes = load_prompt_set(name).categories(), {}
    entries = [{"category": key, "prompts": count, "probes": probes.get(key, "")} for key, count in counts.items()]
    if as_json:
        click.echo(json.dumps(entries, indent=2, ensure_ascii=False))
        return
    for entry in entries:
        click.echo(f"{entry['prompts']:>5}  {entry['category']}" + (f": {entry['probes']}" if entry["probes"] else ""))


for _command in (add, pull, verify):
    command.add_command(_command)
