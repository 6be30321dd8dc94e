"""Scores a study: from key and answers to `results/results.json`, of which all tables and figures are drawn."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from imagen_bench.bench.provenance import package_version
from imagen_bench.errors import InputError, RunFolderError
from imagen_bench.files import atomic_write_text, sha256_file
from imagen_bench.human.estimates import (
    Row,
    each_arm,
    each_pair,
    estimate_all,
    prompt_differences,
    real_answers,
)
from imagen_bench.human.metric_scores import metric_differences
from imagen_bench.human.statistics.intervals import DRAWS, METHOD_WORDS
from imagen_bench.human.statistics.metric_agreement import metric_agreement
from imagen_bench.human.statistics.preferences import Estimate
from imagen_bench.human.statistics.quality import (
    STRAIGHT_ANSWERS,
    STRAIGHT_SHARE,
    RaterQuality,
    left_share,
    rater_quality,
)
from imagen_bench.human.statistics.significance import ALPHA, FLIPS
from imagen_bench.human.unblind import PAIR_MODES, UNABLE, StudyAnswers, read_answers

SCHEMA = 1
RESULTS = "results"
RESULTS_FILE = "results.json"
Results = dict[str, Any]

_METHOD = {
    "averaging": "ratings are averaged within each prompt, then prompts weigh alike",
    "intervals": METHOD_WORDS,
    "test": "two-sided cluster-t test of net preference = 0 over prompts, raters held fixed; an interval that draws "
    "raters anew is wider; two arms are called different only if the test rejects and the interval excludes 0",
    "permutation": f"sign flips of whole clusters, all of them or {FLIPS} draws",
    "family": "Holm's correction over the categories within each pair of arms and question; the overall result is "
    "tested on its own, outside the family",
    "alpha": ALPHA,
    "bradley_terry": f"ties as half a win; intervals from {DRAWS} reweightings of the prompts' win matrices by "
    "cluster_id, raters held fixed",
    "agreement": "Krippendorff's alpha after un-blinding sides, bootstrap over items; a low alpha is expected where "
    "two arms are close, and does not by itself void a preference",
    "flags": f"speeder: median time below the study's fraction of the raters' median; straight-liner: one raw answer "
    f"makes {STRAIGHT_SHARE:.0%} or more of at least {STRAIGHT_ANSWERS} answers to a question",
}


def score_study(path: Path, seed: int = 0) -> Results:
    """Compute all results of a study.

    Args:
        path: The study folder, with imported answers.
        seed: Seed of bootstraps and permutations; the same seed gives the same results.

    Returns:
        JSON-able; the lists of rows under `preference`, `scores`, ... are tables, one dict a row. Where raters
        are excluded, `all_raters` repeats the estimates with everybody.

    Raises:
        RunFolderError: No study or no answers.
        InputError: Broken key or answers, or the study's rule leaves no rater.
    """
    data = read_answers(path)
    quality = rater_quality(data.answers, data.assigned, data.rule)
    excluded = frozenset(rater.rater for rater in quality if rater.excluded)
    answers = real_answers(data, excluded)
    everybody = real_answers(data, frozenset())
    if everybody.empty:
        raise InputError(f"{path}: no answer to a real item expresses a judgement; import more filled sheets")
    if answers.empty:
        raise InputError(
            f"{path}: the study's rule ({data.rule.words()}) leaves no rater of {len(quality)}; collect more sheets"
        )
    return {
        "schema": SCHEMA,
        "tool": f"imagen-bench {package_version()}",
        "seed": seed,
        **_identity(data),
        "method": _METHOD,
        "counts": _counts(data, answers, quality),
        **estimate_all(data, answers, seed),
        "all_raters": estimate_all(data, everybody, seed) if excluded else None,
        "quality": _quality(data, quality),
        "metrics": _metrics(data, answers, seed),
    }


def write_results(results: Results, folder: Path) -> Path:
    """Write results.json into `folder` and return its path."""
    file = folder / RESULTS_FILE
    text = json.dumps(results, indent=1, ensure_ascii=False, allow_nan=False)
    atomic_write_text(file, text + "\n")
    return file


def load_results(study: Path) -> Results:
    """Read the results of a scored study.

    Args:
        study: The study folder.

    Raises:
        RunFolderError: The study is not scored yet, or its results are broken or of another schema.
    """
    file = study / RESULTS / RESULTS_FILE
    try:
        results = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise RunFolderError(
            f"{study} has no results (cannot read {file}: {error.strerror}); run `imagen-bench drawbench score {study}`"
        ) from error
    except ValueError as error:
        raise RunFolderError(f"{file} is not JSON ({error}); score the study again") from error
    schema = results.get("schema") if isinstance(results, dict) else None
    if schema != SCHEMA:
        raise RunFolderError(f"{file} has schema {schema!r}, this version reads {SCHEMA}; score the study again")
    return dict(results)


def _identity(data: StudyAnswers) -> Results:
    record = data.study.record
    return {
        "study_id": str(record.get("study_id", "")),
        "mode": data.mode,
        "arms": list(data.arms),
        "references": sorted(data.references),
        "questions": [{"name": name, "text": text} for name, text in data.questions.items()],
        "categories": data.categories,
        "answers_sha256": sha256_file(data.study.private / "answers.csv"),
        "key_sha256": sha256_file(data.study.private / "key.csv"),
        "config_digest": str(record.get("config_digest", "")),
    }


def _counts(data: StudyAnswers, answers: pd.DataFrame, quality: list[RaterQuality]) -> Results:
    real = data.key[data.key["kind"] == "real"]
    units = answers.groupby(["arm_a", "arm_b", "prompt_id", "question"]).size()
    judged = data.answers["outcome"] != UNABLE
    seconds = data.answers["seconds"].dropna()
    dates = sorted(date for date in data.answers["answered_at"] if date)
    return {
        "prompts": int(real["prompt_id"].nunique()),
        "clusters": int(real["cluster_id"].nunique()),
        "sheets": int(data.key["sheet_id"].nunique()),
        "items": len(data.key),
        **{f"items_{kind}": int((data.key["kind"] == kind).sum()) for kind in ("real", "control", "repeat")},
        "raters": len(quality),
        "raters_excluded": sum(bool(rater.excluded) for rater in quality),
        "answers": len(data.answers),
        "answers_used": len(answers),
        "unable": int((~judged).sum()),
        "ratings_per_item_median": float(units.median()),
        "ratings_per_item_min": int(units.min()),
        "ratings_per_item_max": int(units.max()),
        "median_seconds": float(seconds.median()) if len(seconds) else None,
        "first_answer": dates[0] if dates else "",
        "last_answer": dates[-1] if dates else "",
    }


def _quality(data: StudyAnswers, quality: list[RaterQuality]) -> Results:
    real = data.answers[(data.answers["kind"] == "real")]
    controls, passed = (sum(getattr(rater, name) for rater in quality) for name in ("controls", "controls_passed"))
    repeats, same = (sum(getattr(rater, name) for rater in quality) for name in ("repeats", "repeats_same"))
    return {
        "rule": data.rule.words() if data.has_rule else "the study was exported without a rule; no rater is excluded",
        "min_control_pass": data.rule.min_control_pass,
        "min_answered": data.rule.min_answered,
        "speed_fraction": data.rule.speed_fraction,
        "controls": controls,
        "controls_passed": passed,
        "repeats": repeats,
        "repeats_same": same,
        "sides": left_share(real) if data.mode in PAIR_MODES else None,
        "raters": [rater.to_json() for rater in quality],
    }


def _metrics(data: StudyAnswers, answers: pd.DataFrame, seed: int) -> Results:
    """Agreement of automatic metrics with the raters, per pair and question, and what stands in its way."""
    rows: list[Row] = []
    points: list[Row] = []
    missing: list[str] = []
    pairs: dict[tuple[str, str], tuple[dict[str, dict[str, float]], list[str]]] = {}
    for arm_a, arm_b, question, prompts, clusters, human in _human_differences(data, answers):
        if {arm_a, arm_b} & data.references:
            continue
        if (arm_a, arm_b) not in pairs:
            pairs[arm_a, arm_b] = metric_differences(data, arm_a, arm_b)
            missing += pairs[arm_a, arm_b][1]
        for metric, differences in pairs[arm_a, arm_b][0].items():
            kept = [place for place, prompt in enumerate(prompts) if prompt in differences]
            if len(kept) < 2:
                missing.append(f"{metric} of {arm_a} and {arm_b}: fewer than two prompts have both scores and ratings.")
                continue
            x = np.array([differences[prompts[place]] for place in kept])
            result = metric_agreement(x, human[kept], [clusters[place] for place in kept], seed)
            named = {"arm_a": arm_a, "arm_b": arm_b, "question": question, "metric": metric}
            rows.append({**named, "n_prompts": result.n_prompts, "n_decided": result.n_decided,
                         **_flat("tau_b", result.tau_b), **_flat("accuracy", result.accuracy)})  # fmt: skip
            points += [
                {
                    **named,
                    "prompt_id": prompts[place],
                    "metric_difference": float(x[number]),
                    "net": float(human[place]),
                }
                for number, place in enumerate(kept)
            ]
    return {"rows": rows, "points": points, "missing": list(dict.fromkeys(missing))}


def _human_differences(
    data: StudyAnswers, answers: pd.DataFrame
) -> list[tuple[str, str, str, list[str], list[str], np.ndarray]]:
    """(arm A, arm B, question, prompts, clusters, preference of A on each prompt)."""
    if data.mode in PAIR_MODES:
        return [
            (a, b, question, list(r.prompts), list(r.clusters), r.means[0] - r.means[2])
            for a, b, question, r in each_pair(data, answers)
        ]
    rated = list(each_arm(data, answers))
    return [
        (a, b, question, *prompt_differences(first, second))
        for number, (a, question, first) in enumerate(rated)
        for b, other_question, second in rated[number + 1 :]
        if question == other_question
    ]


def _flat(name: str, estimate: Estimate | None) -> Row:
    parts = asdict(estimate) if estimate is not None else {"value": None, "low": None, "high": None}
    return {name: parts["value"], f"{name}_low": parts["low"], f"{name}_high": parts["high"]}
