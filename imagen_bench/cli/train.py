"""`imagen-bench train`: trains a stage of Imagen, or the small text encoder or scorer beside it."""

from __future__ import annotations

import json
from pathlib import Path

import click


@click.command()
@click.argument("config", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--resume", is_flag=True, help="Continue from the last checkpoint in the output folder.")
@click.option("--data", type=click.Path(file_okay=False), help="Training set, in place of data.root of the file.")
@click.option("--out", type=click.Path(file_okay=False), help="Output folder, in place of the file's.")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override a key, e.g. recipe.steps=100.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def command(
    config: Path, resume: bool, data: str | None, out: str | None, overrides: tuple[str, ...], as_json: bool
) -> None:
    """Train what CONFIG describes: a stage, a text encoder or a scorer.

    A stage writes stage/ (weights for sampling), state.safetensors (to resume from) and loss.csv.
    """
    from tqdm import tqdm

    from imagen_bench.tiny.jobs import load_train_config, run_training

    more = [f"data.root={json.dumps(data)}"] if data else []
    more += [f"out={json.dumps(out)}"] if out else []
    job = load_train_config(config, (*overrides, *more))
    total = job.recipe.steps if job.recipe else (job.encoder or job.scorer).steps  # type: ignore[union-attr]
    with tqdm(total=total, unit="step", desc=job.task, mininterval=5.0) as bar:

        def on_step(step: int, loss: float) -> None:
            bar.set_postfix(loss=f"{loss:.4f}", refresh=False)
            bar.update(step - bar.n)

        def on_log(row: dict[str, float]) -> None:
            bar.set_postfix({key: f"{value:.4g}" for key, value in row.items()}, refresh=False)
            bar.update(int(row["step"]) - bar.n)

        folder = run_training(job, resume, on_log, on_step)
    click.echo(json.dumps({"out": str(folder)}) if as_json else f"trained: {folder}")
