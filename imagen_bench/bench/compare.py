"""One run against another, prompt by prompt: every score's difference with its interval and test.

Differences are those of the second run (B, the candidate) less the first (A, the baseline), on the samples that both
have: same prompt, same sample index, same guidance weight. Three methods:

- Scores of single samples (CLIP score): the differences of the pairs, Student's t with a standard error clustered by
  prompt.
- A Fréchet distance: jackknife over blocks of prompts of the difference itself, both runs without the same prompts.
- Anything else: from the two intervals as if the runs were independent (MOVER, Zou & Donner 2008, Statistics in
  Medicine 27, eq. 8). Runs on the same prompts agree in part by chance, so this is on the wide side.

Holm's correction runs over all metrics and weights of the whole prompt set, and apart from that over all categories.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from imagen_bench.bench.joint_scores import t_interval
from imagen_bench.bench.run_scores import RunScores, SampleKey, paired_difference
from imagen_bench.bench.same_protocol import check_same_protocol
from imagen_bench.errors import InputError
from imagen_bench.metrics.base import FloatArray
from imagen_bench.metrics.intervals import LEVEL, mean_interval
from imagen_bench.metrics.multiple_tests import holm

OVERALL = "all"
ALPHA = 1 - LEVEL
PAIRED_MEAN = "paired by sample, t clustered by prompt"
PAIRED_JACKKNIFE = "paired, jackknife over prompts"
UNPAIRED = "not paired, from the two intervals"


@dataclass(frozen=True)
class Difference:
    """How a score differs: B less A.

    Attributes:
        metric: Registry name.
        label: What people read.
        higher_is_better: Direction.
        guidance_weight: w.
        category: "all", or one category.
        a: Score of A on the common samples.
        b: Score of B.
        value: b - a.
        standard_error: Of the difference; None where there are too few prompts.
        degrees: Degrees of freedom of its t distribution.
        p: Two-sided p-value of no difference; None without a standard error.
        p_holm: The same, corrected over its family.
        n: Number of pairs of samples.
        method: How the standard error was found.
    """

    metric: str
    label: str
    higher_is_better: bool
    guidance_weight: float
    category: str
    a: float
    b: float
    value: float
    standard_error: float | None
    degrees: float
    p: float | None
    p_holm: float | None
    n: int
    method: str

    def interval(self, level: float = LEVEL) -> tuple[float, float] | None:
        """Return the interval of the difference at any level."""
        if self.standard_error is None:
            return None
        return t_interval(self.value, self.standard_error, self.degrees, level)

    @property
    def verdict(self) -> str:
        """What B is: "better", "worse", or "no difference shown"."""
        if self.p_holm is None or self.p_holm >= ALPHA or self.value == 0:
            return "no difference shown"
        return "better" if (self.value > 0) == self.higher_is_better else "worse"

    def to_json(self) -> dict[str, Any]:
        """Return all of it as JSON-able values."""
        low, high = self.interval() or (None, None)
        own = {name: getattr(self, name) for name in self.__dataclass_fields__}
        degrees = self.degrees if np.isfinite(self.degrees) else None
        return {**own, "degrees": degrees, "low": low, "high": high, "verdict": self.verdict}


@dataclass(frozen=True)
class PromptChange:
    """How the score of single samples of a prompt changed, over the common weights.

    Attributes:
        prompt_id: The prompt.
        prompt: Its text.
        category: Its category.
        difference: Mean of B less A over samples and weights.
        guidance_weight: Weight of the pair shown: that with the largest change in the same direction.
        index: Sample index of that pair.
        a: Its score in A.
        b: Its score in B.
        image_a: Its image in A.
        image_b: Its image in B.
    """

    prompt_id: str
    prompt: str
    category: str
    difference: float
    guidance_weight: float
    index: int
    a: float
    b: float
    image_a: str
    image_b: str


@dataclass(frozen=True)
class Comparison:
    """Two runs compared.

    Attributes:
        differences: By metric, weight, category.
        prompt_metric: Metric that orders the prompts; None where no metric has scores of single samples.
        changes: Every common prompt, most regressed first.
        forced: What differs between the protocols, if that was forced.
        notes: What a reader has to know.
    """

    differences: tuple[Difference, ...]
    prompt_metric: str | None
    changes: tuple[PromptChange, ...]
    forced: tuple[str, ...]
    notes: tuple[str, ...]

    def most_regressed(self, count: int) -> tuple[PromptChange, ...]:
        """Return the prompts whose score got worse most, the worst first; those that did not are no part of it."""
        return tuple(change for change in self.changes if self._sign * change.difference < 0)[:count]

    def most_improved(self, count: int) -> tuple[PromptChange, ...]:
        """Return the prompts whose score got better most, the best first."""
        return tuple(change for change in self.changes[::-1] if self._sign * change.difference > 0)[:count]

    @property
    def _sign(self) -> int:
        return next(
            (1 if row.higher_is_better else -1 for row in self.differences if row.metric == self.prompt_metric), 1
        )


def compare_runs(a: RunScores, b: RunScores, force: bool = False) -> Comparison:
    """Compare two runs.

    Args:
        a: The baseline.
        b: The candidate.
        force: Compare runs of different protocols, on what they share.

    Raises:
        ProtocolError: Different protocols and no `force`.
        InputError: No common metric, guidance weight or prompt.
    """
    metrics = [name for name in a.metrics() if name in b.metrics()]
    if not metrics:
        raise InputError(
            f"no common metric: A has {_listed(a.metrics())}, B has {_listed(b.metrics())}; score both alike"
        )
    forced = check_same_protocol(a.folder.run, b.folder.run, metrics, force)
    differences: list[Difference] = []
    for metric in metrics:
        weights = [weight for weight in a.weights(metric) if weight in b.weights(metric)]
        if not weights:
            raise InputError(
                f"no common guidance weight with {metric}: A has {_numbers(a.weights(metric))}, B has "
                f"{_numbers(b.weights(metric))}; add one to the other's sweep"
            )
        for weight in weights:
            differences += _differences(a, b, metric, weight)
    by_sample = next((name for name in metrics if a.has_samples_of(name) and b.has_samples_of(name)), None)
    changes = _prompt_changes(a, b, by_sample) if by_sample is not None else ()
    return Comparison(_corrected(differences), by_sample, changes, tuple(forced), tuple(_notes(a, b, metrics)))


def common_keys(a: RunScores, b: RunScores, weight: float) -> list[SampleKey]:
    """Return the samples that both runs have at a weight, of prompts with the same text, sorted.

    Raises:
        InputError: There are none.
    """
    texts_a, texts_b = a.prompts, b.prompts
    both = set(a.keys(weight)) & set(b.keys(weight))
    keys = sorted(key for key in both if texts_a[key[0]][0] == texts_b[key[0]][0])
    if not keys:
        raise InputError(f"the runs share no prompt and sample at w = {weight:g}: there is nothing to pair")
    return keys


def _differences(a: RunScores, b: RunScores, metric: str, weight: float) -> list[Difference]:
    keys = common_keys(a, b, weight)
    label, higher = a.describe(metric)
    common = (metric, label, higher, weight)
    if a.has_samples_of(metric) and b.has_samples_of(metric):
        one, two = (np.array([run.sample_values(metric, weight)[key] for key in keys]) for run in (a, b))
        prompts = [prompt for prompt, _ in keys]
        categories = np.array([a.prompts[prompt][1] for prompt in prompts])
        names = list(dict.fromkeys(categories.tolist()))
        found = [_of_means(common, OVERALL, one, two, prompts)]
        for name in names if len(names) > 1 else []:
            rows = np.flatnonzero(categories == name)
            found.append(_of_means(common, name, one[rows], two[rows], [prompts[row] for row in rows]))
        return found
    joint = paired_difference(a, b, metric, weight, keys)
    if joint is not None:
        old, new, error, degrees = joint
        return [_difference(common, OVERALL, (old, new), error, degrees, len(keys), PAIRED_JACKKNIFE)]
    return [_of_intervals(common, a, b, len(keys))]


def _of_means(
    common: tuple[str, str, bool, float], category: str, one: FloatArray, two: FloatArray, prompts: Sequence[str]
) -> Difference:
    degrees = len(set(prompts)) - 1
    interval = mean_interval(two - one, prompts)
    # The standard error behind an interval of t with these degrees.
    error = None if interval is None else (interval[1] - interval[0]) / (2 * t_interval(0.0, 1.0, degrees)[1])
    return _difference(common, category, (float(one.mean()), float(two.mean())), error, degrees, len(one), PAIRED_MEAN)


def _of_intervals(common: tuple[str, str, bool, float], a: RunScores, b: RunScores, n: int) -> Difference:
    metric, _, _, weight = common
    (old, old_low, old_high), (new, new_low, new_high) = (run.with_interval(metric, weight) for run in (a, b))
    # The wider side of MOVER's interval, as a standard error: a test with it never rejects too often for its side.
    widest = max(np.hypot(new - new_low, old_high - old), np.hypot(new_high - new, old - old_low))
    error = float(widest) / t_interval(0.0, 1.0, np.inf)[1] if np.isfinite(widest) else None
    return _difference(common, OVERALL, (old, new), error, np.inf, n, UNPAIRED)


def _difference(
    common: tuple[str, str, bool, float],
    category: str,
    values: tuple[float, float],
    error: float | None,
    degrees: float,
    n: int,
    method: str,
) -> Difference:
    from scipy.special import stdtr

    value = values[1] - values[0]
    p = None
    if error is not None:
        p = 2 * float(stdtr(degrees, -abs(value) / error)) if error > 0 else float(value == 0)
    return Difference(*common, category, *values, value, error, degrees, p, None, n, method)


def _corrected(differences: Sequence[Difference]) -> tuple[Difference, ...]:
    """Add Holm's p-values: one family of the whole prompt set, one of the categories."""
    corrected: dict[int, float | None] = {}
    for overall in (True, False):
        places = [place for place, item in enumerate(differences) if (item.category == OVERALL) == overall]
        corrected.update(zip(places, holm([differences[place].p for place in places]), strict=True))
    return tuple(replace(item, p_holm=corrected[place]) for place, item in enumerate(differences))


