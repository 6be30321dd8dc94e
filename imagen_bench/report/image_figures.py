"""Figures made of images: the same prompt under several conditions, and contact sheets."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from imagen_bench.errors import InputError
from imagen_bench.report.contact import Grid, GridRow
from imagen_bench.report.gallery import Tile, read_picture, thinned
from imagen_bench.report.style import GRID, MUTED, WIDTH_INCHES, Drawing, drawable, paper_style

_MOST_COLUMNS = 8
_TEXT_INCHES = 1.45
_HEAD_INCHES = 0.24
_GAP_INCHES = 0.05
_LINE_INCHES = 0.135
_CHAR_INCHES = 0.066
_LARGEST_CELL = 1.25
_PIXELS_PER_INCH = 300


def grid_figure(grid: Grid, name: str) -> Drawing:
    """One row a prompt, one column a condition: weights or runs.

    Args:
        grid: The rows; columns beyond the eighth are thinned out evenly.
        name: File stem.

    Returns:
        A figure of at most full width; its numbers list prompt, seed and weight of every image.

    Raises:
        InputError: there are no rows.
    """
    if not grid.rows:
        raise InputError("no images to draw strips from: generate samples first")
    shown = thinned(range(len(grid.heads)), _MOST_COLUMNS)
    cell = min((WIDTH_INCHES["full"] - _TEXT_INCHES) / len(shown), _LARGEST_CELL)
    total = _TEXT_INCHES + cell * len(shown)
    pitch = cell + (_LINE_INCHES if any(row.notes for row in grid.rows) else 0.0)
    height = _HEAD_INCHES + pitch * len(grid.rows)
    with paper_style():
        figure = Figure(figsize=(total, height))
        FigureCanvasAgg(figure)
        for column, place in enumerate(shown):
            x = (_TEXT_INCHES + (column + 0.5) * cell - _GAP_INCHES / 2) / total
            head = drawable(grid.heads[place], max(6, int(cell / _CHAR_INCHES)))
            figure.text(x, 1 - 0.5 * _HEAD_INCHES / height, head, ha="center", va="center")
            for number, row in enumerate(grid.rows):
                top = height - _HEAD_INCHES - number * pitch
                box = (_TEXT_INCHES + column * cell, top - cell, cell - _GAP_INCHES, cell - _GAP_INCHES)
                _show(figure, row.tiles[place], box)
                if row.notes:
                    figure.text(x, (top - cell - 0.01) / height, row.notes[place], ha="center", va="top", color=MUTED)
        for number, row in enumerate(grid.rows):
            centre = height - _HEAD_INCHES - number * pitch - cell / 2
            text = _wrap(row.text, _TEXT_INCHES - 0.1, max(1, int(cell / _LINE_INCHES) - 1))
            figure.text(0.0, centre / height, text, ha="left", va="center", linespacing=1.15)
    desc = f"{grid.title}. {grid.rule} Columns: {', '.join(grid.heads[place] for place in shown)}. Rows: "
    desc += "; ".join(_row_words(row, shown) for row in grid.rows) + "."
    tiles = [tile for row in grid.rows for tile in (row.tiles[place] for place in shown) if tile is not None]
    return Drawing(name, grid.title, desc, figure, tile_table(tiles))


def contact_figure(
    tiles: Sequence[Tile], name: str = "gallery", title: str = "Gallery of enlarged images", notes: Sequence[str] = ()
) -> Drawing:
    """A contact sheet with the prompt below each image.

    Args:
        tiles: Images, at least one.
        name: File stem.
        title: What they are.
        notes: A score for each image, written before its prompt; none at all for no scores.

    Returns:
        A figure of full width; its numbers list prompt, seed and weight of every image.

    Raises:
        InputError: there are no images.
    """
    if not tiles:
        raise InputError("no gallery images to draw: the run has no gallery")
    columns = 6 if len(tiles) > 8 else 4
    rows = -(-len(tiles) // columns)
    total = WIDTH_INCHES["full"]
    cell = total / columns
    told = [f"{note}: {tile.prompt}" for note, tile in zip(notes, tiles, strict=True)] if notes else []
    captions = [_wrap(text, cell - _GAP_INCHES, 3) for text in told or [tile.prompt for tile in tiles]]
    lines = [max(text.count("\n") + 1 for text in captions[row * columns : (row + 1) * columns]) for row in range(rows)]
    heights = [cell + count * _LINE_INCHES + 0.08 for count in lines]
    height = sum(heights)
    with paper_style():
        figure = Figure(figsize=(total, height))
        FigureCanvasAgg(figure)
        for place, tile in enumerate(tiles):
            row, column = divmod(place, columns)
            top = height - sum(heights[:row])
            _show(
                figure,
                tile,
                (column * cell, top - cell + _GAP_INCHES, cell - _GAP_INCHES, cell - _GAP_INCHES),
            )
            figure.text(column * cell / total, (top - cell) / height, captions[place], ha="left", va="top")
    weights = ", ".join(f"{weight:g}" for weight in sorted({tile.guidance_weight for tile in tiles}))
    prompts = "; ".join(told or [tile.prompt for tile in tiles])
    desc = f"{title}: contact sheet of {len(tiles)} images at w = {weights}: {prompts}."
    return Drawing(name, title, desc, figure, tile_table(tiles))


def tile_table(tiles: Sequence[Tile]) -> pd.DataFrame:
    """What each shown image is: prompt_id, prompt, category, index, seed, guidance_weight."""
    columns = ["prompt_id", "prompt", "category", "index", "seed", "guidance_weight"]
    rows = [[getattr(tile, column) for column in columns] for tile in tiles]
    return pd.DataFrame(rows, columns=columns)


def _row_words(row: GridRow, shown: Sequence[int]) -> str:
    return f"{row.text} ({', '.join(row.notes[place] for place in shown)})" if row.notes else row.text


def _show(figure: Figure, tile: Tile | None, box: tuple[float, float, float, float]) -> None:
    """Draw an image, or an empty frame where there is none; the box is in inches from the lower left."""
    width, height = figure.get_size_inches()
    axes = figure.add_axes((box[0] / width, box[1] / height, box[2] / width, box[3] / height))
    axes.set_xticks([])
    axes.set_yticks([])
    axes.grid(False)
    picture = read_picture(tile.file) if tile is not None else None
    for spine in axes.spines.values():
        spine.set_visible(picture is None)
        spine.set_color(GRID)
    if picture is None:
        axes.text(0.5, 0.5, "not there", ha="center", va="center", color=MUTED, transform=axes.transAxes)
    else:
        pixels = round(box[2] * _PIXELS_PER_INCH)
        axes.imshow(np.asarray(_fitted(picture, pixels)), interpolation="none")


def _fitted(picture: Image.Image, pixels: int) -> Image.Image:
    """The picture with its longer side `pixels` long, so that matplotlib draws it as it is."""
    scale = pixels / max(picture.size)
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    return picture.resize(size, Image.Resampling.LANCZOS)


def _wrap(text: str, inches: float, most: int) -> str:
    """Text broken into lines of that width, at most `most` of them."""
    chars = max(8, int(inches / _CHAR_INCHES))
    lines = textwrap.wrap(text, chars) or [""]
    if len(lines) > most:
        lines = [*lines[: most - 1], " ".join(lines[most - 1 :])]
    return "\n".join(drawable(line, chars) for line in lines)
