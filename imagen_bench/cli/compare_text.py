"""The answer of `imagen-bench compare` in lines for a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from imagen_bench.bench.compare import Comparison, Difference, PromptChange
from imagen_bench.bench.gates import GateResult
from imagen_bench.bench.summary import aligned

_HEAD = ["metric", "weight", "category", "A", "B", "B - A", "95 % interval", "p", "p (Holm)", "B is"]


def comparison_text(
    comparison: Comparison,
    runs: Sequence[Path],
    settings: Sequence[tuple[str, Sequence[str]]],
    gates: Sequence[GateResult],
    top: int,
) -> str:
    """Return what is compared, the differences, the prompts that changed most, the gates and the notes."""
    compared = [["A, baseline", str(runs[0])], ["B, candidate", str(runs[1])]]
    for key, (a, b) in settings:
        if key.startswith("config."):
            compared.append(["differs", f"{key.removeprefix('config.')}: {a} in A, {b} in B"])
    blocks = ["\n".join(aligned(compared))]
    blocks.append("\n".join(aligned([_HEAD, *(_row(row) for row in comparison.differences)])))
    if comparison.prompt_metric is not None:
        for words, changes in (
            ("most regressed", comparison.most_regressed(top)),
            ("most improved", comparison.most_improved(top)),
        ):
            rows = [_change(change) for change in changes]
            head = f"{words} prompts by {comparison.prompt_metric}, mean over the common weights"
            blocks.append("\n".join([head, *aligned(rows)]) if rows else f"{head}: none")
    if gates:
        blocks.append("\n".join(_gate(gate) for gate in gates))
    if comparison.notes:
        blocks.append("\n".join(f"note: {note}" for note in comparison.notes))
    return "\n\n".join(blocks)


def _row(row: Difference) -> list[str]:
    interval = row.interval()
    words = f"[{interval[0]:.4g}, {interval[1]:.4g}]" if interval is not None else "-"
    ps = ["-" if p is None else f"{p:.3g}" for p in (row.p, row.p_holm)]
    values = [f"{value:.4g}" for value in (row.a, row.b)]
    return [
        row.metric, f"{row.guidance_weight:g}", row.category, *values, f"{row.value:+.4g}", words, *ps, row.verdict,
    ]  # fmt: skip


def _change(change: PromptChange) -> list[str]:
    return [f"{change.difference:+.4f}", change.prompt_id, change.prompt, change.image_a, change.image_b]


def _gate(result: GateResult) -> str:
    rows = [row for row in result.rows if row.failed] or result.rows
    shown = "; ".join(f"w = {row.guidance_weight:g}: {row.value:+.4g} [{row.low:.4g}, {row.high:.4g}]" for row in rows)
    return f"gate {result.gate}: {'FAILED' if result.failed else 'passed'} ({shown})"
