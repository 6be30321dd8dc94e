"""Studies: one run for each variant of a configuration, such as static and dynamic thresholding.

A study is a run's configuration with a table of variants, each of which overrides what it varies:

    [variants.static.model.options.base]
    thresholding = "static"

    [variants.short]
    "model.options.base.steps" = 6

Tables are merged key by key and a key with dots leads into them. Two things are replaced as a whole: the options of
another `model.generator`, and the list of weights, whether given as `sweep.guidance_weights` or `sweep.preset`. A study
whose models are trained for it says how in `training` tables (`bench.study_models`). Each variant is an ordinary run
folder OUT/<variant> under the name `<study>-<variant>`; OUT/study.json lists them. What variants are scored with
(extractor, reference set) is opened once for all that share it.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imagen_bench.bench.evaluate import Scoring, open_scoring
from imagen_bench.bench.lock import LOCK_NAME
from imagen_bench.bench.provenance import without_home
from imagen_bench.bench.reference_pass import extract_alone
from imagen_bench.bench.study_models import STUDY_FILE, TRAINING, CommonTraining, Training, read_common, trainings_of
from imagen_bench.config import SWEEP_KEYS, RunConfig, apply_run_overrides, dump_config, read_toml, validate
from imagen_bench.data.prompts import PromptSet
from imagen_bench.errors import ConfigError, RunFolderError
from imagen_bench.files import atomic_write_text, digest_json
from imagen_bench.suggest import did_you_mean

if TYPE_CHECKING:
    from imagen_bench.bench.reference_pass import Extract

VARIANTS = "variants"
SCHEMA = 1
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*")


@dataclass(frozen=True)
class Variant:
    """A run of a study.

    Attributes:
        name: Name of its folder.
        overrides: What it overrides.
        config: Its whole configuration.
        trainings: Trainings that its model comes from, in order; none for a model that is there already.
    """

    name: str
    overrides: dict[str, Any]
    config: RunConfig
    trainings: tuple[Training, ...] = ()


@dataclass(frozen=True)
class Study:
    """Runs that differ in what their variants say."""

    name: str
    variants: tuple[Variant, ...]


def is_study(data: Mapping[str, Any]) -> bool:
    """Return whether a configuration, as read from TOML, has variants."""
    return VARIANTS in data


def load_study(path: Path | str, overrides: Sequence[str] = ()) -> Study:
    """Read a study.

    Args:
        path: TOML file.
        overrides: `dotted.key=value` strings, applied to the common part before the variants.

    Raises:
        ConfigError: The file cannot be read, has no variants, or one of them is wrong; the variant is named.
    """
    data = apply_run_overrides(read_toml(path), overrides)
    tables = data.pop(VARIANTS, None)
    if not isinstance(tables, dict) or not tables:
        raise ConfigError(f"{path} has no variants: expected at least one table [variants.NAME] of overrides")
    common = read_common(data, str(path))
    data.pop(TRAINING, None)
    return Study(
        str(data.get("name", "")),
        tuple(_variant(data, common, key, table, str(path)) for key, table in tables.items()),
    )


def choose_variants(study: Study, names: Sequence[str]) -> tuple[Variant, ...]:
    """Return the variants of these names in the order of the study; all of them without names.

    Raises:
        ConfigError: No variant has one of the names.
    """
    known = [variant.name for variant in study.variants]
    for name in names:
        if name not in known:
            raise ConfigError(f"study {study.name!r} has no variant {name!r}: {did_you_mean(name, known)}")
    return tuple(variant for variant in study.variants if not names or variant.name in names)


def run_study(
    study: Study, chosen: Sequence[Variant], out: Path, run_one: Callable[[Variant, Path, ScoringShare], None]
) -> None:
    """Run variants of a study in their order; what is there already is kept.

    Args:
        study: The study.
        chosen: Those of its variants to run.
        out: Its folder; made if it is missing.
        run_one: Runs one variant in a folder, scored with what the share opens.

    Raises:
        RunFolderError: `out` holds something else than this study.
    """
    refuse_other_study(study, out)
    _write_study(study, out)
    share = ScoringShare()
    for variant in chosen:
        run_one(variant, out / variant.name, share)


def _write_study(study: Study, out: Path) -> None:
    """Write `out`/study.json: name and folder of each variant, and what it overrides."""
    variants = {
        variant.name: {"run": variant.name, "name": variant.config.name, "overrides": variant.overrides}
        for variant in study.variants
    }
    record = without_home({"schema": SCHEMA, "name": study.name, "variants": variants})
    atomic_write_text(out / STUDY_FILE, json.dumps(record, indent=2, ensure_ascii=False) + "\n")


class ScoringShare:
    """Opens what runs are scored with, once for all that score alike."""

    def __init__(self) -> None:
        self._opened: dict[str, Scoring] = {}

    def open(
        self, config: RunConfig, prompts: PromptSet, run: Path, progress: bool = False,
        extract: Extract = extract_alone,
    ) -> Scoring:  # fmt: skip
        """As `open_scoring`; extractors that served another run start counting afresh."""
        parts = dump_config(config)
        key = digest_json({name: parts[name] for name in ("seed", "prompts", "scores")})
        if key not in self._opened:
            self._opened[key] = open_scoring(config, prompts, run, progress, extract)
        scoring = self._opened[key]
        scoring.metrics.forget_truncated()
        return scoring


def merge_overrides(base: Mapping[str, Any], overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Return a configuration with a variant's overrides merged into it.

    Raises:
        ConfigError: A dotted key has an empty part or leads through a value.
    """
    nested: dict[str, Any] = {}
    for key, value in overrides.items():
        _nest(nested, key, value)
    merged = copy.deepcopy(dict(base))
    model, sweep = nested.get("model"), nested.get("sweep")
    if isinstance(model, dict) and model.get("generator") not in (None, merged.get("model", {}).get("generator")):
        merged["model"] = {key: value for key, value in merged["model"].items() if key != "options"}
    if isinstance(sweep, dict) and any(key in sweep for key in SWEEP_KEYS):
        merged["sweep"] = {key: value for key, value in merged.get("sweep", {}).items() if key not in SWEEP_KEYS}
    return _merge(merged, nested)


