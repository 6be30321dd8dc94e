"""Everything that is estimated from a set of un-blinded answers, as rows for tables, figures and results.json."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd

from imagen_bench.human.statistics.agreement import Scale, agreement, count_matrix
from imagen_bench.human.statistics.bradley_terry import (
    ELO_SCALE,
    bootstrap_strengths,
    unconnected_groups,
)
from imagen_bench.human.statistics.intervals import cluster_t_interval
from imagen_bench.human.statistics.people import mentions_people
from imagen_bench.human.statistics.preferences import (
    ALL,
    OUTCOMES,
    Estimate,
    Preference,
    Score,
    preferences,
    score,
    scores,
)
from imagen_bench.human.statistics.ratings import Ratings, answers_to_ratings
from imagen_bench.human.statistics.significance import cluster_t_p
from imagen_bench.human.unblind import PAIR_MODES, SCALES, UNABLE, StudyAnswers
from imagen_bench.metrics.base import FloatArray
from imagen_bench.metrics.intervals import Interval
from imagen_bench.metrics.multiple_tests import holm

Row = dict[str, Any]
_MIN_ARMS_BRADLEY_TERRY = 3


def real_answers(data: StudyAnswers, excluded: frozenset[str]) -> pd.DataFrame:
    """Return the answers that count: real items, judged, by raters who are not excluded."""
    answers = data.answers
    counts = (answers["kind"] == "real") & (answers["outcome"] != UNABLE) & ~answers["rater"].isin(excluded)
    return answers[counts]


def estimate_all(data: StudyAnswers, answers: pd.DataFrame, seed: int) -> dict[str, list[Row]]:
    """Return every estimate of a study, as lists of flat rows.

    Args:
        data: The study.
        answers: From `real_answers`.
        seed: Seed of bootstraps and permutations.
    """
    found: dict[str, list[Row]] = {"agreement": _agreement_rows(data, answers, seed)}
    if data.mode in PAIR_MODES:
        found["preference"] = _preference_rows(data, answers, seed)
        found["majority"] = _majority_rows(data, answers)
        found["bradley_terry"] = _bradley_terry_rows(data, answers, seed)
    else:
        found["scores"] = _score_rows(data, answers, seed)
        found["differences"] = _difference_rows(data, answers)
    found["coco"] = _coco_rows(data, answers, seed)
    return found


def each_pair(data: StudyAnswers, answers: pd.DataFrame) -> Iterator[tuple[str, str, str, Ratings]]:
    """Yield (arm A, arm B, question, ratings of the three outcomes) of the pairs that were compared."""
    for arm_a, arm_b in itertools.combinations(data.arms, 2):
        for question in data.questions:
            rows = answers[
                (answers["arm_a"] == arm_a) & (answers["arm_b"] == arm_b) & (answers["question"] == question)
            ]
            if len(rows):
                yield arm_a, arm_b, question, pair_ratings(rows)


def each_arm(data: StudyAnswers, answers: pd.DataFrame) -> Iterator[tuple[str, str, Ratings]]:
    """Yield (arm, question, ratings on the study's scale) of the arms that were rated one image at a time."""
    for arm, question in itertools.product(data.arms, data.questions):
        rows = answers[(answers["arm_a"] == arm) & (answers["question"] == question)]
        if len(rows):
            values = np.array([SCALES[data.mode][answer] for answer in rows["answer"]], dtype=np.float64)
            yield arm, question, _to_ratings(rows, values[:, None])


def pair_ratings(rows: pd.DataFrame) -> Ratings:
    """Return the ratings of one pair and question: indicators of `OUTCOMES`."""
    outcome = rows["outcome"].to_numpy()
    return _to_ratings(rows, np.stack([outcome == name for name in OUTCOMES], axis=1).astype(np.float64))


def _to_ratings(rows: pd.DataFrame, values: FloatArray) -> Ratings:
    about = {
        str(prompt): (str(cluster), str(category))
        for prompt, cluster, category in zip(rows["prompt_id"], rows["cluster_id"], rows["category"], strict=True)
    }
    return answers_to_ratings(values, rows["prompt_id"].tolist(), rows["rater"].tolist(), about)


def _preference_rows(data: StudyAnswers, answers: pd.DataFrame, seed: int) -> list[Row]:
    return [
        {"arm_a": arm_a, "arm_b": arm_b, "question": question, **_flat_preference(part)}
        for arm_a, arm_b, question, ratings in each_pair(data, answers)
        for part in preferences(ratings, data.categories, seed)
    ]


def _flat_preference(part: Preference) -> Row:
    named = {f"share_{name}": estimate for name, estimate in part.shares.items()}
    estimates = {**named, "net": part.net, "win_rate": part.win_rate}
    return {
        **_counts(part),
        **{key: value for name, estimate in estimates.items() for key, value in _flat(name, estimate).items()},
        "p": part.p,
        "p_sign_flip": part.p_sign_flip,
        "p_holm": part.p_holm,
        "method": part.method,
        "different": part.different,
        "few_prompts": part.few_prompts,
    }


def _counts(part: Preference | Score) -> Row:
    return {
        "category": part.category,
        "n_prompts": part.n_prompts,
        "n_ratings": part.n_ratings,
        "n_raters": part.n_raters,
    }


def _flat(name: str, estimate: Estimate) -> Row:
    return {name: estimate.value, f"{name}_low": estimate.low, f"{name}_high": estimate.high}


def _majority_rows(data: StudyAnswers, answers: pd.DataFrame) -> list[Row]:
    """Each prompt counts for the outcome that most of its ratings chose; equal numbers are "split"."""
    found = []
    for arm_a, arm_b, question, ratings in each_pair(data, answers):
        votes = ratings.sums.sum(axis=2)
        top = votes == votes.max(axis=0)
        winner = np.where(top.sum(axis=0) > 1, len(OUTCOMES), top.argmax(axis=0))
        for category in (ALL, *data.categories):
            inside = np.array([category in (ALL, own) for own in ratings.categories], dtype=bool)
            if inside.any():
                counts = np.bincount(winner[inside], minlength=4).tolist()
                words = dict(zip((*(f"prompts_{name}" for name in OUTCOMES), "prompts_split"), counts, strict=True))
                pair = {"arm_a": arm_a, "arm_b": arm_b, "question": question, "category": category}
                found.append({**pair, "n_prompts": int(inside.sum()), **words})
    return found


def _bradley_terry_rows(data: StudyAnswers, answers: pd.DataFrame, seed: int) -> list[Row]:
    """One row a question: arms, strengths, Elo, win matrix; or why there is none."""
    if len(data.arms) < _MIN_ARMS_BRADLEY_TERRY:
        return []
    found = []
    for question in data.questions:
        rows = answers[answers["question"] == question]
        prompt_wins, clusters = _prompt_wins(data, rows)
        total = prompt_wins.sum(axis=0)
        games = total + total.T
        rates = [
            [won / n if n else None for won, n in zip(*line, strict=True)] for line in zip(total, games, strict=True)
        ]
        row: Row = {"question": question, "arms": list(data.arms), "win_rates": _plain(rates), "refused": ""}
        groups = unconnected_groups(total, data.arms)
        if len(groups) > 1:
            named = "; ".join(", ".join(group) for group in groups)
            row["refused"] = (
                f"no strengths for {question}: the arms fall into groups that never lost to, or never met, each "
                f"other ({named}); compare more pairs or prompts"
            )
        else:
            row.update(_strengths(prompt_wins, clusters, seed))
        found.append(row)
    return found


def _strengths(prompt_wins: FloatArray, clusters: Sequence[str], seed: int) -> Row:
    fit = bootstrap_strengths(prompt_wins, clusters, seed)
    edges = {"low": fit.low, "high": fit.high}
    return {
        "theta": fit.theta.tolist(),
        **{f"theta_{name}": None if edge is None else edge.tolist() for name, edge in edges.items()},
        "elo": (1000 + ELO_SCALE * fit.theta).tolist(),
        "n_prompts": len(prompt_wins),
    }


def _prompt_wins(data: StudyAnswers, rows: pd.DataFrame) -> tuple[FloatArray, list[str]]:
    """P x K x K wins in shares of each prompt's ratings of a pair, ties as half; and the prompts' clusters."""
    place = {label: number for number, label in enumerate(data.arms)}
    prompts = sorted(rows["prompt_id"].unique())
    line = {prompt: number for number, prompt in enumerate(prompts)}
    wins = np.zeros((len(prompts), len(place), len(place)))
    points = rows["outcome"].map({"a": 1.0, "tie": 0.5, "b": 0.0})
    means = points.groupby([rows["prompt_id"], rows["arm_a"], rows["arm_b"]]).mean()
    for key, value in means.items():
        prompt, arm_a, arm_b = key if isinstance(key, tuple) else (key, "", "")
        wins[line[prompt], place[arm_a], place[arm_b]] = value
        wins[line[prompt], place[arm_b], place[arm_a]] = 1 - value
    clusters = rows.drop_duplicates("prompt_id").set_index("prompt_id")["cluster_id"]
    return wins, [str(clusters[prompt]) for prompt in prompts]


def _plain(rates: Sequence[Sequence[float | None]]) -> list[list[float | None]]:
    return [[None if rate is None else float(rate) for rate in line] for line in rates]


def _agreement_rows(data: StudyAnswers, answers: pd.DataFrame, seed: int) -> list[Row]:
    order: tuple[str, ...] = OUTCOMES if data.mode in PAIR_MODES else tuple(SCALES[data.mode])
    scale: Scale = "nominal" if data.mode in PAIR_MODES else "ordinal"
    found = []
    for question in data.questions:
        rows = answers[answers["question"] == question]
        if not len(rows):
            continue
        units = rows["arm_a"] + "\x1f" + rows["arm_b"] + "\x1f" + rows["prompt_id"]
        result = agreement(count_matrix(units.tolist(), rows["outcome"].tolist(), order), scale, seed)
        found.append({"question": question, "scale": scale, **asdict(result)})
    return found


def _score_rows(data: StudyAnswers, answers: pd.DataFrame, seed: int) -> list[Row]:
    return [
        {"arm": arm, "question": question, **_flat_score(part)}
        for arm, question, ratings in each_arm(data, answers)
        for part in scores(ratings, data.categories, scale_ends(data.mode), seed)
    ]


def scale_ends(mode: str) -> Interval:
    """Return the lowest and the highest value of an absolute scale."""
    values = SCALES[mode].values()
    return min(values), max(values)


def _flat_score(part: Score) -> Row:
    return {**_counts(part), **_flat("mean", part.mean), "method": part.method}


def _difference_rows(data: StudyAnswers, answers: pd.DataFrame) -> list[Row]:
    """Differences of two arms' scores on the prompts that both have; Holm over the pairs of a question."""
    by_question: dict[str, dict[str, Ratings]] = {}
    for arm, question, ratings in each_arm(data, answers):
        by_question.setdefault(question, {})[arm] = ratings
    found = []
    for question, arms in by_question.items():
        rows = [
            {"arm_a": a, "arm_b": b, "question": question, **_difference(arms[a], arms[b])}
            for a, b in itertools.combinations(arms, 2)
            if set(arms[a].prompts) & set(arms[b].prompts)
        ]
        for row, p in zip(rows, holm([row["p"] for row in rows]), strict=True):
            row["p_holm"] = p
        found += rows
    return found


def prompt_differences(one: Ratings, other: Ratings) -> tuple[list[str], list[str], FloatArray]:
    """Return ids and clusters of the prompts that two arms share, and the differences of their mean scores."""
    left = dict(zip(one.prompts, one.means[0], strict=True))
    right = dict(zip(other.prompts, other.means[0], strict=True))
    clusters = dict(zip(one.prompts, one.clusters, strict=True))
    shared = [prompt for prompt in one.prompts if prompt in right]
    return shared, [clusters[p] for p in shared], np.array([left[p] - right[p] for p in shared])


def _difference(one: Ratings, other: Ratings) -> Row:
    shared, clusters, values = prompt_differences(one, other)
    interval = cluster_t_interval(values, clusters)
    low, high = interval if interval is not None else (None, None)
    p = cluster_t_p(float(values.mean()), interval, len(set(clusters)) - 1)
    return {"n_prompts": len(shared), "difference": float(values.mean()), "low": low, "high": high, "p": p}


def _coco_rows(data: StudyAnswers, answers: pd.DataFrame, seed: int) -> list[Row]:
    """The table of Imagen's COCO study: photorealism rate or alignment score, all prompts and without people."""
    if data.mode not in ("photorealism", "alignment"):
        return []
    peopled = {str(p): mentions_people(str(t)) for p, t in zip(data.key["prompt_id"], data.key["prompt"], strict=True)}
    found = []
    for arm, question, ratings in _coco_ratings(data, answers):
        kept = np.array([not peopled[prompt] for prompt in ratings.prompts], dtype=bool)
        for subset, part in (("all prompts", ratings), ("no people", ratings.keep(kept) if kept.any() else None)):
            if part is not None:
                row = _flat_score(score(part, subset, (0.0, 100.0), seed))
                found.append({"arm": arm, "question": question, "measure": _MEASURES[data.mode], **row})
    return found


_MEASURES = {"photorealism": "photorealism rate", "alignment": "alignment score"}


def _coco_ratings(data: StudyAnswers, answers: pd.DataFrame) -> Iterator[tuple[str, str, Ratings]]:
    """Ratings in per cent: preference of a model over the reference, or the alignment score of an arm."""
    if data.mode == "alignment":
        yield from each_arm(data, answers)
        return
    for arm_a, arm_b, question, ratings in each_pair(data, answers):
        if arm_b in data.references and arm_a not in data.references:
            percent = 100 * (ratings.sums[:1] + ratings.sums[1:2] / 2)
            yield (
                arm_a,
                question,
                Ratings(percent, ratings.counts, ratings.prompts, ratings.clusters, ratings.categories),
            )