def _prompt_changes(a: RunScores, b: RunScores, metric: str) -> tuple[PromptChange, ...]:
    pairs: dict[str, list[tuple[float, int, float, float]]] = {}
    for weight in [weight for weight in a.weights(metric) if weight in b.weights(metric)]:
        old, new = a.sample_values(metric, weight), b.sample_values(metric, weight)
        for prompt, index in common_keys(a, b, weight):
            pairs.setdefault(prompt, []).append((weight, index, old[prompt, index], new[prompt, index]))
    direction = 1.0 if a.describe(metric)[1] else -1.0
    texts = a.prompts
    changes = []
    for prompt, found in pairs.items():
        mean = float(np.mean([new - old for _, _, old, new in found]))
        sign = 1.0 if mean >= 0 else -1.0
        weight, index, old_value, new_value = max(found, key=lambda pair: sign * (pair[3] - pair[2]))
        files = (str(run.image(weight, (prompt, index))) for run in (a, b))
        changes.append(PromptChange(prompt, *texts[prompt], mean, weight, index, old_value, new_value, *files))
    return tuple(sorted(changes, key=lambda change: (direction * change.difference, change.prompt_id)))


def _notes(a: RunScores, b: RunScores, metrics: Sequence[str]) -> list[str]:
    notes = []
    for name, own, other in (("A", a, b), ("B", b, a)):
        alone = [metric for metric in own.metrics() if metric not in metrics]
        if alone:
            notes.append(f"only {name} has {_listed(alone)}")
        left_out = sorted({weight for metric in metrics for weight in own.weights(metric)} - set(other.weights()))
        if left_out:
            notes.append(f"only {name} has scores at w = {_numbers(left_out)}")
        for weight in own.weights()[:1]:
            lost = len(own.keys(weight)) - (len(common_keys(a, b, weight)) if weight in other.weights() else 0)
            if lost and weight in other.weights():
                notes.append(f"{lost} of {len(own.keys(weight))} samples of {name} at w = {weight:g} have no pair")
    return notes


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names) or "none"


def _numbers(weights: Sequence[float]) -> str:
    return ", ".join(f"{weight:g}" for weight in weights) or "none"
