"""The short answers on top of a report: key numbers, how to cite them, and what to be careful about."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from imagen_bench.bench.pareto import best_index
from imagen_bench.errors import InputError
from imagen_bench.report.data import OVERALL, RunData
from imagen_bench.report.metric_facts import FACTS
from imagen_bench.report.metric_words import (
    Metric,
    decimals_for,
    format_interval,
    format_value,
    metrics_of,
    pareto_axes,
)

FEW_IMAGES = 10_000


@dataclass(frozen=True)
class Card:
    """A key number: what it is, the number, and where it comes from."""

    name: str
    value: str
    note: str


def cards(runs: Sequence[RunData], metrics: Sequence[Metric]) -> list[Card]:
    """Best value of the two main scores, how many images, and the speed of a single run."""
    found = []
    for metric in list(pareto_axes(metrics) or metrics[:2]):
        best = _best_of(runs, metric)
        if best is None:
            continue
        run, row, decimals = best
        where = f"w = {row['guidance_weight']:g}" + (f", {run.label}" if len(runs) > 1 else "")
        interval = format_interval(float(row["low"]), float(row["high"]), decimals).replace(" ", "\u00a0")
        value = format_value(float(row["value"]), decimals)
        found.append(Card(f"Best {metric.label}", value, f"{where} {interval}".strip()))
    images = sum(len(run.samples) for run in runs)
    if images:
        prompts = runs[0].samples["prompt_id"].nunique()
        count = len(runs[0].weights)
        note = f"{prompts:,} prompts, {count} guidance weight{'s' * (count != 1)}"
        found.append(Card("Images", f"{images:,}", note if len(runs) == 1 else "of all runs"))
    seconds = runs[0].section("timing").get("seconds_per_image") if len(runs) == 1 else None
    if isinstance(seconds, int | float) and seconds > 0:
        device = str(runs[0].section("host").get("device", ""))
        found.append(Card("Seconds per image", format_value(seconds, decimals_for([seconds])), device))
    return found


def cite_lines(runs: Sequence[RunData], metrics: Sequence[Metric]) -> list[str]:
    """One line a run with all that a reader needs to compare its numbers, at its best distance."""
    lines = []
    for run in runs:
        main = [metric for metric in metrics if len(run.overall(metric.name).dropna(subset=["value"]))]
        if not main:
            continue
        axes = pareto_axes(main)
        leading = axes[1] if axes else main[0]
        best = _best_of([run], leading)
        if best is None:
            continue
        weight = float(best[1]["guidance_weight"])
        told = [_told(run, metric, weight) for metric in (leading, *(m for m in main if m != leading))]
        version = run.section("versions").get("imagen-bench", "?")
        prompts = run.section("prompts")
        source = f"{prompts.get('id', '?')} (version {prompts.get('version', '?')})"
        lines.append(
            f"{_named(run)} at guidance weight {weight:g}: {'; '.join(filter(None, told))}. "
            f"Prompts: {source}. Protocols: {', '.join(_protocols(run))}. imagen-bench {version}."
        )
    return lines


def warnings_of(runs: Sequence[RunData], metrics: Sequence[Metric]) -> list[str]:
    """What a reader of the numbers should know before using them."""
    found = []
    for metric in metrics:
        counts = pd.concat([run.overall(metric.name)["n"] for run in runs]).dropna()
        facts = FACTS.get(metric.name)
        if facts is not None and facts.biased and len(counts) and counts.min() < FEW_IMAGES:
            bias = "depends on their number" if metric.higher_is_better else "is biased upward"
            found.append(
                f"{metric.label} of {int(counts.min()):,} images {bias}; compare it only with values of as many "
                "images and the same features."
            )
        if metric.name == "fd":
            found.append(f"{metric.label} is not FID: its features are not those of the Inception network.")
    for run in runs:
        notes = run.record.get("notes")
        name = f"{run.label}: " if len(runs) > 1 else ""
        found += [f"{name}{_sentence(str(note))}" for note in notes] if isinstance(notes, list) else []
        if run.record.get("continued_with"):
            found.append(f"{run.label} was continued with other library versions than it was started with.")
    return list(dict.fromkeys(found))


def _named(run: RunData) -> str:
    """The model, with the run's label where that is another name."""
    model = str(run.section("model").get("name") or run.label)
    return model if run.label == model else f"{model} ({run.label})"


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + ("" if text.endswith(".") else ".")


def _best_of(runs: Sequence[RunData], metric: Metric) -> tuple[RunData, pd.Series, int] | None:
    """Run and row of the best value, and the decimals its column is printed with."""
    rows = [(run, row) for run in runs for _, row in run.overall(metric.name).iterrows()]
    values = [float(row["value"]) for _, row in rows]
    try:
        place = best_index(values, metric.higher_is_better)
    except InputError:
        return None
    run, row = rows[place]
    return run, row, decimals_for(run.overall(metric.name)["value"])


def _told(run: RunData, metric: Metric, weight: float) -> str:
    """A score in words: "FD (...) 0.118, 95 % interval [0.110, 0.127], n = 240"."""
    rows = run.overall(metric.name)
    row = rows[rows["guidance_weight"] == weight]
    if row.empty:
        return ""
    decimals = decimals_for(rows["value"])
    value, low, high, n = (float(row[name].iloc[0]) for name in ("value", "low", "high", "n"))
    interval = format_interval(low, high, decimals)
    count = f", n = {int(n):,}" if math.isfinite(n) else ""
    return (
        f"{metric.label} {format_value(value, decimals)}" + (f", 95 % interval {interval}" if interval else "") + count
    )


def _protocols(run: RunData) -> list[str]:
    names = [metric.name for metric in metrics_of([run])]
    rows = run.scores[(run.scores["category"] == OVERALL) & run.scores["metric"].isin(names)]
    return list(dict.fromkeys(str(protocol) for protocol in rows["protocol"]))
