"""`imagen-bench score`: score images that were made elsewhere."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from imagen_bench.bench.folder_scores import FolderScores

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
@click.option(
    "--option", "settings", multiple=True, metavar="METRIC.KEY=VALUE", help="Of one metric: kid.subset_size=500."
)
@click.option(
    "--resize", metavar="MODE", help="For Inception: torch-fidelity (default), pytorch-fid, clean, torchmetrics."
)
@click.option("--concordance", is_flag=True, help="FID in every resize mode from one decode.")
@click.option("--weights", multiple=True, metavar="NAME=FILE", help="A weights file instead of a pulled one.")
@click.option("--inception", metavar="FILE", help="Short for --weights inception=FILE.")
@click.option(
    "--weights-dir", type=click.Path(file_okay=False, path_type=Path), help="Folder of pulled weights to look in first."
)
@click.option("--batch-size", default=32, show_default=True, type=click.IntRange(min=1), help="Moves no score.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:N.")
@click.option("--save-stats", type=_FILE, help="Also write the reference's statistics here, for --reference.")
@click.option("--out", type=_FILE, help="Also write the scores here, in the columns of a run's scores.csv.")
@click.option("--strict", is_flag=True, help="Refuse images that a warning is printed about, such as duplicates.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def command(
    images: Path,
    captions: Path | None,
    reference: str | None,
    extractor: str,
    metrics: str | None,
    settings: tuple[str, ...],
    resize: str | None,
    concordance: bool,
    weights: tuple[str, ...],
    inception: str | None,
    weights_dir: Path | None,
    batch_size: int,
    device: str,
    save_stats: Path | None,
    out: Path | None,
    strict: bool,
    as_json: bool,
) -> None:
    """Score images that were made elsewhere.

    With captions the CLIP score (raw cosine), with a reference the Fréchet distance (FD) of the extractor's
    features, or the metrics that --metrics names: fid, kid, inception_score, precision, recall, cmmd and others,
    each with its 95 % interval and its protocol. Nothing is downloaded; `imagen-bench weights` fetches networks.
    """
    from imagen_bench.bench.score_folder import ScoreOptions, score_folder
    from imagen_bench.files import atomic_write_text
    from imagen_bench.metrics.resize import DEFAULT_RESIZE
    from imagen_bench.metrics.weights import WeightsPlaces

    if save_stats is not None and reference is None:
        raise click.UsageError("--save-stats writes the statistics of a reference: give --reference too")
    if concordance and (metrics or resize):
        raise click.UsageError("--concordance is FID in every resize mode: leave --metrics and --resize out")
    options = ScoreOptions(
        images=images,
        captions=captions,
        reference=reference,
        extractor=extractor,
        metrics=tuple(name.strip() for name in (metrics or "").split(",") if name.strip()),
        batch_size=batch_size,
        device=device,
        resize=resize or DEFAULT_RESIZE,
        weights=WeightsPlaces(_weights_files(weights, inception), weights_dir),
        metric_options=_metric_options(settings),
        save_statistics=save_stats,
        concordance=concordance,
        strict=strict,
    )
    scores = score_folder(options, progress=True)
    if out is not None:
        atomic_write_text(out, scores.to_csv())
    for line in scores.hygiene.lines():
        click.echo(line, err=True)
    for warning in scores.warnings:
        click.echo(f"warning: {warning}", err=True)
    click.echo(_json(scores, concordance) if as_json else _table(scores))
    if concordance and not as_json:
        click.echo(_concordance())


def _weights_files(values: tuple[str, ...], inception: str | None) -> dict[str, str]:
    found: dict[str, str] = {}
    for value in (*values, *([f"inception={inception}"] if inception else [])):
        name, equals, path = value.partition("=")
        if not equals or not name or not path:
            raise click.UsageError(f"--weights {value} is not of the form NAME=FILE, such as inception=weights.pth")
        if name in found:
            raise click.UsageError(f"weights of {name} are given twice: give one file")
        found[name] = path
    return found


def _metric_options(settings: tuple[str, ...]) -> dict[str, dict[str, Any]]:
    """Turn `kid.subset_size=500` into tables of options; values are written as in TOML."""
    from imagen_bench.config import apply_overrides

    for setting in settings:
        metric, dot, key = setting.partition("=")[0].partition(".")
        if "=" not in setting or not (metric.strip() and dot and key.strip()):
            raise click.UsageError(f"--option {setting} is not of the form METRIC.KEY=VALUE, such as kid.subsets=50")
    return apply_overrides({}, settings)


def _json(scores: FolderScores, concordance: bool) -> str:
    from imagen_bench.bench.concordance import compared_with

    found = scores.to_json()
    if concordance:
        found["resize_modes"] = compared_with()
    return json.dumps(found, indent=2, ensure_ascii=False)


def _table(scores: FolderScores) -> str:
    lines = [("metric", "category", "value", "95 % interval", "n", "protocol")]
    for row in scores.rows:
        result = row.result
        interval = "-" if result.low is None else f"{_number(result.low)} to {_number(result.high)}"
        lines.append((result.label, row.category, _number(result.value), interval, f"{result.n:,}", row.protocol))
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    text = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]
    words = dict.fromkeys(f"{row.protocol}: {row.words}" for row in scores.rows)
    return "\n".join([*text, "", *words])


def _number(value: float | None) -> str:
    """Four decimals; small values, as KID has them, with four digits instead."""
    if value is None:
        return "-"
    return f"{value:.4f}" if value == 0 or abs(value) >= 0.01 else f"{value:.4g}"


def _concordance() -> str:
    from imagen_bench.bench.concordance import concordance_words

    return "\n".join(["", *concordance_words()])
