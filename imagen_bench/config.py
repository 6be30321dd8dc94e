"""Configuration: TOML read into frozen models that refuse what they do not know.

`load_config` reads a benchmark configuration. `read_toml`, `apply_overrides` and `validate` are its steps,
usable with any other pydantic model (a training configuration, a model's own `config.toml`).
"""

from __future__ import annotations

import copy
import json
import tomllib
import types
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Self, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from imagen_bench.errors import ConfigError
from imagen_bench.suggest import did_you_mean

ModelT = TypeVar("ModelT", bound=BaseModel)

# Strict, since pydantic would otherwise read `true` and "3" as numbers.
Count = Annotated[int, Field(strict=True, ge=1)]
Seed = Annotated[int, Field(strict=True, ge=0, lt=2**63)]
Weight = Annotated[float, Field(strict=True, ge=0, allow_inf_nan=False)]
_MAX_REPORTED = 3
SWEEP_KEYS = ("guidance_weights", "preset")
"""The two ways to say a sweep's weights: one takes the other's place."""

GUIDANCE_WEIGHTS = {
    "imagen-base": (1, 1.25, 1.5, 1.75, 2, 3, 4, 5, 6, 7, 8, 9, 10),
    "imagen-sr": (1, 3, 5, 7, 8, 10, 12, 15, 18),
}
"""Lists of Imagen's own sweeps (Saharia et al. 2022): base stage, figures A.8 and A.13; 64 to 256 pixels, A.11."""


class Section(BaseModel):
    """Base of every configuration table: frozen, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class ModelSection(Section):
    """What to benchmark: a model's name, and the generator that opens it with its own options."""

    name: str = Field(min_length=1)
    generator: str = "bundled"
    options: dict[str, Any] = {}


class PromptsSection(Section):
    """Which prompts, how many images of each, and optionally only the first `limit` prompts."""

    set: str = Field(min_length=1)
    samples_per_prompt: Count = 1
    limit: Count | None = None


class SweepSection(Section):
    """Guidance weights w to generate at, in this order; in Imagen's convention w = 1 is no guidance.

    Attributes:
        guidance_weights: The list; or
        preset: the name of one of `GUIDANCE_WEIGHTS`, which is read as its list and not kept.
    """

    guidance_weights: tuple[Weight, ...] = Field(min_length=1)
    preset: str | None = Field(default=None, exclude=True)

    @model_validator(mode="before")
    @classmethod
    def _preset_is_a_list(cls, data: Any) -> Any:
        if not isinstance(data, dict) or data.get("preset") is None:
            return data
        name = str(data["preset"])
        if data.get("guidance_weights") is not None:
            raise ValueError(f"preset {name!r} and guidance_weights are both given; give the one or the other")
        if name not in GUIDANCE_WEIGHTS:
            raise ValueError(f"no preset {name!r}: {did_you_mean(name, GUIDANCE_WEIGHTS)}")
        return {**data, "preset": None, "guidance_weights": GUIDANCE_WEIGHTS[name]}

    @field_validator("guidance_weights")
    @classmethod
    def _unique(cls, weights: tuple[float, ...]) -> tuple[float, ...]:
        if len(set(weights)) != len(weights):
            raise ValueError("a guidance weight is given twice; give each once")
        return weights


class ScoresSection(Section):
    """Which metrics, on which features, against which reference set.

    `extractor` is the CLIP model of metrics that have no features of their own. `resize` is the resize mode of the
    Inception network (None: torch-fidelity's), `weights` names files instead of pulled weights, and `options` holds
    a table of options for each metric that has some.
    """

    metrics: tuple[str, ...] = ("clip_score", "fd")
    extractor: str = "imagen-emoji"
    reference: str | None = None
    resize: str | None = None
    weights: dict[str, str] = {}
    options: dict[str, dict[str, Any]] = {}


class GallerySection(Section):
    """How many prompts the gallery shows, and at which guidance weight (None: that of the best CLIP score)."""

    prompts: Count = 24
    guidance_weight: Weight | None = None


class SheetsSection(Section):
    """Blind rating sheets that compare two guidance weights of the run."""

    guidance_weights: tuple[Weight, Weight]
    prompts: Count | None = None
    sheets: Count = 2
    samples_per_side: Count = 1
    seed: Seed = 0


