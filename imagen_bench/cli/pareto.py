"""`imagen-bench pareto`: the guidance sweeps of some runs in the plane of their two main scores."""

from __future__ import annotations

import json
from pathlib import Path

import click


@click.command(name="pareto")
@click.argument("runs", nargs=-1, required=True, metavar="RUN...", type=click.Path(path_type=Path))
@click.option(
    "--out",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="Figure file: .png, .svg or .pdf. The plotted numbers go beside it as .csv.",
)
@click.option(
    "--width",
    type=click.Choice(["full", "column"]),
    default="full",
    show_default=True,
    help="Printed width: the page (7 in) or a paper's column (3.4 in).",
)
@click.option("--force", is_flag=True, help="Draw scores of different protocols together.")
@click.option("--json", "as_json", is_flag=True, help="Print the plotted points as JSON.")
def command(runs: tuple[Path, ...], out: Path, width: str, force: bool, as_json: bool) -> None:
    """Draw CLIP score against FD for the run folders RUN, one line each, joined in guidance order."""
    from imagen_bench.files import atomic_write_bytes, atomic_write_text
    from imagen_bench.report.data import check_protocols, load_runs
    from imagen_bench.report.pareto_figure import draw_pareto
    from imagen_bench.report.style import SUFFIXES, drawing_to_bytes

    suffix = out.suffix.lower().removeprefix(".")
    if suffix not in SUFFIXES:
        raise click.BadParameter(
            f"{out.name!r} ends in {out.suffix!r}, expected .png, .svg or .pdf", param_hint="--out"
        )
    data = load_runs(runs)
    for metric, ids in check_protocols(data, force).items():
        click.echo(f"warning: {metric} of different protocols in one figure: {', '.join(ids)}", err=True)
    drawing = draw_pareto(data, "column" if width == "column" else "full")
    numbers = out.with_suffix(".csv")
    atomic_write_bytes(out, drawing_to_bytes(drawing, suffix))
    atomic_write_text(numbers, drawing.numbers.to_csv(index=False, lineterminator="\n"))
    if as_json:
        points = json.loads(drawing.numbers.to_json(orient="records"))
        click.echo(json.dumps({"figure": str(out), "numbers": str(numbers), "points": points}, indent=2))
    else:
        click.echo(str(out))
