"""`imagen-bench prompts`: which prompt sets there are, and what they ask for."""

from __future__ import annotations

import json
from dataclasses import asdict

import click


@click.group("prompts")
def command() -> None:
    """List prompt sets and show their prompts."""


@command.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
def list_sets(as_json: bool) -> None:
    """List the built-in prompt sets."""
    from imagen_bench.data.prompts import built_in_names, load_prompt_set

    sets = {name: load_prompt_set(name) for name in built_in_names()}
    if as_json:
        entries = [
            {"name": name, "version": found.version, "prompts": len(found), "digest": found.digest}
            for name, found in sets.items()
        ]
        click.echo(json.dumps(entries, indent=2))
        return
    width = max((len(name) for name in sets), default=0)
    for name, found in sets.items():
        counts = f"{len(found):>6} prompts in {len(found.categories())} categories"
        click.echo(f"{name:<{width}}  {found.version:<8}  {counts}")


@command.command("show")
@click.argument("name")
@click.option("--category", help="Only prompts of this category.")
@click.option("--limit", type=click.IntRange(min=1), help="Only the first N prompts.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
def show(name: str, category: str | None, limit: int | None, as_json: bool) -> None:
    """Show the prompts of NAME: a built-in set, or a .txt, .csv, .jsonl or .parquet file."""
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
