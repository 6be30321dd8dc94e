"""Models that a study trains for its variants: which training makes each, and where it lies.

A study of how models are trained says so in two places:

    [training]
    config = "imagen-emoji/train/small.toml"   # recipe of every model
    folder = "runs/train"                      # where the models lie

    [variants.mean-pooling.training]
    model = "small-mean-pooling"               # its folder below `folder`
    set = { "stage.unet.pooling" = "mean" }    # where it differs from the recipe

The variant's `model.name` is then FOLDER/MODEL. A variant whose text encoder is trained too names that training in a
table `text_encoder` of the same form.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import Field

from imagen_bench.config import Section, validate
from imagen_bench.errors import ConfigError

TRAINING = "training"
STUDY_FILE = "study.json"
"""In the folder of a study: its name and its variants."""
Scalar = bool | int | float | str
Overrides = dict[str, Scalar | list[Scalar]]


class CommonTraining(Section):
    """The `[training]` table of a study.

    Attributes:
        config: Training configuration, a path or the short name of one that ships.
        folder: Folder below which the models lie.
        data: Training set, in place of the configuration's own.
        set: Overrides of the configuration for every model, as dotted keys.
    """

    config: str = Field(min_length=1)
    folder: str = Field(min_length=1)
    data: str | None = None
    set: Overrides = Field(default={})


class EncoderTraining(Section):
    """The `text_encoder` of a variant's training: its folder, its configuration and where it differs from that."""

    model: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._+-]*$")
    config: str = Field(min_length=1)
    set: Overrides = Field(default={})


class VariantTraining(Section):
    """The `training` table of a variant: its model's folder, where it differs from the recipe, its text encoder."""

    model: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._+-]*$")
    set: Overrides = Field(default={})
    text_encoder: EncoderTraining | None = None


@dataclass(frozen=True)
class Training:
    """One training: configuration, output folder, training set and overrides, as `imagen-bench train` takes them."""

    config: str
    out: Path
    data: str | None
    overrides: tuple[str, ...]

    @property
    def command(self) -> str:
        """The command that runs it, for a shell."""
        words = ["imagen-bench", "train", self.config, "--out", self.out.as_posix()]
        words += ["--data", self.data] if self.data is not None else []
        return shlex.join([*words, *(word for override in self.overrides for word in ("--set", override))])


def read_common(data: Mapping[str, Any], source: str) -> CommonTraining | None:
    """Return a study's `[training]` table; None where it trains nothing.

    Raises:
        ConfigError: The table is wrong.
    """
    return validate(CommonTraining, data[TRAINING], f"{source}: {TRAINING}") if TRAINING in data else None


def trainings_of(common: CommonTraining | None, table: Any, where: str) -> tuple[Training, ...]:
    """Return the trainings of a variant, in order: its text encoder if it has its own, then its model.

    Args:
        common: The study's own table.
        table: The variant's.
        where: The variant, for messages.

    Raises:
        ConfigError: The variant's table is wrong, or the study has none.
    """
    if common is None:
        raise ConfigError(f"{where}.{TRAINING} needs a table [{TRAINING}] of the study: config and folder")
    own = validate(VariantTraining, table, f"{where}.{TRAINING}")
    folder, encoder = Path(common.folder), own.text_encoder
    overrides = {**common.set, **own.set}
    found = []
    if encoder is not None:
        found.append(Training(encoder.config, folder / encoder.model, common.data, _words(encoder.set)))
        overrides["text_encoder"] = found[0].out.as_posix()
    return (*found, Training(common.config, folder / own.model, common.data, _words(overrides)))


def _words(overrides: Mapping[str, Scalar | Sequence[Scalar]]) -> tuple[str, ...]:
    """Overrides as `--set` takes them; JSON's numbers, strings and lists are TOML's too."""
    return tuple(f"{key}={value if isinstance(value, str) else json.dumps(value)}" for key, value in overrides.items())
