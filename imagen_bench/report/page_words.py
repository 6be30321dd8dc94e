"""The sentences of the page: its title, what was found, and the captions of its charts."""

from __future__ import annotations

from collections.abc import Sequence

from imagen_bench.report.data import RunData
from imagen_bench.report.figures import OTHERS
from imagen_bench.report.metric_words import (
    Metric,
    best_sentence,
    front_sentence,
    pareto_axes,
    pareto_points,
    weights_words,
    words_list,
)


def findings(runs: Sequence[RunData], metrics: Sequence[Metric]) -> list[str]:
    """Sentences that state what was found: the best of each score, and the weights that no other beats."""
    several = len(runs) > 1
    axes = pareto_axes(metrics)
    points = pareto_points(runs, *axes) if axes else None
    told = []
    for run in runs:
        told += [best_sentence(run, metric, several) for metric in metrics if len(run.overall(metric.name))]
        if points is not None and len(points):
            told.append(front_sentence(points, run.label, several))
    return [_unbroken(sentence) for sentence in told if sentence]


def overall_front(runs: Sequence[RunData], metrics: Sequence[Metric]) -> str:
    """Which points of several models no other point beats: "Not dominated: A at w = 2; B at w = 3 and 5."."""
    axes = pareto_axes(metrics)
    if axes is None:
        return ""
    points = pareto_points(runs, *axes)
    kept = points[points["non_dominated"]].groupby("model", sort=False)["guidance_weight"]
    told = [f"{model} at {weights_words(weights.tolist())}" for model, weights in kept]
    return _unbroken(f"Not dominated: {'; '.join(told)}.")


def _unbroken(sentence: str) -> str:
    """The sentence with no line break inside "w = 2" or "95 %"."""
    return sentence.replace("w = ", "w\u00a0=\u00a0").replace("95 %", "95\u00a0%")


def title_of(runs: Sequence[RunData]) -> str:
    """Title of the page."""
    if len(runs) == 1:
        return f"{runs[0].label}: guidance sweep on {runs[0].section('prompts').get('id', 'its prompts')}"
    return f"Comparison of {words_list([run.label for run in runs])}"


def lead_of(runs: Sequence[RunData]) -> str:
    """How many images of what, in a sentence a run, after the model where all runs share one."""
    models = {str(run.section("model").get("name") or "") for run in runs}
    parts = [f"Model {models.pop()}."] if len(runs) > 1 and len(models) == 1 and "" not in models else []
    for run in runs:
        count, weights = len(run.samples), len(run.weights)
        prompts = run.section("prompts")
        name = f"{run.label}: " if len(runs) > 1 else ""
        plural = "weight" if weights == 1 else "weights"
        source = f"{prompts.get('n', '?'):,}" if isinstance(prompts.get("n"), int) else "?"
        parts.append(f"{name}{count:,} images from {source} prompts at {weights} guidance {plural}.")
    return " ".join(parts)


def caption_of(key: str, runs: Sequence[RunData], metrics: Sequence[Metric]) -> str:
    """Caption of a chart."""
    if key == "pareto":
        head = "Each line joins one model's guidance weights in order. Filled points: no other plotted point is "
        head += "better on both scores. Thin bars: 95 % intervals. "
        return head + (overall_front(runs, metrics) if len(runs) > 1 else " ".join(findings(runs, metrics)))
    if key in ("weights", OTHERS):
        return "Scores against guidance weight; bands are 95 % intervals."
    if key == "memory":
        return "Highest memory use while images were generated, the libraries and the scorer's network included."
    if key == "timing":
        return "Median time of an image; the thin bar spans the middle half of the images."
    shared = " All heat maps share their colours." if len(runs) > 1 else ""
    return f"Darker is better.{shared} In brackets: the number of images per weight."
