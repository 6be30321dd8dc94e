"""What a training keeps on disk: its state to resume from, and the record beside the weights that it gives.

`state.safetensors` holds float32 tensors: `network.*`, `ema.*`, `optimiser.<parameter>.<key>` and `log.*` (samples
seen since the last row of the log); step, seconds and the optimiser's kind are its metadata.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from imagen_bench import __version__
from imagen_bench.errors import ModelError
from imagen_bench.files import atomic_path, atomic_write_text, sha256_file
from imagen_bench.imagen.checkpoint import CONFIG, WEIGHTS, read_stage_config
from imagen_bench.imagen.config import StageConfig

STATE, STAGE, RECORD = "state.safetensors", "stage", "training.json"


@dataclass(frozen=True)
class TrainingState:
    """Everything that a training continues from.

    Attributes:
        step: optimiser steps done.
        seconds: spent on them.
        optimiser_kind: as in the recipe.
        network: current weights.
        ema: averaged weights.
        optimiser: state of each parameter, by its place among the parameters.
        log: per-sample values since the last row of the log.
    """

    step: int
    seconds: float
    optimiser_kind: str
    network: dict[str, Tensor]
    ema: dict[str, Tensor]
    optimiser: dict[int, dict[str, Tensor]]
    log: dict[str, Tensor] = field(default_factory=dict)

    def save(self, path: Path) -> None:
        """Writes the state in one step: readers see the old file or the new one."""
        tensors = {f"network.{name}": value for name, value in self.network.items()}
        tensors |= {f"ema.{name}": value for name, value in self.ema.items()}
        for index, state in self.optimiser.items():
            tensors |= {f"optimiser.{index}.{key}": value for key, value in state.items()}
        tensors |= {f"log.{name}": value for name, value in self.log.items()}
        metadata = {"step": str(self.step), "seconds": f"{self.seconds:.3f}", "optimiser": self.optimiser_kind}
        with atomic_path(path) as temporary:
            save_file(
                {name: value.detach().contiguous().cpu() for name, value in tensors.items()},
                temporary,
                metadata=metadata,
            )

    @classmethod
    def read(cls, path: Path) -> TrainingState:
        """Reads a state; one without `log.*` or the optimiser's kind (of AdamW) is an older version's.

        Raises:
            ModelError: the file is missing or broken.
        """
        if not path.is_file():
            raise ModelError(f"{path.parent} holds no {path.name} to resume from: start without --resume")
        try:
            with safe_open(path, framework="pt") as opened:
                metadata = opened.metadata()
            tensors = load_file(path)
            step, seconds = int(metadata["step"]), float(metadata["seconds"])
        except (OSError, SafetensorError, KeyError, TypeError) as error:
            raise ModelError(
                f"{path} is no readable state of a training ({error}): start again in another --out"
            ) from error
        optimiser: dict[int, dict[str, Tensor]] = {}
        for name, value in _part(tensors, "optimiser.").items():
            index, key = name.split(".", 1)
            optimiser.setdefault(int(index), {})[key] = value
        return cls(
            step=step,
            seconds=seconds,
            optimiser_kind=metadata.get("optimiser", "adamw"),
            network=_part(tensors, "network."),
            ema=_part(tensors, "ema."),
            optimiser=optimiser,
            log=_part(tensors, "log."),
        )


def read_initial_weights(folder: Path, stage: StageConfig) -> tuple[dict[str, Tensor], Path]:
    """Weights to start another training from: the averaged ones of a training's folder, or of a stage's.

    Args:
        folder: what `train` wrote (`state.safetensors` gives them in float32), or a stage with config.json and
            model.safetensors.
        stage: the stage that will be trained with them.

    Returns:
        The weights and the file that they come from.

    Raises:
        ModelError: there are none, the file is not what its training.json says, or they predict something else.
    """
    stage_folder = folder / STAGE if (folder / STAGE).is_dir() else folder
    if not (stage_folder / CONFIG).is_file():
        raise ModelError(
            f"{folder} holds nothing to start from: expected the folder of a training ({STATE} and {STAGE}/) or of a "
            f"stage ({CONFIG} and {WEIGHTS})"
        )
    theirs = read_stage_config(stage_folder).diffusion.prediction
    if theirs != stage.diffusion.prediction:
        raise ModelError(
            f"the network of {folder} predicts {theirs}, stage.diffusion.prediction is {stage.diffusion.prediction}: "
            "set it to the same"
        )
    state, weights = folder / STATE, stage_folder / WEIGHTS
    if state.is_file():
        return TrainingState.read(state).ema, state
    check_record(stage_folder)
    try:
        return {name: value.float() for name, value in load_file(weights).items()}, weights
    except (OSError, SafetensorError) as error:
        raise ModelError(f"{weights} cannot be read as safetensors ({error}): restore it") from error


def write_record(stage_folder: Path, record: dict[str, Any]) -> None:
    """Writes training.json beside the weights: how they were trained, and their digest."""
    versions = {"imagen-bench": __version__, "torch": torch.__version__}
    content = record | {"weights_sha256": sha256_file(stage_folder / WEIGHTS), "versions": versions}
    atomic_write_text(stage_folder / RECORD, json.dumps(content, indent=2) + "\n")


def check_record(stage_folder: Path) -> None:
    """Compares the weights of a stage with the digest in its training.json, if it has one.

    Raises:
        ModelError: they differ.
    """
    path = stage_folder / RECORD
    if not path.is_file():
        return
    try:
        expected = json.loads(path.read_text(encoding="utf-8"))["weights_sha256"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(f"{path} is no record of a training: restore it or remove it") from error
    found = sha256_file(stage_folder / WEIGHTS)
    if found != expected:
        raise ModelError(
            f"{stage_folder / WEIGHTS} has SHA-256 {found[:12]}..., its {RECORD} says {expected[:12]}...: the file was "
            "changed or damaged; restore it, or remove the record to use it all the same"
        )


def check_same_meaning(out: Path, stage: StageConfig) -> None:
    """Refuses to resume a training as a stage whose network would mean something else.

    Raises:
        ModelError: names the first setting that differs from the training's stage/config.json.
    """
    if not (out / STAGE / CONFIG).is_file():
        return
    before = read_stage_config(out / STAGE)
    settings = ("image_size", "low_res_size", "diffusion.prediction", "diffusion.schedule", "diffusion.shift")
    for name in settings:
        old, new = (_value(config, name) for config in (before, stage))
        if old != new:
            raise ModelError(
                f"{out} was trained with stage.{name} = {old}, the configuration says {new}: set it back, or start "
                "another training with --init-from"
            )


def _value(stage: StageConfig, name: str) -> Any:
    value: Any = stage
    for part in name.split("."):
        value = getattr(value, part)
    return value


def _part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
