"""The scores of runs, ready to be computed again without some prompts: from the run folders alone.

A metric with scores of single samples (CLIP score) is the mean of those in samples_scores.parquet. A Fréchet distance
is computed from the run's features and its reference set's moments, both kept in the run folder; which features
belong to a metric is settled by the value in scores.csv, which they have to give.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from imagen_bench.bench.joint_scores import IntArray, JointScores, Part, Score, joint_jackknife
from imagen_bench.bench.run_folder import RunFolder, weight_folder
from imagen_bench.errors import ConfigError, ImagenBenchError
from imagen_bench.files import digest_json
from imagen_bench.metrics.base import FloatArray
from imagen_bench.metrics.statistics import GaussianStatistics, RunningMoments, load_statistics

SampleKey = tuple[str, int]
# A value in scores.csv has all its digits; another machine's linear algebra moves the last ones.
_SAME_VALUE = 1e-4


@dataclass(frozen=True)
class ScoreId:
    """One overall score: number of the run, metric, guidance weight."""

    run: int
    metric: str
    guidance_weight: float


class SampleMean:
    """Mean of scores of single samples, float64 N."""

    def __init__(self, values: FloatArray) -> None:
        self._values = values
        self.value = float(values.mean())

    def without(self, groups: Sequence[IntArray]) -> FloatArray:
        """Return the mean without each group of samples."""
        total, count = self._values.sum(), len(self._values)
        return np.array([(total - self._values[rows].sum()) / (count - len(rows)) for rows in groups])


class FrechetOfFeatures:
    """Fréchet distance of features, float32 N x D, to a reference set's moments."""

    def __init__(self, features: FloatArray, reference: GaussianStatistics) -> None:
        from imagen_bench.metrics.frechet import FrechetFit

        moments = RunningMoments(features.shape[1])
        moments.update(features)
        self._fit = FrechetFit(moments, reference, features.astype(np.float64))
        self.value = self._fit.distance

    def without(self, groups: Sequence[IntArray]) -> FloatArray:
        """Return the distance without each group of images."""
        return self._fit.without(groups)


