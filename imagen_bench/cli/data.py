"""`imagen-bench data`: builds and checks training and reference sets."""

from __future__ import annotations

import json
from pathlib import Path

import click

from imagen_bench.cli.data_coco import coco


@click.group()
def command() -> None:
    """Build and check training and reference sets."""


@command.command()
@click.option(
    "--out",
    required=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder to fill; continued if begun.",
)
@click.option(
    "--tarballs",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of the npm tarballs (default OUT/tarballs).",
)
@click.option("--json", "as_json", is_flag=True, help="Print the manifest as JSON.")
def emoji(out: Path, tarballs: Path | None, as_json: bool) -> None:
    """Fetch six openly licensed emoji sets with npm, check them and rasterise their sprites."""
    from imagen_bench.data.emoji import build_emoji_set

    manifest = build_emoji_set(out, tarballs, lambda line: click.echo(line, err=True))
    if as_json:
        click.echo(json.dumps(manifest, indent=2))
    else:
        click.echo(
            f"{manifest['sprites']} sprites of {manifest['concepts']} concepts in {out}, "
            f"digest {manifest['sprites_digest'][:12]}"
        )


@command.command("emoji-reference")
@click.option("--root", required=True, type=click.Path(file_okay=False, path_type=Path), help="Set of `data emoji`.")
@click.option("--out", required=True, type=click.Path(dir_okay=False, path_type=Path), help="Parquet file to write.")
@click.option("--count", default=1000, show_default=True, type=click.IntRange(min=1), help="Number of pictures.")
@click.option("--seed", default=0, show_default=True, type=click.IntRange(min=0), help="Seed of all choices.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def emoji_reference(root: Path, out: Path, count: int, seed: int, as_json: bool) -> None:
    """Draw the held-out reference set: scenes of concepts that the bundled model was never shown."""
    from imagen_bench.assets import asset
    from imagen_bench.data.emoji_reference import write_reference
    from imagen_bench.data.emoji_world import WorldConfig
    from imagen_bench.files import sha256_file

    write_reference(root, WorldConfig.read(asset("models/imagen-emoji/world.toml")), count, seed, out)
    result = {"out": str(out), "images": count, "sha256": sha256_file(out)}
    click.echo(json.dumps(result) if as_json else f"{count} pictures in {out}, SHA-256 {result['sha256']}")


command.add_command(coco)