class RunConfig(Section):
    """A whole benchmark run. `name` also names the run folder, so it is one plain path component."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._+-]*$", max_length=100)
    seed: Seed = 0
    model: ModelSection
    prompts: PromptsSection
    sweep: SweepSection
    scores: ScoresSection = ScoresSection()
    gallery: GallerySection | None = None
    sheets: SheetsSection | None = None

    @model_validator(mode="after")
    def _weights_are_swept(self) -> Self:
        swept = self.sweep.guidance_weights
        wanted: dict[str, tuple[float | None, ...]] = {}
        if self.gallery is not None:
            wanted["gallery.guidance_weight"] = (self.gallery.guidance_weight,)
        if self.sheets is not None:
            wanted["sheets.guidance_weights"] = self.sheets.guidance_weights
        for key, weights in wanted.items():
            missing = [weight for weight in weights if weight is not None and weight not in swept]
            if missing:
                known = ", ".join(f"{weight:g}" for weight in swept)
                raise ValueError(f"{key} has {missing[0]:g}, which is not in sweep.guidance_weights ({known})")
        return self


def load_config(path: Path | str, overrides: Sequence[str] = ()) -> RunConfig:
    """Read a benchmark configuration.

    Args:
        path: TOML file, or the run.json of a run.
        overrides: `dotted.key=value` strings, applied in order before validation.

    Raises:
        ConfigError: The file cannot be read, or it or an override is wrong.
    """
    return validate(RunConfig, apply_run_overrides(read_toml(path), overrides), str(path))


def apply_run_overrides(data: dict[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    """As `apply_overrides`, for a run: a list of weights replaces the preset of the file, and a preset its list."""
    keys = {override.partition("=")[0].strip() for override in overrides}
    sweep = data.get("sweep")
    if isinstance(sweep, dict) and not keys.isdisjoint(f"sweep.{key}" for key in SWEEP_KEYS):
        data = {**data, "sweep": {key: value for key, value in sweep.items() if key not in SWEEP_KEYS}}
    return apply_overrides(data, overrides)


def dump_config(config: RunConfig) -> dict[str, Any]:
    """Return a configuration as a JSON-able dict, defaults filled in; `validate` accepts it again."""
    return config.model_dump(mode="json")


def read_toml(path: Path | str) -> dict[str, Any]:
    """Read a TOML file; of a run.json, the configuration in it.

    Raises:
        ConfigError: The file is missing, unreadable or not TOML.
    """
    try:
        if Path(path).name == "run.json":
            return _config_of_run(path)
        return tomllib.loads(Path(path).read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise ConfigError(f"cannot read configuration {str(path)!r}: {reason}; expected a TOML file") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path} is not valid TOML: {error}") from error


def _config_of_run(path: Path | str) -> dict[str, Any]:
    try:
        config: Any = json.loads(Path(path).read_text(encoding="utf-8"))["config"]
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{path} is no record of a run: expected JSON with a 'config'") from error
    if not isinstance(config, dict):
        raise ConfigError(f"{path}: 'config' is {config!r}, expected a table")
    return config


def apply_overrides(data: dict[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    """Return a copy of `data` with `dotted.key=value` strings applied; missing tables are made.

    Args:
        data: A configuration as read from TOML; it is left as it is.
        overrides: For example `sweep.guidance_weights=[1, 2]`. A value that is not TOML counts as a string,
            so `name=demo` needs no quotes.

    Raises:
        ConfigError: An override has no `=`, an empty key part, or leads through a value that is no table.
    """
    result = copy.deepcopy(data)
    for override in overrides:
        key, equals, text = override.partition("=")
        parts = [part.strip() for part in key.split(".")]
        if not equals or not all(parts):
            raise ConfigError(f"override {override!r} is not of the form dotted.key=value")
        table = result
        for depth, part in enumerate(parts[:-1], start=1):
            table = table.setdefault(part, {})
            if not isinstance(table, dict):
                raise ConfigError(f"override {override!r}: {'.'.join(parts[:depth])} is a value, not a table")
        table[parts[-1]] = _override_value(text.strip())
    return result


def validate(model_cls: type[ModelT], data: Any, source: str) -> ModelT:
    """Turn data into a pydantic model, or tell in one line what is wrong with it.

    Args:
        model_cls: The model; unknown keys are refused where it sets `extra="forbid"`.
        data: What `read_toml` or `json.loads` returned.
        source: Where the data comes from (a file name), for the message.

    Raises:
        ConfigError: Names the source, each wrong key with its dots, and the nearest known key.
    """
    try:
        return model_cls.model_validate(data)
    except ValidationError as error:
        problems = [_problem(model_cls, details["loc"], details) for details in error.errors(include_url=False)]
    more = f"; and {len(problems) - _MAX_REPORTED} more" if len(problems) > _MAX_REPORTED else ""
    raise ConfigError(f"{source}: {'; '.join(problems[:_MAX_REPORTED])}{more}")


def _override_value(text: str) -> Any:
    try:
        parsed = tomllib.loads(f"value = {text}")
    except tomllib.TOMLDecodeError:
        return text
    return parsed["value"] if set(parsed) == {"value"} else text


def _problem(model_cls: type[BaseModel], loc: tuple[int | str, ...], details: Any) -> str:
    key = ".".join(map(str, loc))
    if details["type"] == "extra_forbidden":
        known = _known_keys(model_cls, loc[:-1])
        return f"unknown key {key!r}: {did_you_mean(str(loc[-1]), known)}"
    if details["type"] == "missing":
        return f"key {key!r} is missing"
    message = str(details["msg"]).removeprefix("Value error, ")
    if not loc:
        return message
    return f"{key!r} is {details['input']!r}: {message[0].lower()}{message[1:]}"


def _known_keys(model_cls: type[BaseModel], loc: tuple[int | str, ...]) -> list[str]:
    """Return the field names of the table at `loc`, walking through optional tables and lists of tables."""
    current: type[BaseModel] | None = model_cls
    for part in loc:
        if current is not None and isinstance(part, str) and part in current.model_fields:
            current = _model_in(current.model_fields[part].annotation)
    return list(current.model_fields) if current is not None else []


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    if get_origin(annotation) in (Union, types.UnionType, tuple, list, dict, Annotated):
        return next((found for arg in get_args(annotation) if (found := _model_in(arg))), None)
    return None
