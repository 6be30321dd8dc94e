"""The automatic scores of the very images that raters saw, where the arms' run folders can be reached."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from imagen_bench.bench.provenance import with_home
from imagen_bench.bench.run_folder import RunFolder
from imagen_bench.errors import ImagenBenchError, RunFolderError
from imagen_bench.human.unblind import StudyAnswers


def metric_differences(data: StudyAnswers, arm_a: str, arm_b: str) -> tuple[dict[str, dict[str, float]], list[str]]:
    """Return, for each metric with per-sample scores, A minus B on each prompt, signed so that more is better.

    A prompt's score is the mean over the samples that were shown.

    Returns:
        Differences by metric label and prompt id, and sentences about what is missing.
    """
    missing: list[str] = []
    found: list[dict[str, tuple[dict[str, Any], dict[str, float]]]] = []
    for arm in (arm_a, arm_b):
        try:
            found.append(_arm_scores(data, arm))
        except ImagenBenchError as error:
            missing.append(f"No metric scores of {arm}: {error}.")
    if missing:
        return {}, missing
    differences = {}
    for name in sorted(found[0].keys() & found[1].keys()):
        (protocol, first), (other, second) = found[0][name], found[1][name]
        if protocol.get("id") != other.get("id"):
            missing.append(
                f"{name} of {arm_a} and {arm_b} has different protocols ({protocol.get('id')}, {other.get('id')})."
            )
            continue
        sign = 1.0 if protocol.get("higher_is_better", True) else -1.0
        label = str(protocol.get("label") or name)
        differences[label] = {p: sign * (first[p] - second[p]) for p in sorted(first.keys() & second.keys())}
    if not differences and not missing:
        missing.append(f"The runs of {arm_a} and {arm_b} hold no scores of single images.")
    return differences, missing


def _arm_scores(data: StudyAnswers, arm: str) -> dict[str, tuple[dict[str, Any], dict[str, float]]]:
    """Protocol and mean score by prompt of each per-sample metric of an arm's run.

    Raises:
        RunFolderError: The run folder is not known, not there, or broken.
    """
    record = next(entry for entry in data.study.record["config"]["arms"] if entry["label"] == arm)
    place = with_home(data.study.record.get("runs", {})).get(arm)
    if not place:
        raise RunFolderError("the study does not say where its run lies")
    folder = RunFolder.open(Path(place))
    scores = folder.sample_scores()
    scores = scores[scores["guidance_weight"] == record.get("guidance_weight")]
    shown = _shown_samples(data.key, arm)
    chosen = [(p, i) in shown for p, i in zip(scores["prompt_id"].astype(str), scores["index"], strict=True)]
    scores = scores[np.array(chosen, dtype=bool)]
    protocols = folder.run.get("protocols") or {}
    return {
        str(name): (
            protocols.get(name) or {},
            {str(p): float(v) for p, v in rows.groupby("prompt_id")["value"].mean().items()},
        )
        for name, rows in scores.groupby("metric")
    }


def _shown_samples(key: pd.DataFrame, arm: str) -> set[tuple[str, int]]:
    """(prompt id, sample index) of an arm's images in real items."""
    found = set()
    for side in ("left", "right"):
        rows = key[(key["kind"] == "real") & (key[f"model_{side}"] == arm)]
        for prompt, indices in zip(rows["prompt_id"], rows[f"samples_{side}"], strict=True):
            found |= {(str(prompt), int(index)) for index in indices.split()}
    return found
