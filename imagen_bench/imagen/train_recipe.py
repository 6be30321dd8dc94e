"""How a stage is trained: the recipe, its learning rate over the steps, and its optimiser."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import torch
from pydantic import Field, model_validator
from torch import nn

from imagen_bench.errors import ConfigError
from imagen_bench.imagen.config import Frozen, StageConfig
from imagen_bench.imagen.loss import Rows
from imagen_bench.imagen.samplers import SamplerKind
from imagen_bench.workers import Workers

OptimiserKind = Literal["adamw", "adafactor"]


class RecipeConfig(Frozen):
    """How a stage is trained.

    Attributes:
        steps: optimiser steps in all. The learning rate warms up over `warmup`, stays, and falls linearly to
            zero over the last `decay` steps. Raising `steps` of a finished training and resuming it extends it:
            the rate goes back up and falls again at the new end.
        batch_size: pictures a step, whatever `accumulate` is.
        accumulate: a batch goes through the network in this many parts, one after the other, to save memory. The
            noise is drawn for the whole batch, so the gradient is the same.
        optimiser: "adamw", or "adafactor" (Shazeer and Stern 2018, arXiv 1804.04235, as in torch.optim), which
            trained the paper's base: its second moments are factored, and its steps are relative to the size of
            the weights, so `learning_rate` means another thing there.
        betas: of AdamW.
        precision: "bf16" runs the networks under autocast to bfloat16; weights, loss and optimiser stay float32.
        ema: decay of the exponential moving average of the weights, the weights that are saved and sampled.
        crop: side of random square crops of the training images (super-resolution), or None for whole images.
        checkpoint_every: steps between checkpoints that training can resume from.
        validate_every: steps between validations on held-out pictures, or None for none.
        validation_batches: batches in a validation.
    """

    steps: int = Field(gt=0)
    batch_size: int = Field(gt=0)
    accumulate: int = Field(default=1, gt=0)
    optimiser: OptimiserKind = "adamw"
    learning_rate: float = Field(gt=0)
    warmup: int = Field(default=200, ge=0)
    decay: int = Field(default=0, ge=0)
    weight_decay: float = Field(default=0.01, ge=0)
    betas: tuple[float, float] = (0.9, 0.99)
    clip: float = Field(default=1.0, gt=0)
    precision: Literal["fp32", "bf16"] = "fp32"
    ema: float = Field(default=0.9999, ge=0, lt=1)
    crop: int | None = Field(default=None, gt=0)
    seed: int = Field(default=0, ge=0)
    log_every: int = Field(default=50, gt=0)
    checkpoint_every: int = Field(default=500, gt=0)
    validate_every: int | None = Field(default=None, gt=0)
    validation_batches: int = Field(default=4, gt=0)

    @model_validator(mode="after")
    def _parts_are_equal(self) -> RecipeConfig:
        if self.batch_size % self.accumulate:
            raise ValueError(f"batch_size {self.batch_size} does not divide into accumulate = {self.accumulate} parts")
        return self


class SamplesConfig(Frozen):
    """Pictures that the averaged weights draw now and then, for a look at the training.

    Attributes:
        every: steps between grids.
        prompts: what to draw; where none are given, the captions of the first held-out (or training) pictures.
            A super-resolution stage enlarges those pictures and always takes their captions.
        count: pictures a grid, where `prompts` are not given.
        guidance_weight: w; 1 is off.
        sampler: rule of sampling.
        steps: evaluations of the network.
        aug_level: noise on the input of a super-resolution stage, at most what it was trained on.
        seed: of the noise, the same in every grid.
    """

    every: int = Field(gt=0)
    prompts: tuple[str, ...] = ()
    count: int = Field(default=8, gt=0)
    guidance_weight: float = Field(default=3.0, ge=0)
    sampler: SamplerKind = "ddim"
    steps: int = Field(default=25, gt=0)
    aug_level: float = Field(default=0.1, ge=0, le=1)
    seed: int = Field(default=0, ge=0)


def check_crop(recipe: RecipeConfig, stage: StageConfig) -> None:
    """Refuses crops that the stage cannot be trained on.

    Raises:
        ConfigError: `crop` is larger than the images, cuts low-resolution pixels, or does not halve as often as the
            network does.
    """
    if recipe.crop is None:
        return
    grid = stage.enlargement
    if recipe.crop > stage.image_size or recipe.crop % grid or recipe.crop % stage.unet.factor:
        raise ConfigError(
            f"recipe.crop is {recipe.crop}: expected at most stage.image_size {stage.image_size}, a multiple of "
            f"{stage.unet.factor} (which the U-Net halves by) and of {grid} (pixels a low-resolution pixel)"
        )


def share_of(recipe: RecipeConfig, workers: Workers) -> Rows:
    """The rows of each batch that a worker's own pictures are.

    Raises:
        ConfigError: the batch does not divide into equal parts for all workers.
    """
    parts = workers.count * recipe.accumulate
    if recipe.batch_size % parts:
        raise ConfigError(
            f"recipe.batch_size {recipe.batch_size} does not divide among {workers.count} workers with accumulate = "
            f"{recipe.accumulate}: expected a multiple of {parts}"
        )
    return Rows(0, recipe.batch_size, recipe.batch_size).parts(workers.count)[workers.rank]


def learning_rate(recipe: RecipeConfig, step: int) -> float:
    """Warm-up, constant, linear decay to zero at the end."""
    warm = min(1.0, (step + 1) / max(recipe.warmup, 1))
    left = min(1.0, (recipe.steps - step) / recipe.decay) if recipe.decay else 1.0
    return recipe.learning_rate * warm * max(left, 0.0)


def make_optimiser(recipe: RecipeConfig, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
    """The optimiser of a recipe; the learning rate is set at every step.

    Raises:
        ConfigError: torch is too old for Adafactor.
    """
    if recipe.optimiser == "adamw":
        return torch.optim.AdamW(
            parameters, lr=recipe.learning_rate, betas=recipe.betas, weight_decay=recipe.weight_decay
        )
    adafactor = getattr(torch.optim, "Adafactor", None)
    if adafactor is None:
        raise ConfigError(
            f'torch {torch.__version__} has no Adafactor: update torch to 2.5, or set optimiser = "adamw"'
        )
    optimiser: torch.optim.Optimizer = adafactor(parameters, lr=recipe.learning_rate, weight_decay=recipe.weight_decay)
    return optimiser
