"""Names, directions and number formats of metrics in a report, and sentences that state what was found."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import pandas as pd

from imagen_bench.bench.pareto import best_index, non_dominated
from imagen_bench.errors import InputError
from imagen_bench.report.data import OVERALL, RunData, floats
from imagen_bench.report.metric_facts import FACTS


@dataclass(frozen=True)
class Metric:
    """A metric as the report prints it: registry name, label with its features, and direction."""

    name: str
    label: str
    higher_is_better: bool

    @property
    def direction(self) -> str:
        """Direction in words."""
        return "higher is better" if self.higher_is_better else "lower is better"

    @property
    def arrow(self) -> str:
        """Direction as an arrow for a table's head."""
        return "↑" if self.higher_is_better else "↓"


def metrics_of(runs: Sequence[RunData]) -> list[Metric]:
    """Metrics with overall scores, in the order of the first run that has them; CLIP score first."""
    names: dict[str, RunData] = {}
    for run in runs:
        for name in run.scores.loc[run.scores["category"] == OVERALL, "metric"]:
            names.setdefault(str(name), run)
    found = [describe_metric(run, name) for name, run in names.items()]
    return sorted(found, key=lambda metric: metric.name != "clip_score")


def describe_metric(run: RunData, name: str) -> Metric:
    """Label and direction of a metric: run.json's own words first, then ours.

    A Fréchet distance is labelled with its features and never "FID" unless the metric is the FID itself.
    """
    stated = run.section("protocols").get(name)
    stated = stated if isinstance(stated, dict) else {}
    facts = FACTS.get(name)
    label, higher = (facts.label, facts.higher_is_better) if facts else (name, not name.startswith("fd"))
    if name == "fd":
        features = run.section("config").get("scores", {}).get("extractor") or run.record.get("extractor") or "features"
        label = f"FD ({features} features)"
    return Metric(name, str(stated.get("label") or label), bool(stated.get("higher_is_better", higher)))


def interval_words(runs: Sequence[RunData], metric: Metric) -> str:
    """How the intervals of a metric are made: the runs' own words, else those of the metric; empty if nobody says."""
    from imagen_bench.metrics.base import metrics

    stated = (run.section("protocols").get(metric.name) for run in runs)
    words = [str(protocol["interval"]) for protocol in stated if isinstance(protocol, dict) and "interval" in protocol]
    if words:
        return words[0]
    return metrics.get(metric.name).interval_words if metric.name in metrics.names() else ""


def pareto_axes(metrics: Sequence[Metric]) -> tuple[Metric, Metric] | None:
    """The two metrics of the Pareto figure: the first one where higher is better; FID, or what else lower is better."""
    up = next((metric for metric in metrics if metric.higher_is_better), None)
    distances = [metric for metric in metrics if not metric.higher_is_better]
    down = next((metric for metric in distances if metric.name == "fid"), distances[0] if distances else None)
    return (up, down) if up and down else None


def pareto_points(runs: Sequence[RunData], x: Metric, y: Metric) -> pd.DataFrame:
    """Points of the Pareto figure, one row a run and weight that has both scores, in guidance order.

    Returns:
        Columns model, guidance_weight, x, x_low, x_high, y, y_low, y_high, n, best_of_model (no other weight
        of the same model beats it on both) and non_dominated (no point of any model does).
    """
    flags = (x.higher_is_better, y.higher_is_better)
    frames = []
    for run in runs:
        left = run.overall(x.name)[["guidance_weight", "value", "low", "high"]]
        right = run.overall(y.name)[["guidance_weight", "value", "low", "high", "n"]]
        left.columns = pd.Index(["guidance_weight", "x", "x_low", "x_high"])
        right.columns = pd.Index(["guidance_weight", "y", "y_low", "y_high", "n"])
        points = left.merge(right, on="guidance_weight").dropna(subset=["x", "y"])
        points.insert(0, "model", run.label)
        points["best_of_model"] = non_dominated(points[["x", "y"]].to_numpy(), flags)
        frames.append(points)
    together = pd.concat(frames, ignore_index=True)
    together["non_dominated"] = non_dominated(together[["x", "y"]].to_numpy(), flags)
    return together


