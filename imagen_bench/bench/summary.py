"""The outcome of a run in a few lines: overall scores by guidance weight, and where everything is."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pandas as pd

from imagen_bench.bench.run_folder import RunFolder

_PARTS = {
    "report": "report/index.html",
    "scores": "scores.csv",
    "samples": "samples.parquet",
    "sheets": "sheets",
}


def summary_json(folder: RunFolder) -> dict[str, Any]:
    """Return name, overall scores, protocols and paths as JSON-able values; a missing number is None."""
    columns = ["guidance_weight", "metric", "value", "low", "high", "n", "protocol"]
    rows = _overall(folder)[columns].to_dict(orient="records")
    return {
        "name": folder.run["name"],
        "run": str(folder.path),
        "scores": [{str(key): _or_none(value) for key, value in row.items()} for row in rows],
        "protocols": folder.run["protocols"],
        "notes": _notes(folder),
        "paths": {name: str(path) for name, path in _paths(folder).items()},
    }


def summary_text(folder: RunFolder) -> str:
    """Return a table "weight, each metric with its interval, n" and the paths, for a terminal."""
    overall = _overall(folder)
    metrics = list(dict.fromkeys(overall["metric"]))
    labels = [folder.run["protocols"][metric]["label"] for metric in metrics]
    table = [["weight", *labels, "n"]]
    for weight, rows in overall.groupby("guidance_weight", sort=True):
        by_metric = rows.set_index("metric")
        cells = [_cell(by_metric.loc[metric]) if metric in by_metric.index else "-" for metric in metrics]
        table.append([f"{weight:g}", *cells, f"{int(rows['n'].max())}"])
    paths = [f"{name:8} {path}" for name, path in _paths(folder).items()]
    return "\n".join([*aligned(table), *(f"note: {note}" for note in _notes(folder)), "", *paths])


def _notes(folder: RunFolder) -> list[str]:
    return [str(note) for note in folder.run.get("notes", [])]


def _overall(folder: RunFolder) -> pd.DataFrame:
    scores = folder.scores()
    return scores[scores["category"] == "all"]


def _paths(folder: RunFolder) -> dict[str, Path]:
    paths = {name: folder.path / part for name, part in _PARTS.items()}
    return {name: path for name, path in paths.items() if path.exists()}


def _cell(row: pd.Series[Any]) -> str:
    value, low, high = (float(row[name]) for name in ("value", "low", "high"))
    if math.isnan(value):
        return "-"
    interval = "" if math.isnan(low) or math.isnan(high) else f" [{low:.4g}, {high:.4g}]"
    return f"{value:.4g}{interval}"


def aligned(table: list[list[str]]) -> list[str]:
    """Return the rows of a table with their columns padded to one width each."""
    widths = [max(len(row[place]) for row in table) for place in range(len(table[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in table]


def _or_none(value: Any) -> Any:
    return None if isinstance(value, float) and math.isnan(value) else value