def _variant(data: Mapping[str, Any], common: CommonTraining | None, name: str, table: Any, source: str) -> Variant:
    where, study = f"{source}: variants.{name}", str(data.get("name", ""))
    if not _NAME.fullmatch(name):
        raise ConfigError(f"{where}: the name becomes a folder; use letters, digits, '.', '_', '+' and '-'")
    if not isinstance(table, dict):
        raise ConfigError(f"{where} is {table!r}, expected a table of overrides")
    if "name" in table:
        raise ConfigError(f"{where} sets the name of its run, which is always '{study}-{name}'; remove it")
    overrides = {key: value for key, value in table.items() if key != TRAINING}
    trainings: tuple[Training, ...] = ()
    if TRAINING in table:
        trainings = trainings_of(common, table[TRAINING], where)
        overrides = merge_overrides({"model": {"name": trainings[-1].out.as_posix()}}, overrides)
    merged = {**merge_overrides(data, overrides), "name": f"{study}-{name}"}
    return Variant(name, table, validate(RunConfig, merged, where), trainings)


def _recorded_name(file: Path) -> str | None:
    try:
        record = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise RunFolderError(f"{file} is not JSON ({error}); remove it, the next start writes it anew") from None
    return str(record["name"]) if isinstance(record, dict) and "name" in record else None


def _nest(table: dict[str, Any], dotted: str, value: Any) -> None:
    """Put a value into nested tables, along a key with dots."""
    head, dot, rest = dotted.partition(".")
    if not head or (dot and not rest):
        raise ConfigError(f"variant key {dotted!r} has an empty part; write it as table.key")
    if dot:
        value = {rest: value}
    if not isinstance(value, dict):
        table[head] = value
        return
    inner = table.setdefault(head, {})
    if not isinstance(inner, dict):
        raise ConfigError(f"variant key {dotted!r} leads through {head!r}, which is a value")
    for key, item in value.items():
        _nest(inner, key, item)


def _merge(base: dict[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    for key, value in over.items():
        old = base.get(key)
        base[key] = _merge(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return base


def refuse_other_study(study: Study, out: Path) -> None:
    """Refuse a folder that holds something else than this study.

    Raises:
        RunFolderError: A run, another study, or foreign files are there.
    """
    if out.exists() and not out.is_dir():
        raise RunFolderError(f"{out} is a file, expected a folder; give another --out")
    if not out.is_dir():
        return
    if (out / STUDY_FILE).is_file():
        there = _recorded_name(out / STUDY_FILE)
        if there != study.name:
            raise RunFolderError(f"{out} holds the study {there!r}, asked was {study.name!r}; give another --out")
        return
    found = sorted(item.name for item in out.iterdir() if item.name != LOCK_NAME)
    if found:
        what = "is a run folder" if "run.json" in found else f"is not empty (found '{found[0]}')"
        raise RunFolderError(f"{out} {what}, expected the folder of a study; give a new or empty one as --out")