def decimals_for(values: Iterable[float]) -> int:
    """Decimals that give the values about three significant digits, the same for a whole column."""
    finite = [abs(value) for value in values if math.isfinite(value) and value != 0]
    if not finite:
        return 2
    return min(6, max(0, 2 - math.floor(math.log10(max(finite)))))


def format_value(value: float, decimals: int) -> str:
    """A number with fixed decimals and thousands separators; a dash for a missing one."""
    return f"{value:,.{decimals}f}" if math.isfinite(value) else "–"


def format_interval(low: float, high: float, decimals: int) -> str:
    """An interval as "[low, high]"; empty where there is none."""
    if not (math.isfinite(low) and math.isfinite(high)):
        return ""
    return f"[{format_value(low, decimals)}, {format_value(high, decimals)}]"


def words_list(items: Sequence[str]) -> str:
    """Items as "a, b and c"."""
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}" if items else ""


def weights_words(weights: Sequence[float]) -> str:
    """Weights as "w = 1, 2 and 3"."""
    return "w = " + words_list([f"{weight:g}" for weight in weights])


def best_weight(run: RunData, metric: Metric) -> float | None:
    """The guidance weight of a run's best value of a metric; None without values."""
    rows = run.overall(metric.name).dropna(subset=["value"])
    if rows.empty:
        return None
    return float(rows["guidance_weight"].iloc[best_index(rows["value"].to_numpy(), metric.higher_is_better)])


def best_sentence(run: RunData, metric: Metric, with_label: bool) -> str:
    """Where the best value of a metric lies, and which weights cannot be told from it by their intervals."""
    rows = run.overall(metric.name).dropna(subset=["value"])
    try:
        best = rows.iloc[best_index(rows["value"].to_numpy(), metric.higher_is_better)]
    except InputError:
        return f"No {metric.label} could be computed."
    decimals = decimals_for(rows["value"])
    value = format_value(float(best["value"]), decimals)
    interval = format_interval(float(best["low"]), float(best["high"]), decimals)
    who = f"{run.label}: best" if with_label else "Best"
    sentence = f"{who} {metric.label} is {value} {interval}".rstrip() + f" at w = {best['guidance_weight']:g}"
    near = [
        weight
        for weight, low, high in floats(rows, "guidance_weight", "low", "high")
        if weight != best["guidance_weight"] and low <= best["high"] and high >= best["low"]
    ]
    return f"{sentence}; its interval overlaps that of {weights_words(near)}." if near else f"{sentence}."


def front_sentence(points: pd.DataFrame, label: str, with_label: bool) -> str:
    """Which weights of a model no other weight of it beats on both scores."""
    rows = points[points["model"] == label]
    kept, beaten = (rows.loc[rows["best_of_model"] == flag, "guidance_weight"].tolist() for flag in (True, False))
    who = f"{label}: among its own weights, not" if with_label else "Not"
    if not kept:
        return ""
    if not beaten:
        return f"{who} dominated: all {len(kept)} weights." if len(kept) > 1 else f"{who} dominated: its one weight."
    verb = "is" if len(beaten) == 1 else "are each"
    losers = f"{weights_words(beaten)} {verb} beaten on both scores by another weight"
    return f"{who} dominated: {weights_words(kept)}; {losers}."


def sample_count_words(counts: Iterable[float]) -> str:
    """Counts as "n = 240", or "n = 200–240" where they differ; empty if unknown."""
    known = sorted({int(count) for count in counts if math.isfinite(count)})
    if not known:
        return ""
    return f"n = {known[0]:,}" if len(known) == 1 else f"n = {known[0]:,}–{known[-1]:,}"
