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

from imagen_bench.bench.journal import SAMPLE_COLUMNS, read_samples
from imagen_bench.bench.run_folder import SCORE_COLUMNS, RunFolder, samples_to_frame
from imagen_bench.bench.study_models import STUDY_FILE
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

    def scored_samples(self, metric: str) -> pd.DataFrame:
        """Samples with their own score of a metric in the column `value`; empty if single samples have none."""
        scores = self.folder.sample_scores()
        chosen = scores.loc[scores["metric"] == metric, ["prompt_id", "index", "guidance_weight", "value"]]
        return self.samples.merge(chosen.dropna(subset=["value"]), on=["prompt_id", "index", "guidance_weight"])

    @property
    def weights(self) -> tuple[float, ...]:
        """Guidance weights that were sampled or scored, ascending."""
        both = (*self.samples["guidance_weight"], *self.scores["guidance_weight"])
        return tuple(sorted({float(weight) for weight in both}))

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
    """Metrics whose overall scores were not made alike: metric to its protocols.

    A protocol is its id; where scores of one id are of different numbers of images (a file put together by
    hand), it is the id with the number, since a distance of fewer images is larger.
    """
    frames = [run.scores[run.scores["category"] == OVERALL] for run in runs]
    rows = pd.concat(frames, ignore_index=True)
    found: dict[str, tuple[str, ...]] = {}
    for metric, group in rows.groupby("metric", sort=False):
        ids = list(dict.fromkeys(group["protocol"].astype(str)))
        counts = sorted({int(count) for count in group["n"].dropna()})
        if len(ids) == 1 and len(counts) > 1:
            ids = [f"{ids[0]} of {count:,} images" for count in counts]
        if len(ids) > 1:
            found[str(metric)] = tuple(ids)
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
    missing += _unfinished(folder.run, samples, scores)
    if not (folder.path / "gallery").is_dir():
        missing.append("No gallery of enlarged images.")
    return RunData(folder, label, samples, scores, tuple(missing))


def _read_samples(folder: RunFolder, missing: list[str]) -> pd.DataFrame:
    """The finished samples; those of the journal too, while weights are added to a finished sweep."""
    file = folder.path / "samples.parquet"
    try:
        samples = folder.samples()
        if file.is_file():
            samples = _with_newer(samples, samples_to_frame(read_samples(folder.path / "journal")))
    except (OSError, ValueError) as error:
        raise RunFolderError(f"{file} cannot be read ({error}): run the same command again to write it anew") from error
    if samples.empty:
        missing.append("No images are generated yet.")
    _require(samples, SAMPLE_COLUMNS, file)
    return samples.astype({"guidance_weight": float, "seconds": float}).reset_index(drop=True)


def _with_newer(samples: pd.DataFrame, journal: pd.DataFrame) -> pd.DataFrame:
    """The samples, followed by those that only the journal has."""
    keys = ["guidance_weight", "prompt_id", "index"]
    if journal.empty or not set(keys) <= set(samples.columns):
        return samples
    newer = journal[~pd.MultiIndex.from_frame(journal[keys]).isin(pd.MultiIndex.from_frame(samples[keys]))]
    return pd.concat([samples, newer], ignore_index=True) if len(newer) else samples


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


def _unfinished(record: dict[str, Any], samples: pd.DataFrame, scores: pd.DataFrame) -> list[str]:
    """Sentences about weights of the sweep that lack images or scores; none if run.json does not plan any."""
    prompts = record.get("prompts") or {}
    each = int(prompts.get("n", 0)) * int(prompts.get("samples_per_prompt", 1))
    weights = [float(w) for w in ((record.get("config") or {}).get("sweep") or {}).get("guidance_weights") or ()]
    made = samples["guidance_weight"].value_counts()
    lacking = {weight: each - int(made.get(weight, 0)) for weight in weights if made.get(weight, 0) < each}
    told = []
    if lacking and len(samples):
        where = ", ".join(f"{count:,} at w = {weight:g}" for weight, count in lacking.items())
        told.append(
            f"{sum(lacking.values()):,} of {each * len(weights):,} images are not generated yet ({where}): "
            "the run is in progress."
        )
    unscored = [weight for weight in weights if weight not in set(scores["guidance_weight"])]
    if len(scores) and unscored:
        told.append(f"Not scored yet: w = {', '.join(f'{weight:g}' for weight in unscored)}.")
    return told


def _labels(folders: Sequence[RunFolder]) -> list[str]:
    """The variant's name in one study; else the model's where it tells the runs apart, else the run's, else both."""
    if len({folder.path.resolve().parent for folder in folders}) == 1 < len(folders):
        paths = [folder.path.resolve() for folder in folders]
        if (paths[0].parent / STUDY_FILE).is_file():
            return [path.name for path in paths]
    models = [str((folder.run.get("model") or {}).get("name") or folder.run.get("name") or "") for folder in folders]
    if len(set(models)) == len(models) and all(models):
        return models
    names = [str(folder.run.get("name") or folder.path.name) for folder in folders]
    if len(set(names)) == len(names) and len(set(models)) == 1:
        return names
    labels = [f"{model} · {name}" if model else name for model, name in zip(models, names, strict=True)]
    if len(set(labels)) == len(labels):
        return labels
    return [
        f"{label} ({folder.path.name} {n})" for n, (label, folder) in enumerate(zip(labels, folders, strict=True), 1)
    ]
