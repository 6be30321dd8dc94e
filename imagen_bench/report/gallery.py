"""Which images a report shows, chosen by a stated rule and never by eye, and their thumbnails."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import pandas as pd
from PIL import Image

from imagen_bench.bench.run_folder import weight_folder
from imagen_bench.errors import InputError, RunFolderError
from imagen_bench.images import read_image, to_pil
from imagen_bench.report.data import RunData

T = TypeVar("T")
STRIP_RULE = "the first prompt of each category, first sample"


@dataclass(frozen=True)
class Tile:
    """One image to show: its file (None if it cannot be used), its prompt and how it was made."""

    prompt_id: str
    prompt: str
    category: str
    index: int
    seed: int
    guidance_weight: float
    file: Path | None


@dataclass(frozen=True)
class Strip:
    """The same prompt, sample and seed across guidance weights, ascending."""

    prompt_id: str
    prompt: str
    category: str
    seed: int
    tiles: tuple[Tile, ...]


def pick_strips(run: RunData, per_category: int, categories: int | None = None) -> list[Strip]:
    """Strips of the first prompts of each category, in the order of the prompt set.

    Args:
        run: A run with samples.
        per_category: Prompts taken of each category.
        categories: Categories taken; None for all.

    Returns:
        Strips, grouped by category; a weight that is not generated yet has no tile.
    """
    first = run.samples[run.samples["index"] == run.samples["index"].min()]
    names = list(dict.fromkeys(first["category"]))[:categories]
    strips = []
    for name in names:
        rows = first[first["category"] == name]
        for prompt_id in list(dict.fromkeys(rows["prompt_id"]))[:per_category]:
            own = rows[rows["prompt_id"] == prompt_id].sort_values("guidance_weight", kind="stable")
            tiles = tuple(make_tile(run, row) for _, row in own.iterrows())
            strips.append(Strip(str(prompt_id), tiles[0].prompt, str(name), tiles[0].seed, tiles))
    return strips


def pick_gallery(run: RunData) -> list[Tile]:
    """Enlarged images of the run's gallery folder, by guidance weight, in the order of the prompt set."""
    if not (run.path / "gallery").is_dir():
        return []
    shown = [w for w in run.weights if (run.path / "gallery" / weight_folder(w)).is_dir()]
    tiles = []
    for _, row in run.samples[run.samples["guidance_weight"].isin(shown)].iterrows():
        file = run.folder.gallery_path(float(row["guidance_weight"]), str(row["prompt_id"]), int(row["index"]))
        if file.is_file():
            tiles.append(make_tile(run, row, file))
    return tiles


def thinned(items: Sequence[T], most: int) -> list[T]:
    """At most `most` of the items, evenly spread, with the first and the last."""
    if len(items) <= most:
        return list(items)
    places = sorted({round(step * (len(items) - 1) / (most - 1)) for step in range(most)})
    return [items[place] for place in places]


def read_picture(file: Path | None) -> Image.Image | None:
    """The image as RGB, or None if the file is missing or broken: a report shows a gap instead of failing."""
    if file is None:
        return None
    try:
        return to_pil(read_image(file))
    except InputError:
        return None


def data_uri(picture: Image.Image, longest: int, quality: int = 84) -> str:
    """A JPEG data URI of the picture, at most `longest` pixels long; equal pictures give equal text."""
    if max(picture.size) > longest:
        picture = picture.copy()
        picture.thumbnail((longest, longest), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    picture.save(buffer, format="JPEG", quality=quality, optimize=True, subsampling=0)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def make_tile(run: RunData, row: pd.Series, file: Path | None = None) -> Tile:
    """The tile of a row of samples; `file` is another image of it, such as an enlarged one."""
    return Tile(
        str(row["prompt_id"]),
        str(row["prompt"]),
        str(row["category"]),
        int(row["index"]),
        int(row["seed"]),
        float(row["guidance_weight"]),
        file or _image_file(run, row),
    )


def _image_file(run: RunData, row: pd.Series) -> Path | None:
    try:
        file = run.folder.image(row)
    except RunFolderError:
        return None
    return file if file.is_file() and file.resolve().is_relative_to(run.path.resolve()) else None
