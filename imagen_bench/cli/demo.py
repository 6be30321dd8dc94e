"""`imagen-bench demo`: the whole benchmark on the bundled model, offline and on a CPU."""

from __future__ import annotations

from pathlib import Path

import click

from imagen_bench.cli.interrupt import one_line_on_interrupt


@click.command(name="demo")
@click.option("--out", type=click.Path(path_type=Path), help="Run folder. Default: runs/<name of the demo's config>.")
@click.option("--quick", is_flag=True, help="Fewer prompts, weights and sampler steps: a first look in a short time.")
@click.option("--dry-run", is_flag=True, help="Say what would be done; open no model, write nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def command(out: Path | None, quick: bool, dry_run: bool, as_json: bool) -> None:
    """Run everything on the small Imagen that ships with the package.

    A guidance sweep with its scores, Pareto plot, gallery, blind rating sheets and report. Needs no network
    and no GPU. The same command continues an interrupted demo.
    """
    from imagen_bench.assets import asset
    from imagen_bench.cli.run import execute
    from imagen_bench.config import load_config

    with one_line_on_interrupt():
        config = load_config(asset(f"models/imagen-emoji/{'demo-quick' if quick else 'demo'}.toml"))
        execute(config, out, limit=None, dry_run=dry_run, as_json=as_json)