class RunScores:
    """The overall scores of one run, by sample.

    Args:
        folder: The run folder.
        number: Its number among the runs looked at, for `ScoreId`.
    """

    def __init__(self, folder: RunFolder, number: int = 0) -> None:
        self.folder, self.number = folder, number
        self._samples = folder.samples()
        self._scores = folder.scores()
        self._spaces: dict[str, tuple[Path, GaussianStatistics] | None] = {}

    @cached_property
    def _per_sample(self) -> dict[tuple[str, float], dict[SampleKey, float]]:
        found: dict[tuple[str, float], dict[SampleKey, float]] = {}
        table = self.folder.sample_scores()[["metric", "guidance_weight", "prompt_id", "index", "value"]]
        for metric, weight, prompt_id, index, value in table.itertuples(index=False):
            found.setdefault((str(metric), float(weight)), {})[str(prompt_id), int(index)] = float(value)
        return found

    @cached_property
    def _paths(self) -> dict[float, dict[SampleKey, str]]:
        found: dict[float, dict[SampleKey, str]] = {}
        table = self._samples[["guidance_weight", "prompt_id", "index", "path"]]
        for weight, prompt_id, index, path in table.itertuples(index=False):
            found.setdefault(float(weight), {})[str(prompt_id), int(index)] = str(path)
        return found

    def value(self, metric: str, weight: float) -> float:
        """Return an overall score of scores.csv."""
        return self.with_interval(metric, weight)[0]

    def with_interval(self, metric: str, weight: float) -> tuple[float, float, float]:
        """Return an overall score of scores.csv with the ends of its interval; NaN where there is none."""
        rows = self._scores[(self._scores["metric"] == metric) & (self._scores["guidance_weight"] == weight)]
        value, low, high = rows.loc[rows["category"] == "all", ["value", "low", "high"]].astype(float).iloc[0]
        return float(value), float(low), float(high)

    def metrics(self) -> tuple[str, ...]:
        """Return the metrics with overall scores, in the order of scores.csv."""
        return tuple(dict.fromkeys(self._scores.loc[self._scores["category"] == "all", "metric"].astype(str)))

    def describe(self, metric: str) -> tuple[str, bool]:
        """Return a metric's label and whether higher is better, from run.json or, failing that, the metric itself."""
        stated = (self.folder.run.get("protocols") or {}).get(metric) or {}
        if "higher_is_better" in stated:
            return str(stated.get("label") or metric), bool(stated["higher_is_better"])
        return metric, _direction(metric)

    def weights(self, *metrics: str) -> tuple[float, ...]:
        """Return the guidance weights with a finite overall score of every metric (without one: of any), ascending."""
        overall = self._scores[(self._scores["category"] == "all") & np.isfinite(self._scores["value"])]
        if not metrics:
            return tuple(sorted(set(overall["guidance_weight"])))
        found = [set(overall.loc[overall["metric"] == metric, "guidance_weight"]) for metric in metrics]
        return tuple(sorted(set.intersection(*found)))

    def keys(self, weight: float) -> list[SampleKey]:
        """Return (prompt id, sample index) of each sample at a weight, in the order of the samples table."""
        return list(self._paths.get(weight, {}))

    def image(self, weight: float, key: SampleKey) -> Path:
        """Return the image file of a sample."""
        return self.folder.image({"path": self._paths[weight][key]})

    @cached_property
    def prompts(self) -> dict[str, tuple[str, str]]:
        """Text and category of each prompt by its id."""
        rows = self._samples.drop_duplicates("prompt_id")[["prompt_id", "prompt", "category"]].astype(str)
        return {prompt_id: (text, category) for prompt_id, text, category in rows.itertuples(index=False)}

    def has_samples_of(self, metric: str) -> bool:
        """Return whether a metric has scores of single samples."""
        return any(name == metric for name, _ in self._per_sample)

    def sample_values(self, metric: str, weight: float) -> dict[SampleKey, float]:
        """Return the scores of single samples at a weight."""
        return self._per_sample.get((metric, weight), {})

    def dim(self, metric: str) -> int | None:
        """Return the dimension of what a metric can be computed from again; None where it cannot be.

        1 stands for scores of single samples.
        """
        if self.has_samples_of(metric):
            return 1
        space = self._space(metric)
        return space[1].dim if space is not None else None

    def open(self, metric: str, weight: float, keys: Sequence[SampleKey]) -> Score:
        """Return a score of the samples of these keys; `dim(metric)` is not None.

        Raises:
            KeyError: One of them is not there.
        """
        if self.has_samples_of(metric):
            values = self.sample_values(metric, weight)
            return SampleMean(np.array([values[key] for key in keys]))
        space = self._space(metric)
        features = None if space is None else self._features(space[0], weight)
        if space is None or features is None:
            raise KeyError(metric)
        row_of = {key: row for row, key in enumerate(self.keys(weight))}
        return FrechetOfFeatures(features[[row_of[key] for key in keys]], space[1])

    def _space(self, metric: str) -> tuple[Path, GaussianStatistics] | None:
        """Return the features' folder and the reference moments that give a metric's values; None if none does."""
        if metric not in self._spaces:
            found = [space for space in self._reference_files(metric) if self._gives(metric, *space)]
            self._spaces[metric] = found[0] if found else None
        return self._spaces[metric]

    def _reference_files(self, metric: str) -> list[tuple[Path, GaussianStatistics]]:
        if not _is_frechet(metric):
            return []
        found = []
        for file in sorted((self.folder.path / "features").glob("*/reference*.safetensors")):
            try:
                found.append((file.parent, load_statistics(file)))
            except ImagenBenchError:
                continue
        return found

    def _gives(self, metric: str, folder: Path, reference: GaussianStatistics) -> bool:
        for weight in self.weights(metric)[:1]:
            features, value = self._features(folder, weight), self.value(metric, weight)
            if features is not None and features.shape[1] == reference.dim:
                return abs(FrechetOfFeatures(features, reference).value - value) <= _SAME_VALUE * max(abs(value), 1e-9)
        return False

    def _features(self, folder: Path, weight: float) -> FloatArray | None:
        """Return the features of a weight's images, if the file is of these images."""
        from safetensors import SafetensorError, safe_open

        file = folder / f"{weight_folder(weight)}.safetensors"
        rows = self._samples[self._samples["guidance_weight"] == weight]
        try:
            with safe_open(file, framework="numpy") as stream:
                digest = (stream.metadata() or {}).get("digest")
                features: FloatArray = stream.get_tensor("features")
        except (SafetensorError, OSError):
            return None
        same = digest == digest_json(rows["sha256"].tolist())
        return features if same and len(features) == len(rows) else None


