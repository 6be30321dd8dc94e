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
    flat = [flatten({name: run.record.get(name) for name in _SECTIONS}) for run in runs]
    keys = list(dict.fromkeys(key for settings in flat for key in settings if not key.startswith(_NOT_SCORED)))
    differing = [key for key in keys if len({_shown(settings, key) for settings in flat}) > 1]
    if not differing:
        return None
    rows, data = [], []
    for key in differing:
        values = [_shown(settings, key) for settings in flat]
        rows.append((Cell(key), *(Cell(_short(value)) for value in values)))
        data.append([key, *values])
    labels = [run.label for run in runs]
    caption = "Settings of images and scores that are not the same in all runs."
    columns = pd.DataFrame(data, columns=["setting", *labels])
    return Table("differences", caption, ("Setting", *labels), tuple(rows), 1, columns)


def _shown(settings: Mapping[str, Any], key: str) -> str:
    """The value in words; a dash where a run does not have the setting."""
    value = settings.get(key)
    if value is None:
        return "–"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
