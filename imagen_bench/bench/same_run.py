"""Whether a folder holds the run that is asked for: the same config, model and prompts."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from imagen_bench.errors import RunFolderError

_WEIGHTS_KEY = "sweep.guidance_weights"
_FREE_KEYS = ("model.options.batch_size",)
"""Config keys that move neither a pixel nor a score and so may change between two starts of a run."""


def config_differences(
    there: Mapping[str, Any], asked: Mapping[str, Any], places: tuple[str, str] = ("in the folder", "asked")
) -> list[str]:
    """Say how two nested records differ: "sweep.guidance_weights: [1, 2] in the folder, [1, 2, 3] asked"."""
    old, new = flatten(there), flatten(asked)
    return [
        f"{key}: {_shown(old, key)} {places[0]}, {_shown(new, key)} {places[1]}"
        for key in sorted(set(old) | set(new))
        if old.get(key) != new.get(key)
    ]


def refuse_other_run(path: Path, there: Mapping[str, Any], asked: Mapping[str, Any]) -> None:
    """Refuse to continue a run with another config, model or prompts.

    Model and prompts are compared where `asked` holds them.

    Raises:
        RunFolderError: Names the differing keys.
    """
    old, new = _comparable(there.get("config")), _comparable(asked.get("config"))
    if _weights(old) <= _weights(new):
        old, new = _without(old, _WEIGHTS_KEY), _without(new, _WEIGHTS_KEY)
    differing = config_differences(old, new)
    for section in ("model", "prompts"):
        if section in asked:
            before, now = _comparable(there.get(section)), _comparable(asked[section])
            differing += [f"{section} ({line})" for line in config_differences(before, now)]
    if differing:
        raise RunFolderError(
            f"{path} holds another run: {'; '.join(differing)}; give another --out, or ask for the run that is there"
        )


def _weights(config: Mapping[str, Any]) -> set[float]:
    return set(config.get("sweep", {}).get("guidance_weights", ()))


def _comparable(section: Any) -> dict[str, Any]:
    plain: dict[str, Any] = json.loads(json.dumps(section or {}))
    for key in _FREE_KEYS:
        plain = _without(plain, key)
    return plain


def _without(record: dict[str, Any], dotted: str) -> dict[str, Any]:
    head, _, rest = dotted.partition(".")
    kept = {key: value for key, value in record.items() if key != head}
    if rest and isinstance(record.get(head), dict):
        kept[head] = _without(record[head], rest)
    return kept


def flatten(record: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return a nested record with one dotted key for each value that is no mapping."""
    flat: dict[str, Any] = {}
    for key, value in record.items():
        if isinstance(value, Mapping):
            flat.update(flatten(value, f"{prefix}{key}."))
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def _shown(flat: Mapping[str, Any], key: str) -> str:
    return json.dumps(flat[key], ensure_ascii=False) if key in flat else "absent"
