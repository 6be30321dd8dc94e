"""`imagen-bench report`: draw a report again from finished or unfinished run folders."""

from __future__ import annotations

import json
from pathlib import Path

import click

BACKENDS = ("tensorboard", "wandb")


@click.command(name="report")
@click.argument("runs", nargs=-1, required=True, metavar="RUN...", type=click.Path(path_type=Path))
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="Folder of the report, or file with --single-file. Default for one run: RUN/report.",
)
@click.option("--force", is_flag=True, help="Show scores of different protocols together; the page says so.")
@click.option(
    "--published",
    is_flag=True,
    help="Show the published COCO FID-30K values although the protocols differ; the page says so.",
)
@click.option("--images", type=click.IntRange(min=1), default=10_000, show_default=True, help="Thumbnails at most.")
@click.option("--single-file", is_flag=True, help="Write one HTML file that holds everything, such as for an e-mail.")
@click.option(
    "--max-size",
    type=click.FloatRange(min=0, min_open=True),
    help="Megabytes that the single file takes at most. Default: 10.",
)
@click.option("--sample", is_flag=True, help="Write small figures and a small page for a README, with a manifest.")
@click.option("--track", type=click.Choice(BACKENDS), help="Log scores and figures there too; the files stay.")
@click.option("--json", "as_json", is_flag=True, help="Print the paths of what was written as JSON.")
def command(
    runs: tuple[Path, ...],
    out: Path | None,
    force: bool,
    published: bool,
    images: int,
    single_file: bool,
    max_size: float | None,
    sample: bool,
    track: str | None,
    as_json: bool,
) -> None:
    """Write a page that opens offline, with figures and tables, from the run folders RUN.

    Several runs share one report if their scores were made by the same protocols. A run in progress is shown
    as far as it is.
    """
    from imagen_bench.report.page import SINGLE_FILE_BYTES, ReportOptions, write_report, write_single_file

    if out is None and len(runs) > 1:
        raise click.UsageError("several runs need --out: where should their common report go?")
    if max_size is not None and not single_file:
        raise click.UsageError("--max-size limits a single file: give --single-file too")
    if track is not None and (single_file or sample):
        raise click.UsageError("--track logs the files of a report: give it without --single-file and --sample")
    if sample:
        _write_sample(runs, out, as_json)
        return
    options = ReportOptions(force, published, images)
    if single_file:
        most = SINGLE_FILE_BYTES if max_size is None else int(max_size * 1_000_000)
        page = write_single_file(runs, out or runs[0] / "report.html", options, most)
        click.echo(json.dumps({"index": str(page)}, indent=2) if as_json else str(page))
        return
    page = write_report(runs, out or runs[0] / "report", options)
    if track is not None:
        from imagen_bench.report.tracking import track_report

        click.echo(f"logged to {track_report(runs, page.parent, track)}", err=True)
    click.echo(json.dumps(_written(page), indent=2) if as_json else str(page))


def _write_sample(runs: tuple[Path, ...], out: Path | None, as_json: bool) -> None:
    from imagen_bench.report.sample import write_sample

    if out is None or len(runs) > 1:
        raise click.UsageError("--sample shows one run and needs --out: where should it go?")
    paths = [str(path) for path in write_sample(runs[0], out)]
    click.echo(json.dumps({"files": paths}, indent=2) if as_json else "\n".join(paths))


def _written(page: Path) -> dict[str, object]:
    """Paths of the report's parts."""
    found: dict[str, object] = {"index": str(page)}
    for part in ("figures", "tables"):
        found[part] = sorted(str(path) for path in (page.parent / part).glob("*"))
    scores = page.parent / "scores.csv"
    return found | {"scores": str(scores) if scores.is_file() else None}
