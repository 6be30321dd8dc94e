"""A training's folder as a model: the config.toml that a finished base stage gets, and whether it is what was asked.

With it, `imagen-bench generate --model FOLDER` draws with the stage and the text encoder that it was trained with.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from imagen_bench.assets import asset
from imagen_bench.errors import AssetError, ModelError
from imagen_bench.files import atomic_write_text
from imagen_bench.imagen.checkpoint import read_stage_config
from imagen_bench.imagen.config import StageConfig
from imagen_bench.imagen.train_recipe import RecipeConfig
from imagen_bench.imagen.train_state import RECORD, STAGE

MODEL_FILE = "config.toml"


def write_model_config(out: Path, stage: StageConfig, text_encoder: str) -> None:
    """Writes OUT/config.toml, which makes the folder of a training a model of one stage.

    Nothing is written for a stage that no model can begin with: one that enlarges, or has another name than "base".

    Args:
        out: folder of the training.
        stage: what was trained.
        text_encoder: a folder, which is named relative to `out`; the name of one that ships; or a hub id.
    """
    if stage.low_res_size is not None or stage.name != "base":
        return
    lines = [
        "# A trained base stage as a model: imagen-bench generate --model FOLDER",
        "[model]",
        f"text_encoder = {json.dumps(_encoder_name(out, text_encoder))}",
        f"base = {json.dumps(STAGE)}",
        f"text_length = {stage.text_length}",
    ]
    atomic_write_text(out / MODEL_FILE, "\n".join(lines) + "\n")


def _encoder_name(out: Path, text_encoder: str) -> str:
    local = Path(text_encoder)
    if not local.is_dir() or local.resolve() == _shipped(text_encoder):
        return text_encoder
    return Path(os.path.relpath(local.resolve(), out.resolve())).as_posix()


def _shipped(name: str) -> Path | None:
    try:
        return asset(name).resolve()
    except AssetError:
        return None


def is_finished(out: Path, task: str) -> bool:
    """Whether a training came to its end: a stage to the last step of its recipe, another task to its record.

    Args:
        out: folder of the training.
        task: "stage", "text-encoder" or "scorer".
    """
    if task != "stage":
        return (out / RECORD).is_file()
    if not (out / MODEL_FILE).is_file():
        return False
    record = _record(out)
    return int(record["step"]) >= int(record["recipe"]["steps"])


def refuse_other_training(out: Path, stage: StageConfig, recipe: RecipeConfig) -> None:
    """Refuses a trained stage that is not what a configuration would train.

    Raises:
        ModelError: names the first setting of stage or recipe that differs.
    """
    before = {"stage": read_stage_config(out / STAGE).model_dump(mode="json"), "recipe": _record(out)["recipe"]}
    asked = {"stage": stage.model_dump(mode="json"), "recipe": recipe.model_dump(mode="json")}
    differing = _first_difference(before, asked)
    if differing is not None:
        key, old, new = differing
        raise ModelError(
            f"{out} was trained with {key} = {old}, asked was {new}: train it again in another folder, remove it, or "
            "set the key as it was"
        )


def _first_difference(before: Any, asked: Any, key: str = "") -> tuple[str, Any, Any] | None:
    if not (isinstance(before, dict) and isinstance(asked, dict)):
        return None if before == asked else (key, before, asked)
    inner = (
        _first_difference(before.get(name), value, f"{key}.{name}" if key else name) for name, value in asked.items()
    )
    return next((found for found in inner if found is not None), None)


def _record(out: Path) -> dict[str, Any]:
    path = out / STAGE / RECORD
    try:
        record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        int(record["step"]), int(record["recipe"]["steps"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(f"{path} is no record of a training: train {out} again") from error
    return record
