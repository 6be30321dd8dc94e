"""`imagen-bench generate`: a few images of a model and a contact sheet, without a benchmark around them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from imagen_bench.cli.interrupt import one_line_on_interrupt

if TYPE_CHECKING:
    import torch

SHEET_NAME = "sheet.png"
_SHEET_COLUMNS = 8


@click.command(name="generate")
@click.option("--model", required=True, help="Short name, path or hub id of the model.")
@click.option("--generator", default="bundled", show_default=True, help="Which generator opens the model.")
@click.option("--prompt", "prompts", required=True, multiple=True, help="Text of an image; give it again for more.")
@click.option(
    "--guidance",
    type=click.FloatRange(min=0),
    default=2.0,
    show_default=True,
    help="Guidance weight w; 1 is off.",
)
@click.option(
    "--seed",
    type=click.IntRange(min=0, max=2**63 - 1),
    default=0,
    show_default=True,
    help="Seed of sample 0.",
)
@click.option("--samples", type=click.IntRange(min=1), default=1, show_default=True, help="Images of each prompt.")
@click.option("--set", "overrides", multiple=True, metavar="OPTION=VALUE", help="An option of the generator.")
@click.option("--stage", help="Stage of a cascade to stop at, such as base or cascade.")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("generated"),
    show_default=True,
    help="DIR or F.png.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def command(
    model: str,
    generator: str,
    prompts: tuple[str, ...],
    guidance: float,
    seed: int,
    samples: int,
    overrides: tuple[str, ...],
    stage: str | None,
    out: Path,
    as_json: bool,
) -> None:
    """Generate images for the given prompts.

    Sample i of every prompt has the seed SEED + i, so the prompt, weight and seed of a row of a run's
    samples.parquet give that image again. With --out DIR, each image is written as <prompt
    number>_<sample>.png beside sheet.png, one row of the sheet a prompt. With --out F.png, only the sheet is
    written (the image itself, if it is the only one).
    """
    with one_line_on_interrupt():
        chosen = [*overrides, *([f"stage={stage}"] if stage else [])]
        texts = [text for text in prompts for _ in range(samples)]
        seeds = [(seed + index) % 2**63 for _ in prompts for index in range(samples)]
        images = _generate(model, generator, chosen, texts, seeds, guidance)
        written = _write(images, samples, out)
        rows = [
            {"file": str(file), "prompt": text, "seed": number, "guidance_weight": guidance}
            for file, text, number in zip(written[1:], texts, seeds, strict=False)
        ]
        result = {"sheet": str(written[0]), "images": rows}
        click.echo(json.dumps(result, indent=2, ensure_ascii=False) if as_json else "\n".join(map(str, written)))


def _generate(
    model: str,
    generator: str,
    overrides: Sequence[str],
    texts: Sequence[str],
    seeds: Sequence[int],
    guidance: float,
) -> torch.Tensor:
    import torch

    from imagen_bench.bench.progress import progress_bar
    from imagen_bench.config import ModelSection, apply_overrides, validate
    from imagen_bench.generators.base import batch_size_of, check_images, open_generator

    data: dict[str, Any] = {"name": model, "generator": generator, "options": apply_overrides({}, overrides)}
    section = validate(ModelSection, data, "--set")
    opened = open_generator(section)
    size = batch_size_of(section)
    batches = []
    with progress_bar("images", total=len(texts)) as bar:
        for start in range(0, len(texts), size):
            batch = slice(start, start + size)
            made = opened.generate(texts[batch], seeds[batch], guidance)
            batches.append(check_images(made, len(texts[batch]), f"generator '{opened.name}'"))
            bar.update(len(texts[batch]))
    return torch.cat(batches)


def _write(images: torch.Tensor, samples: int, out: Path) -> list[Path]:
    """Write the sheet and, into a folder, the images; return the sheet's path and then theirs."""
    from imagen_bench.images import contact_sheet, write_png

    columns = samples if samples > 1 else min(_SHEET_COLUMNS, len(images))
    sheet = images[0] if len(images) == 1 else contact_sheet(images, columns)
    if out.suffix.lower() == ".png":
        write_png(out, sheet)
        return [out]
    write_png(out / SHEET_NAME, sheet)
    files = [out / f"{place // samples + 1:03d}_{place % samples}.png" for place in range(len(images))]
    for file, image in zip(files, images, strict=True):
        write_png(file, image)
    return [out / SHEET_NAME, *files]
