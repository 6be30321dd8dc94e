"""Reading run folders for a report: what is there, what is missing, and which runs may stand side by side.

A report is made from the run folder's files alone. A folder of an unfinished run is read as far as it goes:
each part that is not there becomes a sentence in `RunData.missing` instead of an error.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from imagen_bench.bench.journal import SAMPLE_COLUMNS
from imagen_bench.bench.run_folder import SCORE_COLUMNS, RunFolder
from imagen_bench.errors import ProtocolError, RunFolderError

OVERALL = "all"
_NUMBERS = ("guidance_weight", "value", "low", "high", "n")


@dataclass(frozen=True)
class RunData:
    """One run folder as a report sees it.

    Attributes:
        folder: The open run folder.
        label: Name of the run's line in figures and tables, unique within a report.
        samples: One row an image, columns `SAMPLE_COLUMNS`; empty if there are none yet.
        scores: Tidy scores, columns `SCORE_COLUMNS`; empty if there are none yet.
        missing: Sentences about parts that are not there.
    """

    folder: RunFolder
    label: str
    samples: pd.DataFrame
    scores: pd.DataFrame
    missing: tuple[str, ...]

    @property
    def path(self) -> Path:
        """Where the run lies."""
        return self.folder.path

    @property
    def record(self) -> dict[str, Any]:
        """Content of run.json."""
        return self.folder.run

    def overall(self, metric: str) -> pd.DataFrame:
        """Scores of all categories together, in guidance order; columns `SCORE_COLUMNS`."""
        chosen = self.scores[(self.scores["metric"] == metric) & (self.scores["category"] == OVERALL)]
        return chosen.sort_values("guidance_weight", kind="stable").reset_index(drop=True)

    def per_category(self, metric: str) -> pd.DataFrame:
        """Scores of single categories, in the order of scores.csv."""
        chosen = self.scores[(self.scores["metric"] == metric) & (self.scores["category"] != OVERALL)]
        return chosen.reset_index(drop=True)

    @property
    def weights(self) -> tuple[float, ...]:
        """Guidance weights that were scored or, before that, sampled, ascending."""
        source = self.scores if len(self.scores) else self.samples
        return tuple(sorted({float(weight) for weight in source["guidance_weight"]}))

    def section(self, name: str) -> dict[str, Any]:
        """A table of run.json, empty where it is missing or null."""
        found = self.record.get(name)
        return found if isinstance(found, dict) else {}


def load_runs(paths: Sequence[Path]) -> tuple[RunData, ...]:
    """Read run folders and give each a label of its own.

    Args:
        paths: Run folders, at least one.

    Returns:
        The runs in the order given.

    Raises:
        RunFolderError: no folder was given, one is given twice, or one is no run folder.
    """
    if not paths:
        raise RunFolderError("no run folder was given: expected at least one, such as runs/demo")
    resolved = [path.resolve() for path in paths]
    for path in paths:
        if resolved.count(path.resolve()) > 1:
            raise RunFolderError(f"run folder {path} is given twice: name each run once")
    folders = [RunFolder.open(path) for path in paths]
    return tuple(_read_run(folder, label) for folder, label in zip(folders, _labels(folders), strict=True))


def floats(table: pd.DataFrame, *columns: str) -> list[tuple[float, ...]]:
    """Rows of some columns as plain floats, NaN where a value is missing."""
    return [tuple(row) for row in table[list(columns)].to_numpy(dtype=float).tolist()]


def protocol_conflicts(runs: Sequence[RunData]) -> dict[str, tuple[str, ...]]:
    """Metrics whose overall scores were made by more than one protocol: metric to protocol ids."""
    frames = [run.scores[run.scores["category"] == OVERALL] for run in runs]
    rows = pd.concat(frames, ignore_index=True)
    found: dict[str, tuple[str, ...]] = {}
    for metric, group in rows.groupby("metric", sort=False):
        ids = tuple(dict.fromkeys(str(protocol) for protocol in group["protocol"]))
        if len(ids) > 1:
            found[str(metric)] = ids
    return found


def check_protocols(runs: Sequence[RunData], force: bool) -> dict[str, tuple[str, ...]]:
    """Refuse runs whose scores cannot be compared, unless `force`.

    Returns:
        The conflicts that were forced, for the report to say so; empty when all protocols agree.

    Raises:
        ProtocolError: names the metric and its protocols.
    """
    conflicts = protocol_conflicts(runs)
    if conflicts and not force:
        metric, ids = next(iter(conflicts.items()))
        raise ProtocolError(
            f"{metric} was scored by {len(ids)} protocols ({', '.join(ids)}), expected one: report the runs "
            "apart, score them alike, or pass --force to show them together with a warning"
        )
    return conflicts


def _read_run(folder: RunFolder, label: str) -> RunData:
    missing: list[str] = []
    samples = _read_samples(folder, missing)
    scores = _read_scores(folder, missing)
    planned = _planned_images(folder.run)
    if planned and 0 < len(samples) < planned:
        missing.append(
            f"{planned - len(samples):,} of {planned:,} images are not generated yet: the run is in progress."
        )
    if not (folder.path / "gallery").is_dir():
        missing.append("No gallery of enlarged images.")
    return RunData(folder, label, samples, scores, tuple(missing))


def _read_samples(folder: RunFolder, missing: list[str]) -> pd.DataFrame:
    file = folder.path / "samples.parquet"
    try:
        samples = folder.samples()
    except (OSError, ValueError) as error:
        raise RunFolderError(f"{file} cannot be read ({error}): run the same command again to write it anew") from error
    if samples.empty:
        missing.append("No images are generated yet.")
    _require(samples, SAMPLE_COLUMNS, file)
    return samples.astype({"guidance_weight": float, "seconds": float}).reset_index(drop=True)


def _read_scores(folder: RunFolder, missing: list[str]) -> pd.DataFrame:
    file = folder.path / "scores.csv"
    if not file.is_file():
        missing.append("No scores yet: scores.csv is written when the evaluation ends.")
        return pd.DataFrame(columns=list(SCORE_COLUMNS)).astype(dict.fromkeys(_NUMBERS, float))
    try:
        scores = folder.scores()
        _require(scores, SCORE_COLUMNS, file)
        _require_once(scores, file)
        return scores.assign(**{column: pd.to_numeric(scores[column]).astype(float) for column in _NUMBERS})
    except (OSError, ValueError, KeyError) as error:
        raise RunFolderError(f"{file} cannot be read ({error}): score the run again") from error


def _require(table: pd.DataFrame, columns: Sequence[str], file: Path) -> None:
    absent = [column for column in columns if column not in table.columns]
    if absent:
        raise RunFolderError(f"{file} lacks the column {absent[0]!r}, expected {', '.join(columns)}: write it again")


def _require_once(scores: pd.DataFrame, file: Path) -> None:
    twice = scores[scores.duplicated(["guidance_weight", "category", "metric"])]
    if len(twice):
        weight, metric, category = (twice.iloc[0][key] for key in ("guidance_weight", "metric", "category"))
        raise RunFolderError(
            f"{file} has two values of {metric} at w = {weight:g} for {category!r}, expected one: score the run again"
        )


def _planned_images(record: dict[str, Any]) -> int:
    """Images that the finished run will have; 0 if run.json does not say."""
    prompts = record.get("prompts") or {}
    weights = ((record.get("config") or {}).get("sweep") or {}).get("guidance_weights") or ()
    return int(prompts.get("n", 0)) * int(prompts.get("samples_per_prompt", 1)) * len(weights)


def _labels(folders: Sequence[RunFolder]) -> list[str]:
    """Model name where it tells the runs apart, else with the run's name, else with the folder's."""
    models = [str((folder.run.get("model") or {}).get("name") or folder.run.get("name") or "") for folder in folders]
    if len(set(models)) == len(models) and all(models):
        return models
    names = [str(folder.run.get("name") or folder.path.name) for folder in folders]
    labels = [f"{model} · {name}" if model else name for model, name in zip(models, names, strict=True)]
    if len(set(labels)) == len(labels):
        return labels
    return [
        f"{label} ({folder.path.name} {n})" for n, (label, folder) in enumerate(zip(labels, folders, strict=True), 1)
    ]
