"""`imagen-bench cache`: what the cache of features holds, and emptying it."""

from __future__ import annotations

import json

import click


@click.group("cache")
def command() -> None:
    """Show or clear the cache of image features and statistics.

    An entry is found by the content of the images, what is done to them, the extractor's weights and the library
    versions, so nothing in it is ever out of date; clearing it costs time and changes no score.
    """


@command.command("info")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def info(as_json: bool) -> None:
    """Say where the cache is, how much it holds and how much it may hold."""
    from imagen_bench.metrics.feature_store import LIMIT_VARIABLE, FeatureStore

    store = FeatureStore()
    entries = store.entries()
    size = sum(entry.size for entry in entries)
    if as_json:
        found = {"path": str(store.root), "entries": len(entries), "bytes": size, "limit_bytes": store.limit_bytes}
        click.echo(json.dumps(found, indent=2))
        return
    click.echo(f"{store.root}: {len(entries):,} entries, {size / 1e9:.2f} of {store.limit_bytes / 1e9:g} GB")
    click.echo(f"{LIMIT_VARIABLE} sets the limit; what was used longest ago makes room", err=True)


@command.command("clear")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def clear(as_json: bool) -> None:
    """Remove every entry."""
    from imagen_bench.metrics.feature_store import FeatureStore

    store = FeatureStore()
    removed = store.clear()
    click.echo(json.dumps({"path": str(store.root), "removed": removed}) if as_json else f"{removed:,} entries removed")
