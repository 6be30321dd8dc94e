"""`imagen-bench compare`: one run against another with paired tests, and gates for automatic checks."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from imagen_bench.bench.compare import Comparison
    from imagen_bench.bench.gates import GateResult


@click.command(name="compare")
@click.argument("run_a", type=click.Path(path_type=Path))
@click.argument("run_b", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), help="Folder for a page with the image pairs, and tables.")
@click.option("--top", type=click.IntRange(min=1), default=10, show_default=True, help="Prompts shown of each kind.")
@click.option(
    "--fail-if",
    "gates",
    multiple=True,
    metavar="CONDITION",
    help="Exit with 1 if the interval of B - A lies wholly beyond: --fail-if 'clip_score < -0.01' (repeatable).",
)
@click.option("--force", is_flag=True, help="Compare runs of different protocols, on the prompts that they share.")
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
@click.pass_context
def command(
    ctx: click.Context,
    run_a: Path,
    run_b: Path,
    out: Path | None,
    top: int,
    gates: tuple[str, ...],
    force: bool,
    as_json: bool,
) -> None:
    """Compare the run folder RUN_B (the candidate) with RUN_A (the baseline), prompt by prompt.

    Each metric's difference B - A at each common guidance weight, over all prompts and by category, with a 95 %
    interval and a p-value corrected for their number (Holm); then the prompts that changed most.

    A gate is METRIC[:CATEGORY][@WEIGHT] < or > NUMBER and speaks about B - A.
    """
    from imagen_bench.bench.compare import compare_runs
    from imagen_bench.bench.gates import check_gate, parse_gate
    from imagen_bench.bench.run_folder import RunFolder
    from imagen_bench.bench.run_scores import RunScores
    from imagen_bench.cli.compare_text import comparison_text
    from imagen_bench.report.compare_page import write_comparison
    from imagen_bench.report.differences import setting_differences

    parsed = [parse_gate(text) for text in gates]
    a, b = (RunScores(RunFolder.open(path), number) for number, path in enumerate((run_a, run_b)))
    comparison = compare_runs(a, b, force)
    results = [check_gate(gate, comparison.differences) for gate in parsed]
    for difference in comparison.forced:
        click.echo(f"warning: different protocols: {difference}", err=True)
    settings = setting_differences([a.folder.run, b.folder.run])
    page = write_comparison(comparison, (run_a, run_b), results, out, top, settings) if out is not None else None
    if as_json:
        click.echo(
            json.dumps({**_json(comparison, (run_a, run_b), results, page, top), "settings": dict(settings)}, indent=2)
        )
    else:
        click.echo(comparison_text(comparison, (run_a, run_b), settings, results, top))
        if page is not None:
            click.echo(f"\npage     {page}")
    for result in results:
        if result.failed:
            click.echo(f"gate failed: {result.gate}", err=True)
    if any(result.failed for result in results):
        ctx.exit(1)


def _json(
    comparison: Comparison, runs: tuple[Path, Path], gates: list[GateResult], page: Path | None, top: int
) -> dict[str, Any]:
    return {
        "a": str(runs[0]),
        "b": str(runs[1]),
        "differences": [difference.to_json() for difference in comparison.differences],
        "prompt_metric": comparison.prompt_metric,
        "most_regressed": [asdict(change) for change in comparison.most_regressed(top)],
        "most_improved": [asdict(change) for change in comparison.most_improved(top)],
        "gates": [asdict(result) for result in gates],
        "forced": list(comparison.forced),
        "notes": list(comparison.notes),
        "page": page and str(page),
    }
