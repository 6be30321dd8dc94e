"""Training jobs: from a configuration file to a running training of a stage, a text encoder or a scorer."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Literal

import torch
from pydantic import Field, model_validator

from imagen_bench.assets import asset
from imagen_bench.config import apply_overrides, read_toml, validate
from imagen_bench.data.emoji_batches import contrastive_batches, emoji_batches
from imagen_bench.data.emoji_text import emoji_captions
from imagen_bench.data.emoji_world import WorldConfig
from imagen_bench.data.picture_batches import held_out_batches, picture_batches, split_rows
from imagen_bench.data.picture_sources import (
    PictureSource,
    dataset_source,
    folder_source,
    parquet_source,
    table_source,
)
from imagen_bench.devices import AUTO, open_device
from imagen_bench.errors import ConfigError
from imagen_bench.imagen.config import Frozen, StageConfig
from imagen_bench.imagen.text import TextEncoder
from imagen_bench.imagen.text_models import encoder_source
from imagen_bench.imagen.train import Batches, Monitoring, Trainer
from imagen_bench.imagen.train_log import tensorboard
from imagen_bench.imagen.train_recipe import RecipeConfig, SamplesConfig, share_of
from imagen_bench.imagen.train_state import STAGE, STATE
from imagen_bench.tiny.model_folder import write_model_config
from imagen_bench.tiny.scorer import ScorerConfig, train_scorer
from imagen_bench.tiny.text_encoder import TextEncoderConfig, train_text_encoder
from imagen_bench.workers import join_workers

Log = Callable[[dict[str, float]], None]
OnStep = Callable[[int, float], None]
VALIDATION_SEED = 7_919
"""Added to the seed of the emoji scenes that are validated on, so that they are others than those trained on."""


class DataConfig(Frozen):
    """Where training pictures come from.

    Attributes:
        kind: "emoji" composes scenes from the sprites in `root` after the world file `world`; "folder" reads the
            pictures below the folder `root`; "csv" those that the .csv or .jsonl file `root` names; "parquet" the rows
            of a .parquet file or a folder of them; "dataset" a dataset of the `datasets` library by folder or hub id.
        world: name of a shipped asset or a path.
        mix: how often each kind of scene is drawn, in place of the world's own shares.
        captions: caption file of a folder; where it is not given, one in the folder or a text file beside each picture.
        split: of a dataset.
        image_column: column of pictures, of parquet files and datasets; found by its usual names if not given.
        caption_column: column of captions, likewise.
        held_out: this many pictures, drawn by `seed`, are validated on and never trained on. (Validation of emoji draws
            other scenes and needs none.)
    """

    kind: Literal["emoji", "folder", "csv", "parquet", "dataset"] = "emoji"
    root: str
    world: str = "models/imagen-emoji/world.toml"
    mix: dict[str, float] | None = None
    captions: str | None = None
    split: str = "train"
    image_column: str | None = None
    caption_column: str | None = None
    held_out: int = Field(default=0, ge=0)
    seed: int = Field(default=0, ge=0)


class TrainConfig(Frozen):
    """A training job. `task` says which of the sections it needs: stage + recipe, encoder, or scorer.

    Attributes:
        threads: of torch; its own choice where None.
        text_encoder: folder or name of a shipped asset, or a hub id of a T5 in the local cache.
        init_from: folder of another training or stage whose weights a stage starts from.
        samples: grids of samples while a stage trains.
        tensorboard: write the log of a stage for TensorBoard as well, to OUT/tensorboard.
    """

    task: Literal["stage", "text-encoder", "scorer"]
    out: str
    data: DataConfig
    threads: int | None = Field(default=None, gt=0)
    device: str = AUTO
    text_encoder: str | None = None
    init_from: str | None = None
    stage: StageConfig | None = None
    recipe: RecipeConfig | None = None
    samples: SamplesConfig | None = None
    tensorboard: bool = False
    encoder: TextEncoderConfig | None = None
    scorer: ScorerConfig | None = None

    @model_validator(mode="after")
    def _has_its_sections(self) -> TrainConfig:
        needed = {
            "stage": ("stage", "recipe", "text_encoder"),
            "text-encoder": ("encoder",),
            "scorer": ("scorer", "text_encoder"),
        }
        missing = [name for name in needed[self.task] if getattr(self, name) is None]
        if missing:
            raise ValueError(f"task {self.task!r} needs {missing[0]!r}")
        return self


def load_train_config(path: Path, overrides: tuple[str, ...] = ()) -> TrainConfig:
    """Reads a training configuration; overrides are dotted key=value."""
    return validate(TrainConfig, apply_overrides(read_toml(path), list(overrides)), str(path))


def training_overrides(data: str | None = None, out: str | None = None, init_from: str | None = None) -> list[str]:
    """Overrides that say where a training reads and writes; what is None stays as the file says."""
    given = {"data.root": data, "out": out, "init_from": init_from}
    return [f"{key}={json.dumps(value)}" for key, value in given.items() if value]


def run_training(
    config: TrainConfig, resume: bool, log: Log, on_step: OnStep | None = None, download: bool = False
) -> Path:
    """Runs a job and returns the folder of its result.

    Args:
        config: what to train.
        resume: continue a stage from its last checkpoint.
        log: gets a row of numbers now and then (text encoder and scorer; stages write loss.csv).
        on_step: gets step and loss after every step of a stage.
        download: allow a dataset's hub id to be fetched.
    """
    if config.threads:
        torch.set_num_threads(config.threads)
    out = Path(config.out)
    if config.task == "stage":
        return _train_stage(config, out, resume, on_step, download)
    if resume:
        raise ConfigError(f"--resume works for stages; a {config.task} trains in minutes: start it again without")
    if not join_workers().alone:
        raise ConfigError(f"task {config.task!r} trains in one process: start it without torchrun")
    if config.data.kind != "emoji":
        raise ConfigError(f'task {config.task!r} trains on data.kind = "emoji" only, found {config.data.kind!r}')
    root, world = Path(config.data.root), _world(config.data)
    if config.task == "text-encoder" and config.encoder is not None:
        train_text_encoder(emoji_captions(root, world, config.data.seed), config.encoder, out, log)
    elif config.scorer is not None:
        pairs = contrastive_batches(root, world, config.scorer.batch_size, config.scorer.image_size, config.data.seed)
        train_scorer(pairs, Path(encoder_source(config.text_encoder or "")), config.scorer, out, log)
    return out


def stage_batches(
    data: DataConfig, batch_size: int, resolution: int, download: bool = False, share: slice = slice(None)
) -> tuple[Batches, Batches | None]:
    """Batches to train on, and to validate on where there are any.

    Args:
        data: where the pictures come from.
        batch_size: pictures a batch.
        resolution: their side in pixels.
        download: allow a dataset's hub id to be fetched.
        share: the rows of each training batch that this worker gets.

    Raises:
        InputError: the data cannot be read, or is less than what is held out.
    """
    if data.kind == "emoji":
        root, world = Path(data.root), _world(data)
        train = emoji_batches(root, world, batch_size, resolution, data.seed, share)
        return train, emoji_batches(root, world, batch_size, resolution, data.seed + VALIDATION_SEED)
    source = _picture_source(data, download)
    rows, held_out = split_rows(len(source), data.held_out, data.seed)
    train = picture_batches(source, batch_size, resolution, data.seed, rows, share)
    return train, held_out_batches(source, batch_size, resolution, held_out) if held_out else None


def _train_stage(config: TrainConfig, out: Path, resume: bool, on_step: OnStep | None, download: bool) -> Path:
    stage, recipe = config.stage, config.recipe
    if stage is None or recipe is None:
        raise ConfigError("task 'stage' needs the sections stage and recipe")
    state = out / STATE
    if state.exists() and not resume:
        raise ConfigError(
            f"{out} holds a training at {state.name} already: continue it with --resume, or give another --out"
        )
    workers = join_workers()
    device = str(open_device(config.device))
    rows = share_of(recipe, workers)
    share = slice(rows.start, rows.stop)
    batches, validation = stage_batches(config.data, recipe.batch_size, stage.image_size, download, share)
    if recipe.validate_every is not None and validation is None:
        raise ConfigError("recipe.validate_every needs pictures to validate on: set data.held_out to their number")
    encoder = TextEncoder(encoder_source(config.text_encoder or ""), stage.text_length, device=device)
    record = {
        "data": config.data.model_dump(mode="json"),
        "text_encoder_sha256": encoder.digest,
        "init_from": config.init_from,
    }
    monitoring = Monitoring(validation, config.samples, record=record)
    trainer = Trainer(stage, recipe, batches, encoder, out, device, monitoring, workers)
    if resume:
        trainer.resume()
    elif config.init_from is not None:
        trainer.start_from(Path(config.init_from))
    if config.tensorboard and workers.is_main:
        trainer.monitoring = replace(monitoring, board=tensorboard(out / "tensorboard", trainer.step))
    trainer.fit(on_step)
    if workers.is_main:
        write_model_config(out, stage, config.text_encoder or "")
    return out / STAGE


def _picture_source(data: DataConfig, download: bool) -> PictureSource:
    root, columns = Path(data.root), (data.image_column, data.caption_column)
    if data.kind == "folder":
        return folder_source(root, None if data.captions is None else Path(data.captions))
    if data.kind == "csv":
        return table_source(root)
    if data.kind == "parquet":
        return parquet_source(root, *columns)
    return dataset_source(data.root, data.split, *columns, download=download)


def _world(data: DataConfig) -> WorldConfig:
    path = Path(data.world)
    world = WorldConfig.read(path if path.is_file() else asset(data.world))
    return world if data.mix is None else world.with_mix(data.mix)
