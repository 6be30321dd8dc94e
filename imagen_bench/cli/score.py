"""`imagen-bench score`: score images that were made elsewhere."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from imagen_bench.bench.score_folder import FolderScores

_FILE = click.Path(dir_okay=False, path_type=Path)


@click.command(name="score")
@click.option(
    "--images",
    required=True,
    type=click.Path(path_type=Path),
    help="Folder of images, or a parquet file of them.",
)
@click.option("--captions", type=_FILE, help="The images' prompts: .csv, .jsonl, .txt, or COCO's .json.")
@click.option("--reference", metavar="DIR|PARQUET|STATS", help="Images to compare with, or their saved statistics.")
@click.option(
    "--extractor",
    default="imagen-emoji",
    show_default=True,
    help="CLIP model: bundled name, open_clip folder, or ARCH/PRETRAINED such as ViT-B-32/openai.",
)
@click.option("--metrics", metavar="NAME,...", help="Default: clip_score with captions, fd with a reference.")
@click.option("--batch-size", default=32, show_default=True, type=click.IntRange(min=1), help="Moves no score.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:N.")
@click.option("--save-stats", type=_FILE, help="Also write the reference's statistics here, for --reference.")
@click.option("--out", type=_FILE, help="Also write the scores here, in the columns of a run's scores.csv.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def command(
    images: Path,
    captions: Path | None,
    reference: str | None,
    extractor: str,
    metrics: str | None,
    batch_size: int,
    device: str,
    save_stats: Path | None,
    out: Path | None,
    as_json: bool,
) -> None:
    """Score images that were made elsewhere.

    With captions the CLIP score (raw cosine), with a reference the Fréchet distance (FD) of the extractor's
    features, each with its 95 % interval and its protocol. Nothing is downloaded.
    """
    from imagen_bench.bench.score_folder import ScoreOptions, score_folder
    from imagen_bench.files import atomic_write_text
    from imagen_bench.metrics.statistics import save_statistics

    if save_stats is not None and reference is None:
        raise click.UsageError("--save-stats writes the statistics of a reference: give --reference too")
    names = tuple(name.strip() for name in (metrics or "").split(",") if name.strip())
    options = ScoreOptions(images, captions, reference, extractor, names, batch_size, device)
    scores = score_folder(options, progress=True)
    if save_stats is not None and scores.reference is not None:
        save_statistics(save_stats, scores.reference)
    if out is not None:
        atomic_write_text(out, scores.to_csv())
    for warning in scores.warnings:
        click.echo(f"warning: {warning}", err=True)
    click.echo(json.dumps(scores.to_json(), indent=2, ensure_ascii=False) if as_json else _table(scores))


def _table(scores: FolderScores) -> str:
    lines = [("metric", "category", "value", "95 % interval", "n", "protocol")]
    for row in scores.rows:
        result = row.result
        interval = "-" if result.low is None else f"{result.low:.4f} to {result.high:.4f}"
        lines.append((result.label, row.category, f"{result.value:.4f}", interval, f"{result.n:,}", row.protocol))
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    text = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]
    words = dict.fromkeys(f"{row.protocol}: {row.words}" for row in scores.rows)
    return "\n".join([*text, "", *words])
