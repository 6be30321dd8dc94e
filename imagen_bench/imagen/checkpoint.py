"""Stages on disk: a folder with config.json and model.safetensors, loaded strictly."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from imagen_bench.errors import ModelError
from imagen_bench.files import atomic_path, atomic_write_text
from imagen_bench.imagen.config import StageConfig
from imagen_bench.imagen.efficient_unet import build_unet

WEIGHTS, CONFIG = "model.safetensors", "config.json"


def save_stage(folder: Path, stage: StageConfig, weights: dict[str, Tensor], half: bool = True) -> None:
    """Writes a stage; weights in float16 by default (sampling runs in float32 all the same)."""
    atomic_write_text(folder / CONFIG, json.dumps(stage.model_dump(mode="json"), indent=2) + "\n")
    tensors = {name: (value.half() if half else value).contiguous().cpu() for name, value in weights.items()}
    with atomic_path(folder / WEIGHTS) as path:
        save_file(tensors, path, metadata={"format": "pt", "stage": stage.name})


def load_stage(folder: Path, device: torch.device | str = "cpu") -> tuple[StageConfig, nn.Module]:
    """Reads a stage for sampling: float32, evaluation mode.

    Raises:
        ModelError: a file is missing or broken, or the weights do not fit the configuration; names what
        differs.
    """
    stage = read_stage_config(folder)
    path = folder / WEIGHTS
    try:
        weights = load_file(path)
    except (OSError, SafetensorError) as error:
        raise ModelError(
            f"{path} cannot be read as safetensors ({error}): restore it or train the stage again"
        ) from error
    network = build_unet(stage.unet)
    check_weights(network, weights, str(path))
    network.load_state_dict({name: value.float() for name, value in weights.items()})
    return stage, network.eval().requires_grad_(False).to(device)


def read_stage_config(folder: Path) -> StageConfig:
    """Reads config.json of a stage's folder."""
    path = folder / CONFIG
    try:
        return StageConfig.model_validate_json(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ModelError(f"{folder} holds no stage: expected {CONFIG} and {WEIGHTS} in it") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ModelError(f"{path}: {where}: {first['msg']}") from error


def check_weights(network: nn.Module, weights: dict[str, Tensor], source: str) -> None:
    """Compares names and shapes and names the first difference of each sort."""
    expected = network.state_dict()
    faults = []
    missing, extra = sorted(set(expected) - set(weights)), sorted(set(weights) - set(expected))
    wrong = [name for name in expected if name in weights and weights[name].shape != expected[name].shape]
    if missing:
        faults.append(f"{len(missing)} missing, first {missing[0]}")
    if extra:
        faults.append(f"{len(extra)} unknown, first {extra[0]}")
    if wrong:
        name = wrong[0]
        faults.append(
            f"{len(wrong)} of another shape, first {name} "
            f"{tuple(weights[name].shape)} for {tuple(expected[name].shape)}"
        )
    if faults:
        raise ModelError(f"{source} does not fit its configuration: {'; '.join(faults)}")
