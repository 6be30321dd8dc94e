"""`imagen-bench cache`: what the caches of features and of embedded prompts hold, and emptying them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from imagen_bench.metrics.feature_store import FeatureStore


@click.group("cache")
def command() -> None:
    """Show or clear the caches: of image features and statistics, and of embedded prompts.

    An entry is found by the content of the images or the text, what is done to it, the weights, and for features the
    library versions, so nothing there is ever out of date; clearing costs time and changes no image and no score.
    """


@command.command("info")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def info(as_json: bool) -> None:
    """Say where the caches are, how much they hold and how much each may hold."""
    from imagen_bench.metrics.feature_store import LIMIT_VARIABLE

    features, texts = (_describe(store) for store in _stores())
    if as_json:
        click.echo(json.dumps({**features, "texts": texts}, indent=2))
        return
    for found in (features, texts):
        held, most = found["bytes"] / 1e9, found["limit_bytes"] / 1e9
        click.echo(f"{found['path']}: {found['entries']:,} entries, {held:.2f} of {most:g} GB")
    click.echo(f"{LIMIT_VARIABLE} sets the limit of each; what was used longest ago makes room", err=True)


@command.command("clear")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def clear(as_json: bool) -> None:
    """Remove every entry."""
    features, texts = _stores()
    removed = features.clear() + texts.clear()
    click.echo(
        json.dumps({"path": str(features.root.parent), "removed": removed})
        if as_json
        else f"{removed:,} entries removed"
    )


def _stores() -> tuple[FeatureStore, FeatureStore]:
    """Return the caches of features and of embedded prompts, which lie on disk alike."""
    from imagen_bench.home import text_cache_folder
    from imagen_bench.metrics.feature_store import FeatureStore

    return FeatureStore(), FeatureStore(text_cache_folder())


def _describe(store: FeatureStore) -> dict[str, Any]:
    entries = store.entries()
    size = sum(entry.size for entry in entries)
    return {"path": str(store.root), "entries": len(entries), "bytes": size, "limit_bytes": store.limit_bytes}