def joint_scores(runs: Sequence[RunScores], ids: Sequence[ScoreId], seed: int = 0) -> JointScores | None:
    """Return scores of one or several runs with their joint distribution.

    Runs whose samples have the same prompts and indices are paired: one part. Others are independent: a part each.

    Args:
        runs: The runs; `ScoreId.run` counts them.
        ids: P scores.
        seed: Seed of the draw of prompts to leave out.

    Returns:
        The scores in the order of `ids`; None where one cannot be computed again or there are too few prompts.
    """
    dims = [runs[score.run].dim(score.metric) for score in ids]
    if not ids or any(dim is None for dim in dims):
        return None
    groups: dict[tuple[SampleKey, ...], list[int]] = {}
    for place, score in enumerate(ids):
        keys = tuple(sorted(runs[score.run].keys(score.guidance_weight)))
        groups.setdefault(keys, []).append(place)
    parts: list[Part] = []
    for keys, places in groups.items():
        openers = [_opener(runs[ids[place].run], ids[place], keys) for place in places]
        part = joint_jackknife(openers, [prompt for prompt, _ in keys], seed)
        if part is None:
            return None
        parts.append(part)
    return JointScores(tuple(parts), np.argsort([place for places in groups.values() for place in places]))


def paired_difference(
    a: RunScores, b: RunScores, metric: str, weight: float, keys: Sequence[SampleKey]
) -> tuple[float, float, float | None, int] | None:
    """Return a score of two runs on the same samples, the standard error of the difference and its degrees.

    Args:
        a: First run.
        b: Second run.
        metric: A metric that has no scores of single samples.
        weight: Guidance weight.
        keys: Samples that both have.

    Returns:
        Score of `a`, score of `b`, standard error (None with too few prompts), degrees of freedom; None where the
        scores cannot be computed again.
    """
    dims = (a.dim(metric), b.dim(metric))
    if dims[0] is None or dims[0] != dims[1]:
        return None
    openers = [_opener(run, ScoreId(run.number, metric, weight), keys) for run in (a, b)]
    part = joint_jackknife(openers, [prompt for prompt, _ in keys])
    if part is None:
        old, new = (opener().value for opener in openers)
        return old, new, None, 0
    old, new = part.estimate.tolist()
    return old, new, part.variance(np.array([-1.0, 1.0])) ** 0.5, len(part.single) - 1


def _opener(run: RunScores, score: ScoreId, keys: Sequence[SampleKey]) -> Callable[[], Score]:
    return lambda: run.open(score.metric, score.guidance_weight, keys)


def _direction(metric: str) -> bool:
    from imagen_bench.metrics.base import metrics

    return metrics.get(metric).higher_is_better


def _is_frechet(metric: str) -> bool:
    from imagen_bench.metrics.base import metrics
    from imagen_bench.metrics.frechet import FrechetDistance

    try:
        return issubclass(metrics.get(metric), FrechetDistance)
    except ConfigError:
        return False
