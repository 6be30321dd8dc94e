"""`imagen-bench generate`: a few images of a model and a contact sheet, without a benchmark around them."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from imagen_bench.cli.interrupt import one_line_on_interrupt
from imagen_bench.cli.stage_options import stage_overrides

if TYPE_CHECKING:
    import torch

    from imagen_bench.generators.base import Generator

SHEET_NAME = "sheet.png"
_SHEET_COLUMNS = 8


@dataclass(frozen=True)
class Plan:
    """What to draw: one text, seed and, if any, low-resolution image a sample."""

    texts: list[str]
    seeds: list[int]
    start: torch.Tensor | None = None


def _finite(ctx: click.Context, param: click.Parameter, value: float) -> float:
    """Refuse "nan" and "inf", which a range lets through."""
    if not math.isfinite(value):
        raise click.BadParameter(f"{value} is not a finite number", ctx, param)
    return value


@click.command(name="generate")
@click.option("--model", required=True, help="Short name, path or hub id of the model.")
@click.option("--generator", default="bundled", show_default=True, help="Which generator opens the model.")
@click.option("--prompt", "prompts", required=True, multiple=True, help="Text of an image; give it again for more.")
@click.option(
    "--guidance",
    type=click.FloatRange(min=0),
    callback=_finite,
    default=2.0,
    show_default=True,
    help="Guidance weight w of the first stage; 1 is off.",
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
@click.option(
    "--stage",
    "stages",
    multiple=True,
    metavar="NAME|NAME.OPTION=VALUE",
    help="Stage of a cascade to stop at (base, cascade for the last), or a setting of one stage (sr256.steps=20).",
)
@click.option(
    "--from-image",
    type=click.Path(exists=True, path_type=Path),
    help="Low-resolution image, or folder of them, to enlarge in place of drawing the first stage.",
)
@click.option(
    "--save-stages", is_flag=True, help="Also write the images of the stages before the last, to DIR/<stage>/."
)
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
    stages: tuple[str, ...],
    from_image: Path | None,
    save_stages: bool,
    out: Path,
    as_json: bool,
) -> None:
    """Generate images for the given prompts.

    Sample i of every prompt has the seed SEED + i, so the prompt, weight and seed of a row of a run's
    samples.parquet give that image again. With --out DIR, each image is written as <prompt
    number>_<sample>.png beside sheet.png, one row of the sheet a prompt. With --out F.png, only the sheet is
    written (the image itself, if it is the only one).

    A cascade runs from text to its last stage with --stage cascade, or as soon as a super-resolution stage is
    given a setting: --stage base.steps=50 --stage sr256.guidance=8. With --from-image FILE every prompt enlarges
    that image; a folder gives each prompt its own, in the order of the file names, or one prompt all of them.
    """
    with one_line_on_interrupt():
        if save_stages and out.suffix.lower() == ".png":
            raise click.UsageError("--save-stages writes a folder: give --out DIR.")
        if out.is_file() and out.suffix.lower() != ".png":
            raise click.UsageError(f"--out {out} is a file: give a folder, or a file that ends in .png.")
        chosen = [*overrides, *stage_overrides(stages, whole=from_image is not None)]
        plan = _plan(prompts, samples, seed, from_image)
        drawn = _generate(model, generator, chosen, plan, guidance, save_stages)
        last = list(drawn)[-1]
        written = _write(drawn[last], samples, out)
        rows = [
            {"file": str(file), "prompt": text, "seed": number, "guidance_weight": guidance}
            for file, text, number in zip(written[1:], plan.texts, plan.seeds, strict=False)
        ]
        result: dict[str, Any] = {"sheet": str(written[0]), "images": rows}
        if save_stages:
            saved = {name: _write_images(drawn[name], samples, out / name) for name in drawn if name != last}
            result["stages"] = {name: [str(file) for file in files] for name, files in saved.items()}
            written += [file for files in saved.values() for file in files]
        click.echo(json.dumps(result, indent=2, ensure_ascii=False) if as_json else "\n".join(map(str, written)))


def _plan(prompts: Sequence[str], samples: int, seed: int, from_image: Path | None) -> Plan:
    """Repeat each prompt, and its image, for its samples."""
    if from_image is None:
        return _repeat(prompts, samples, seed)
    import torch

    from imagen_bench.errors import InputError
    from imagen_bench.images import list_images, read_image

    files = list_images(from_image) if from_image.is_dir() else [from_image]
    images = [read_image(file) for file in files]
    if len(prompts) > 1 and len(images) > 1 and len(prompts) != len(images):
        raise InputError(
            f"found {len(images)} images in {str(from_image)!r} for {len(prompts)} prompts, "
            "expected as many images as prompts, or one of either"
        )
    for file, image in zip(files, images, strict=True):
        if image.shape != images[0].shape:
            sizes = [f"{part.shape[2]}x{part.shape[1]}" for part in (image, images[0])]
            raise InputError(f"{str(file)!r} has {sizes[0]} pixels, {str(files[0])!r} {sizes[1]}: give one size")
    count = max(len(prompts), len(images))
    plan = _repeat(list(prompts) * (count // len(prompts)), samples, seed)
    starts = torch.stack(images * (count // len(images))).repeat_interleave(samples, dim=0)
    return Plan(plan.texts, plan.seeds, starts)


def _repeat(prompts: Sequence[str], samples: int, seed: int) -> Plan:
    texts = [text for text in prompts for _ in range(samples)]
    return Plan(texts, [(seed + index) % 2**63 for _ in prompts for index in range(samples)])


def _generate(
    model: str, generator: str, overrides: Sequence[str], plan: Plan, guidance: float, save_stages: bool
) -> dict[str, torch.Tensor]:
    """Return the images of each stage by name, the finished ones last."""
    import torch

    from imagen_bench.bench.progress import progress_bar
    from imagen_bench.config import ModelSection, apply_overrides, validate
    from imagen_bench.generators.base import check_images, open_generator
    from imagen_bench.generators.batching import Batcher

    data: dict[str, Any] = {"name": model, "generator": generator, "options": apply_overrides({}, overrides)}
    section = validate(ModelSection, data, "--set")
    batcher, opened = Batcher.of(section), open_generator(section)
    batches: dict[str, list[torch.Tensor]] = {}

    def draw(rows: slice) -> dict[str, torch.Tensor]:
        return _draw(opened, plan, rows, guidance, save_stages)

    with progress_bar("images", total=len(plan.texts)) as bar:
        for rows, drawn in batcher(len(plan.texts), draw):
            count = rows.stop - rows.start
            for stage, images in drawn.items():
                checked = check_images(images, count, f"generator '{opened.name}'")
                batches.setdefault(stage, []).append(checked)
            bar.update(count)
    return {stage: torch.cat(images) for stage, images in batches.items()}


def _draw(opened: Generator, plan: Plan, rows: slice, guidance: float, save_stages: bool) -> dict[str, torch.Tensor]:
    """Return the images of some rows by stage; those of the last stage alone are under an empty name."""
    from imagen_bench.errors import ConfigError
    from imagen_bench.generators.base import Reports, StagedGenerator

    texts, seeds = plan.texts[rows], plan.seeds[rows]
    if not save_stages and plan.start is None:
        drawn = {"": opened.generate(texts, seeds, guidance)}
    elif isinstance(opened, StagedGenerator):
        start = None if plan.start is None else plan.start[rows]
        drawn = dict(opened.generate_stages(texts, seeds, guidance, start))
    else:
        raise ConfigError(
            f"model '{opened.name}' shows no stages, which --save-stages and --from-image need: "
            "leave them out, or use a model that is a cascade"
        )
    if isinstance(opened, Reports):
        for row, remark in sorted(opened.report().remarks.items()):
            click.echo(f"warning: the image of {texts[row]!r} with seed {seeds[row]} is blank: {remark}", err=True)
    return drawn


def _write(images: torch.Tensor, samples: int, out: Path) -> list[Path]:
    """Write the sheet and, into a folder, the images; return the sheet's path and then theirs."""
    from imagen_bench.images import contact_sheet, write_png

    columns = samples if samples > 1 else min(_SHEET_COLUMNS, len(images))
    sheet = images[0] if len(images) == 1 else contact_sheet(images, columns)
    if out.suffix.lower() == ".png":
        write_png(out, sheet)
        return [out]
    write_png(out / SHEET_NAME, sheet)
    return [out / SHEET_NAME, *_write_images(images, samples, out)]


def _write_images(images: torch.Tensor, samples: int, folder: Path) -> list[Path]:
    """Write each image as <prompt number>_<sample>.png."""
    from imagen_bench.images import write_png

    files = [folder / f"{place // samples + 1:03d}_{place % samples}.png" for place in range(len(images))]
    for file, image in zip(files, images, strict=True):
        write_png(file, image)
    return files
