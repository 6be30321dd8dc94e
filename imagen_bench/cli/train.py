"""`imagen-bench train`: trains a stage of Imagen, or the small text encoder or scorer beside it."""

from __future__ import annotations

import json
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import click

from imagen_bench.cli.interrupt import one_line_on_interrupt
from imagen_bench.cli.shipped import config_file
from imagen_bench.workers import join_workers

if TYPE_CHECKING:
    from imagen_bench.tiny.jobs import TrainConfig


@click.command()
@click.argument("config", type=click.Path(path_type=Path))
@click.option("--resume", is_flag=True, help="Continue from the last checkpoint in the output folder.")
@click.option(
    "--init-from",
    type=click.Path(file_okay=False),
    metavar="FOLDER",
    help="Start from the weights of another training or stage; its steps do not count.",
)
@click.option(
    "--data", metavar="DATA", help="Training set (folder, file or dataset), in place of the file's data.root."
)
@click.option("--out", type=click.Path(file_okay=False), help="Output folder, in place of the file's.")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override a key, e.g. recipe.steps=100.")
@click.option("--download", is_flag=True, help="Allow a dataset to be fetched from the Hugging Face hub.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def command(
    config: Path, resume: bool, init_from: str | None, data: str | None, out: str | None,
    overrides: tuple[str, ...], download: bool, as_json: bool,
) -> None:  # fmt: skip
    """Train what CONFIG describes: a stage, a text encoder or a scorer; a stage also on many GPUs, under torchrun.

    CONFIG may be one that ships, such as imagen-emoji/train/small.toml.

    A stage writes stage/ (weights for sampling), state.safetensors (to resume from), loss.csv, and as the configuration
    asks validation.csv and samples/. The folder of a finished base stage is a model: --model FOLDER names it.

    A finished stage goes on with --resume and a larger recipe.steps: the learning rate is back at its height, and
    falls again over the last recipe.decay steps.
    """
    if resume and init_from:
        raise click.UsageError("--resume continues a training, --init-from starts another one: give one of them")
    from imagen_bench.tiny.jobs import load_train_config, training_overrides

    job = load_train_config(config_file(config), (*overrides, *training_overrides(data, out, init_from)))
    with one_line_on_interrupt("run the same command with --resume to continue"):
        folder = train_job(job, resume, download)
    if join_workers().is_main:
        click.echo(json.dumps({"out": str(folder)}) if as_json else f"trained: {folder}")


def train_job(job: TrainConfig, resume: bool, download: bool) -> Path:
    """Run a training with a progress bar and return the folder of its result."""
    from tqdm import tqdm

    from imagen_bench.bench.lock import locked
    from imagen_bench.tiny.jobs import run_training

    total = job.recipe.steps if job.recipe else (job.encoder or job.scorer).steps  # type: ignore[union-attr]
    main = join_workers().is_main
    with tqdm(total=total, unit="step", desc=job.task, mininterval=5.0, disable=not main) as bar:

        def on_step(step: int, loss: float) -> None:
            if not bar.n:
                bar.n = bar.initial = step - 1  # a resumed training starts here
            bar.set_postfix(loss=f"{loss:.4f}", refresh=False)
            bar.update(step - bar.n)

        def on_log(row: dict[str, float]) -> None:
            bar.set_postfix({key: f"{value:.4g}" for key, value in row.items()}, refresh=False)
            bar.update(int(row["step"]) - bar.n)

        with locked(Path(job.out)) if main and job.task == "stage" else nullcontext():
            return run_training(job, resume, on_log, on_step, download)
