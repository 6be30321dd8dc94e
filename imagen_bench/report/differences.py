"""What differs between the runs of a report: settings of the configuration, the model, prompts and versions."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from imagen_bench.bench.same_run import flatten
from imagen_bench.report.data import RunData
from imagen_bench.report.tables import Cell, Table

_SECTIONS = ("config", "model", "prompts", "reference", "extractor", "host", "versions")
_NOT_SCORED = ("config.name", "config.gallery", "config.sheets")
_LONGEST = 60


def differences_table(runs: Sequence[RunData]) -> Table | None:
    """One row a setting that is not the same in all runs, one column a run; None if nothing differs."""
    differing = setting_differences([run.record for run in runs])
    if not differing:
        return None
    rows = [(Cell(key), *(Cell(_short(value)) for value in values)) for key, values in differing]
    data = [[key, *values] for key, values in differing]
    labels = [run.label for run in runs]
    caption = "Settings of images and scores that are not the same in all runs."
    columns = pd.DataFrame(data, columns=["setting", *labels])
    return Table("differences", caption, ("Setting", *labels), tuple(rows), 1, columns)


def setting_differences(records: Sequence[Mapping[str, Any]]) -> list[tuple[str, list[str]]]:
    """Settings that are not the same in all runs.

    Args:
        records: Their run.json.

    Returns:
        Dotted keys, each with its value in every run in words. What a model says of its options is left out where the
        configuration says the same.
    """
    flat = [flatten({name: record.get(name) for name in _SECTIONS}) for record in records]
    keys = list(dict.fromkeys(key for settings in flat for key in settings if not key.startswith(_NOT_SCORED)))
    values = {key: [_shown(settings, key) for settings in flat] for key in keys}
    differing = {key: shown for key, shown in values.items() if len(set(shown)) > 1}
    return [(key, shown) for key, shown in differing.items() if differing.get(f"config.{key}") != shown]


def _shown(settings: Mapping[str, Any], key: str) -> str:
    """The value in words; a dash where a run does not have the setting."""
    value = settings.get(key)
    if value is None:
        return "–"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
