"""`imagen-bench pareto`: the guidance sweeps of some runs in the plane of their two main scores."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from imagen_bench.bench.sweep_summary import ParetoSummary
    from imagen_bench.report.data import RunData


class Point(click.ParamType[Any]):
    """Two numbers separated by a comma."""

    name = "point"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[float, float]:
        """Return the two numbers."""
        try:
            x, y = (float(part) for part in str(value).split(","))
        except ValueError:
            self.fail(f"{value!r} is not two numbers such as 0.2,50", param, ctx)
        return x, y


@click.command(name="pareto")
@click.argument("runs", nargs=-1, required=True, metavar="RUN...", type=click.Path(path_type=Path))
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Draw the figure too: .png, .svg or .pdf. The plotted numbers go beside it as .csv.",
)
@click.option(
    "--at-clip", "at", type=float, multiple=True, metavar="X", help="Give FD at this CLIP score (repeatable)."
)
@click.option(
    "--reference-point",
    type=Point(),
    metavar="X,Y",
    help="Worst CLIP score and FD of the hypervolume. Default: the worst of all points.",
)
@click.option(
    "--width",
    type=click.Choice(["full", "column"]),
    default="full",
    show_default=True,
    help="Printed width: the page (7 in) or a paper's column (3.4 in).",
)
@click.option("--force", is_flag=True, help="Put scores of different protocols together.")
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
def command(
    runs: tuple[Path, ...],
    out: Path | None,
    at: tuple[float, ...],
    reference_point: tuple[float, float] | None,
    width: str,
    force: bool,
    as_json: bool,
) -> None:
    """Say what the guidance sweeps in the run folders RUN show, CLIP score against FD, and draw them.

    Which weights no other beats and how sure that is; best FD, knee, hypervolume, FD at a given CLIP score; the area
    between the curves of two runs. Everything has a 95 % interval and comes from the run folders alone.
    """
    from imagen_bench.report.data import check_protocols, load_runs

    suffix = _suffix(out)
    data = load_runs(runs)
    for metric, ids in check_protocols(data, force).items():
        click.echo(f"warning: {metric} of different protocols together: {', '.join(ids)}", err=True)
    summary = _summarize(data, at, reference_point)
    figure = _draw(data, out, suffix, width) if out is not None else {}
    if as_json:
        click.echo(json.dumps({**figure, **asdict(summary)}, indent=2))
        return
    click.echo(_text(summary))
    if out is not None:
        click.echo(f"\nfigure   {out}")


def _suffix(out: Path | None) -> str:
    from imagen_bench.report.style import SUFFIXES

    suffix = out.suffix.lower().removeprefix(".") if out is not None else ""
    if out is not None and suffix not in SUFFIXES:
        raise click.BadParameter(
            f"{out.name!r} ends in {out.suffix!r}, expected .png, .svg or .pdf", param_hint="--out"
        )
    return suffix


def _summarize(
    data: Sequence[RunData], at: tuple[float, ...], reference_point: tuple[float, float] | None
) -> ParetoSummary:
    from imagen_bench.bench.run_scores import RunScores
    from imagen_bench.bench.sweep_summary import Axis, summarize_sweeps
    from imagen_bench.errors import InputError
    from imagen_bench.report.metric_words import metrics_of, pareto_axes

    chosen = pareto_axes(metrics_of(data))
    if chosen is None:
        raise InputError(
            "a Pareto front needs a score where higher is better and one where lower is, such as clip_score "
            "and fd: score the runs on both first"
        )
    x, y = (Axis(metric.name, metric.label, metric.higher_is_better) for metric in chosen)
    runs = [RunScores(run.folder, number) for number, run in enumerate(data)]
    return summarize_sweeps(runs, [run.label for run in data], x, y, at, reference_point)


def _draw(data: Sequence[RunData], out: Path, suffix: str, width: str) -> dict[str, Any]:
    """Write figure and numbers; return where they are, and the points."""
    from imagen_bench.files import atomic_write_bytes, atomic_write_text
    from imagen_bench.report.pareto_figure import draw_pareto
    from imagen_bench.report.style import drawing_to_bytes

    drawing = draw_pareto(data, "column" if width == "column" else "full")
    numbers = out.with_suffix(".csv")
    atomic_write_bytes(out, drawing_to_bytes(drawing, suffix))
    atomic_write_text(numbers, drawing.numbers.to_csv(index=False, lineterminator="\n"))
    points = json.loads(drawing.numbers.to_json(orient="records"))
    return {"figure": str(out), "numbers": str(numbers), "points": points}


def _text(summary: ParetoSummary) -> str:
    from imagen_bench.cli.pareto_text import pareto_text

    return pareto_text(summary)
