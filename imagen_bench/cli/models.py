"""`imagen-bench models`: which models ship with the package, what their cards say, and what opens models.

A model is a folder with `card.md` (for people) and `config.toml` (for programs). Some hold configurations
alone, without weights.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

WEIGHTS = (".safetensors", ".bin", ".pt")


@click.group("models")
def command() -> None:
    """List the bundled models, show their cards, and list the generators that open models."""


@command.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
def list_models(as_json: bool) -> None:
    """List the models that ship with the package."""
    entries = [_summary(folder) for folder in _model_folders()]
    if as_json:
        click.echo(json.dumps(entries, indent=2, ensure_ascii=False))
        return
    width = max((len(entry["name"]) for entry in entries), default=0)
    for entry in entries:
        size = f"{entry['bytes'] / 1e6:.1f} MB" if entry["weights"] else "no weights"
        click.echo(f"{entry['name']:<{width}}  {size:>10}  {entry['title']}")


@command.command("show")
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="Print the configuration and the list of files as JSON.")
def show(name: str, as_json: bool) -> None:
    """Show the card of NAME: a model that ships with the package, or a model folder."""
    from imagen_bench.config import read_toml

    folder = _find(name)
    if not as_json:
        click.echo((folder / "card.md").read_text(encoding="utf-8").rstrip("\n"))
        return
    files = {path.relative_to(folder).as_posix(): path.stat().st_size for path in _files(folder)}
    details = {**_summary(folder), "config": read_toml(folder / "config.toml"), "files": files}
    # TOML knows dates and times, JSON does not.
    click.echo(json.dumps(details, indent=2, ensure_ascii=False, default=str))


@command.command("generators")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
def list_generators(as_json: bool) -> None:
    """List what can open a model: the built-in generators and those of installed packages."""
    from imagen_bench.generators.base import generators

    entries = []
    for name in generators.names():
        factory = generators.get(name)
        package = factory.__module__.partition(".")[0]
        summary = (factory.__doc__ or "").strip().partition("\n")[0]
        entries.append({"name": name, "package": package, "summary": summary})
    if as_json:
        click.echo(json.dumps(entries, indent=2, ensure_ascii=False))
        return
    widths = [max(len(entry[key]) for entry in entries) for key in ("name", "package")]
    for entry in entries:
        click.echo(f"{entry['name']:<{widths[0]}}  {entry['package']:<{widths[1]}}  {entry['summary']}")


def _model_folders() -> list[Path]:
    from imagen_bench.assets import asset

    return sorted(path.parent for path in asset("models").glob("*/card.md") if _is_model(path.parent))


def _is_model(folder: Path) -> bool:
    return (folder / "card.md").is_file() and (folder / "config.toml").is_file()


def _find(name: str) -> Path:
    """Return the folder of a bundled model or of a path, or raise ModelError."""
    from imagen_bench.errors import ModelError
    from imagen_bench.suggest import did_you_mean

    bundled = {folder.name: folder for folder in _model_folders()}
    if name in bundled:
        return bundled[name]
    if _is_model(Path(name)):
        return Path(name)
    if Path(name).is_dir():
        raise ModelError(f"{name!r} is no model folder: expected card.md and config.toml in it")
    raise ModelError(f"unknown model {name!r}: {did_you_mean(name, bundled)}, or give a model folder")


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _summary(folder: Path) -> dict[str, Any]:
    """Return name, title (the card's first heading), path, size in bytes and whether weights are in a model folder."""
    lines = (folder / "card.md").read_text(encoding="utf-8").splitlines()
    title = next((line.lstrip("# ") for line in lines if line.startswith("#")), folder.name)
    files = _files(folder)
    return {
        "name": folder.name,
        "title": title,
        "path": str(folder),
        "bytes": sum(path.stat().st_size for path in files),
        "weights": any(path.suffix in WEIGHTS for path in files),
    }
