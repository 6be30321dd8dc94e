"""Training jobs: from a configuration file to a running training of a stage, a text encoder or a scorer."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Literal

import torch
from pydantic import Field, model_validator

from imagen_bench.assets import asset
from imagen_bench.config import apply_overrides, read_toml, validate
from imagen_bench.data.emoji_batches import contrastive_batches, emoji_batches
from imagen_bench.data.emoji_text import emoji_captions
from imagen_bench.data.emoji_world import WorldConfig
from imagen_bench.data.folder_batches import folder_batches
from imagen_bench.errors import ConfigError
from imagen_bench.imagen.config import Frozen, StageConfig
from imagen_bench.imagen.text import TextEncoder
from imagen_bench.imagen.train import Batches, RecipeConfig, Trainer
from imagen_bench.tiny.scorer import ScorerConfig, train_scorer
from imagen_bench.tiny.text_encoder import TextEncoderConfig, train_text_encoder

Log = Callable[[dict[str, float]], None]


class DataConfig(Frozen):
    """Where training pictures come from.

    Attributes:
        kind: "emoji" composes scenes from the sprites in `root` after the world file `world`; "folder" reads
            the pictures in `root` with the captions file `captions`.
        world: name of a shipped asset or a path.
    """

    kind: Literal["emoji", "folder"] = "emoji"
    root: str
    world: str = "models/imagen-emoji/world.toml"
    captions: str | None = None
    seed: int = 0


class TrainConfig(Frozen):
    """A training job. `task` says which of the sections it needs: stage + recipe, encoder, or scorer."""

    task: Literal["stage", "text-encoder", "scorer"]
    out: str
    data: DataConfig
    threads: int | None = Field(default=None, gt=0)
    device: str = "cpu"
    text_encoder: str | None = None
    stage: StageConfig | None = None
    recipe: RecipeConfig | None = None
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


def run_training(
    config: TrainConfig, resume: bool, log: Log, on_step: Callable[[int, float], None] | None = None
) -> Path:
    """Runs a job and returns the folder of its result.

    Args:
        config: what to train.
        resume: continue a stage from its last checkpoint.
        log: gets a row of numbers now and then (text encoder and scorer; stages write loss.csv).
        on_step: gets step and loss after every step of a stage.
    """
    if config.threads:
        torch.set_num_threads(config.threads)
    out = Path(config.out)
    if config.task == "stage":
        return _train_stage(config, out, resume, on_step)
    if resume:
        raise ConfigError(f"--resume works for stages; a {config.task} trains in minutes: start it again without")
    if config.data.kind != "emoji":
        raise ConfigError(f'task {config.task!r} trains on data.kind = "emoji" only, found {config.data.kind!r}')
    root, world = Path(config.data.root), _world(config)
    if config.task == "text-encoder" and config.encoder is not None:
        train_text_encoder(emoji_captions(root, world, config.data.seed), config.encoder, out, log)
    elif config.scorer is not None:
        pairs = contrastive_batches(root, world, config.scorer.batch_size, config.scorer.image_size, config.data.seed)
        train_scorer(pairs, _named_folder(config.text_encoder), config.scorer, out, log)
    return out


def _train_stage(config: TrainConfig, out: Path, resume: bool, on_step: Callable[[int, float], None] | None) -> Path:
    stage, recipe = config.stage, config.recipe
    if stage is None or recipe is None:
        raise ConfigError("task 'stage' needs the sections stage and recipe")
    state = out / "state.safetensors"
    if state.exists() and not resume:
        raise ConfigError(
            f"{out} holds a training at {state.name} already: continue it with --resume, or give another --out"
        )
    encoder = TextEncoder(_named_folder(config.text_encoder), stage.text_length, device=config.device)
    trainer = Trainer(stage, recipe, _batches(config, recipe, stage), encoder, out, config.device)
    if resume:
        trainer.resume()
    trainer.fit(on_step)
    return out / "stage"


def _batches(config: TrainConfig, recipe: RecipeConfig, stage: StageConfig) -> Batches:
    data = config.data
    if data.kind == "emoji":
        return emoji_batches(Path(data.root), _world(config), recipe.batch_size, stage.image_size, data.seed)
    if data.captions is None:
        raise ConfigError('data.kind = "folder" needs data.captions, a file with one caption an image')
    return folder_batches(Path(data.root), Path(data.captions), recipe.batch_size, stage.image_size, data.seed)


def _world(config: TrainConfig) -> WorldConfig:
    path = Path(config.data.world)
    return WorldConfig.read(path if path.is_file() else asset(config.data.world))


def _named_folder(name: str | None) -> Path:
    """A folder by path, or by the name of a shipped asset."""
    path = Path(name or "")
    return path if path.is_dir() else asset(name or "")
