"""The answer of `imagen-bench pareto` in lines for a terminal."""

from __future__ import annotations

from imagen_bench.bench.summary import aligned
from imagen_bench.bench.sweep_summary import (
    CurveComparison,
    ParetoSummary,
    Quantity,
    SweepPoint,
    SweepSummary,
    likely_knees,
)


def pareto_text(summary: ParetoSummary) -> str:
    """Return a block a run, then a line a pair of runs, then the notes."""
    blocks = [_run(run, summary) for run in summary.runs]
    if summary.comparisons:
        blocks.append("\n".join(_comparison(pair, summary) for pair in summary.comparisons))
    if summary.notes:
        blocks.append("\n".join(f"note: {note}" for note in summary.notes))
    return "\n\n".join(blocks)


def _run(run: SweepSummary, summary: ParetoSummary) -> str:
    several = len(summary.runs) > 1
    head = ["weight", summary.x.label, summary.y.label, "front", "P(dominated)", "P(best)"]
    if several:
        head.insert(4, "own front")
    table = [head, *(_point(point, several) for point in run.points)]
    others = [weight for weight in run.best_weights if weight != run.best_weight]
    best = f"best {summary.y.label}: {_words(run.best)} at w = {run.best_weight:g}"
    if run.best_weights:
        best += f"; {_weights(others)} cannot be told from it" if others else "; no other weight may be better"
    lines = [run.label, *aligned(table), best]
    if run.knee_weight is not None or any(weight is not None for weight, _ in run.knees):
        lines.append(f"knee: {_weight_or_none(run.knee_weight)}{_where_likely(run)}")
    x, y = (f"{value:.4g}" for value in summary.reference_point)
    lines.append(
        f"hypervolume: {_words(run.hypervolume)}, reference point {summary.x.label} {x}, {summary.y.label} {y}"
    )
    for at, value in run.at:
        found = _words(value) if value is not None else "the curve does not reach it"
        if value is not None and value.low is None and run.best_weights:
            found += " [open: it may not reach that far]"
        lines.append(f"{summary.y.label} at {summary.x.label} {at:g}: {found}")
    return "\n".join(lines)


def _where_likely(run: SweepSummary) -> str:
    shares = [f"{_weight_or_none(weight)} ({share:.2f})" for weight, share in likely_knees(run)]
    return f"; in 95 % of the draws: {', '.join(shares)}" if shares else ""


def _weight_or_none(weight: float | None) -> str:
    return "none" if weight is None else f"w = {weight:g}"


def _point(point: SweepPoint, several: bool) -> list[str]:
    cells = [f"{point.guidance_weight:g}", f"{point.x:.4g}", f"{point.y:.4g}", "yes" if point.on_front else "no"]
    if several:
        cells.append("yes" if point.on_own_front else "no")
    return [*cells, *("-" if share is None else f"{share:.2f}" for share in (point.p_dominated, point.p_best))]


def _comparison(pair: CurveComparison, summary: ParetoSummary) -> str:
    if pair.x_range is None:
        return f"{pair.second} against {pair.first}: the curves share no range of {summary.x.label}"
    low, high = (f"{value:.4g}" for value in pair.x_range)
    how = "paired by prompt" if pair.paired else "not paired"
    return (
        f"{pair.second} against {pair.first}: {summary.y.label} differs by {_words(pair.mean_gap)} on average over "
        f"{summary.x.label} {low} to {high} (area {_words(pair.area)}; {how})"
    )


def _weights(weights: list[float]) -> str:
    return "w = " + ", ".join(f"{weight:g}" for weight in weights)


def _words(value: Quantity | None) -> str:
    if value is None:
        return "-"
    if value.low is None or value.high is None:
        return f"{value.value:.4g}"
    return f"{value.value:.4g} [{value.low:.4g}, {value.high:.4g}]"
