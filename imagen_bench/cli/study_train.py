"""The models of a study that trains its own: which are there, which are missing, and how to train them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from imagen_bench.cli.shipped import config_file
from imagen_bench.errors import ConfigError, ModelError

if TYPE_CHECKING:
    from imagen_bench.bench.study_models import Training
    from imagen_bench.bench.variants import Variant
    from imagen_bench.tiny.jobs import TrainConfig


def trainings_to_do(variants: Sequence[Variant]) -> list[Training]:
    """Return the trainings of some variants that are not finished, each once, in an order that works.

    Raises:
        ConfigError: Two variants name one model and train it differently, or a model that is there was trained
            otherwise than the study says.
    """
    found: dict[Path, Training] = {}
    for training in (training for variant in variants for training in variant.trainings):
        if found.setdefault(training.out, training) != training:
            raise ConfigError(
                f"two variants train {training.out} in different ways: `{found[training.out].command}` and "
                f"`{training.command}`; give one of them another model"
            )
    return [training for training in found.values() if not _is_done(training)]


def refuse_untrained(variants: Sequence[Variant]) -> None:
    """Refuse variants whose model is not trained yet; several missing trainings are listed on stderr.

    Raises:
        ModelError: A training is missing; says how to run it.
    """
    missing = [command_of(training) for training in trainings_to_do(variants)]
    if len(missing) == 1:
        raise ModelError(f"a model of this study is not trained yet: add --train, or run `{missing[0]}`")
    if missing:
        click.echo("\n".join(["to train first, in this order:", *missing]), err=True)
        raise ModelError(f"{len(missing)} trainings of this study are missing: add --train, or run the commands above")


def train_missing(variants: Sequence[Variant]) -> None:
    """Run the trainings of some variants that are not finished, one after the other; begun ones are continued."""
    from imagen_bench.cli.train import train_job

    missing = trainings_to_do(variants)
    for number, training in enumerate(missing, start=1):
        click.echo(f"training {number} of {len(missing)}: {training.out}", err=True)
        train_job(_job(training), _is_begun(training), download=False)


def command_of(training: Training) -> str:
    """The command of a training, continued where it has begun."""
    return training.command + (" --resume" if _is_begun(training) else "")


def _job(training: Training) -> TrainConfig:
    from imagen_bench.tiny.jobs import load_train_config, training_overrides

    more = training_overrides(training.data, str(training.out))
    return load_train_config(config_file(Path(training.config)), (*training.overrides, *more))


def _is_begun(training: Training) -> bool:
    from imagen_bench.imagen.train_state import STATE

    return (training.out / STATE).is_file()


def _is_done(training: Training) -> bool:
    from imagen_bench.tiny.model_folder import is_finished, refuse_other_training

    job = _job(training)
    if not is_finished(training.out, job.task):
        return False
    if job.stage is not None and job.recipe is not None:
        refuse_other_training(training.out, job.stage, job.recipe)
    return True
