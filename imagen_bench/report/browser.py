"""The samples browser: thumbnails on contact sheets, and an index that the page's script reads.

A thumbnail sheet is one JPEG: a row a sample, a column a guidance weight. The first sheets lie inside the page, as
many as a budget of bytes allows; the others lie beside it and load when they are shown, so that a page of ten
thousand images opens as quickly as one of a hundred.
"""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from markupsafe import Markup
from PIL import Image

from imagen_bench.bench.run_folder import weight_folder
from imagen_bench.files import atomic_write_bytes
from imagen_bench.report.contact import sample_metric
from imagen_bench.report.data import RunData
from imagen_bench.report.gallery import make_tile, read_picture
from imagen_bench.report.metric_words import Metric
from imagen_bench.report.style import GRID

FOLDER = "samples"
MOST_IMAGES = 10_000
EMBEDDED_BYTES = 2_500_000
CELL = 96
_SHEET_CELLS = 96
_QUALITY = 80
_KEYS = ["prompt_id", "index"]
RULE = "prompts of all categories in turn, in the order of the prompt set"


@dataclass(frozen=True)
class Browser:
    """The samples browser of one run.

    Attributes:
        key: Prefix of its files and of its element on the page.
        index: What the script reads; JSON-able.
        files: Thumbnail sheets that lie beside the page, by name.
        shown: Images that can be seen.
        inside: Images whose thumbnails lie inside the page.
        total: Images of the run.
    """

    key: str
    index: dict[str, Any]
    files: dict[str, bytes]
    shown: int
    inside: int
    total: int

    @property
    def json(self) -> Markup:
        """The index as the content of a `<script type="application/json">`: nothing in it can close the element."""
        text = json.dumps(self.index, ensure_ascii=False, separators=(",", ":"))
        return Markup(text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e"))


def build_browser(
    run: RunData,
    key: str,
    metrics: Sequence[Metric],
    *,
    most_images: int = MOST_IMAGES,
    inside_bytes: int = EMBEDDED_BYTES,
    beside: bool = True,
    link: str = "",
) -> Browser | None:
    """Lay out the samples of a run on thumbnail sheets.

    Args:
        run: The run.
        key: Prefix, unique on the page: letters and digits.
        metrics: Metrics of the report; the first that scores single samples is shown below the images.
        most_images: Images at most; prompts are taken in turns through the categories.
        inside_bytes: Sheets inside the page take that many bytes in base64 at most.
        beside: Whether further sheets may lie beside the page.
        link: Relative path from the page to the run folder, for links to the images; empty for none.

    Returns:
        The browser; None for a run without images.
    """
    if run.samples.empty or (not beside and inside_bytes <= 0):
        return None
    weights = sorted({float(weight) for weight in run.samples["guidance_weight"]})
    by_key = dict(list(run.samples.groupby(_KEYS, sort=False)))
    keys = _in_turns(run.samples)[: max(1, most_images // len(weights))]
    each = max(1, _SHEET_CELLS // len(weights))
    sheets: list[str] = []
    files: dict[str, bytes] = {}
    places: dict[tuple[str, int], tuple[int, int, int, str]] = {}
    spent, inside, start = 0, 0, 0
    while start < len(keys):
        chosen = keys[start : start + each]
        jpeg, masks = _sheet(run, [by_key[key] for key in chosen], weights)
        source = "data:image/jpeg;base64," + base64.b64encode(jpeg).decode("ascii")
        if spent + len(source) > inside_bytes:
            break
        spent, inside, start = spent + len(source), inside + sum(map(sum, masks)), start + len(chosen)
        _place(places, chosen, masks, len(sheets))
        sheets.append(source)
    rest = sorted(keys[start:], key=_order(run.samples)) if beside else []
    for first in range(0, len(rest), each):
        chosen = rest[first : first + each]
        jpeg, masks = _sheet(run, [by_key[key] for key in chosen], weights)
        name = f"{FOLDER}/{key}-{len(files):04d}.jpg"
        files[name] = jpeg
        _place(places, chosen, masks, len(sheets))
        sheets.append(name)
    shown = sum(mask.count("1") for _, _, _, mask in places.values())
    index = _index(run, metrics, weights, places, by_key) | {"sheets": sheets, "link": link}
    return Browser(key, index, files, shown, inside, len(run.samples))


def write_sheets(browsers: Sequence[Browser], out: Path) -> None:
    """Write the sheets that lie beside the page into `out`, and remove those of an earlier report."""
    names = {name for browser in browsers for name in browser.files}
    for old in (out / FOLDER).glob("run*-[0-9][0-9][0-9][0-9].jpg"):
        if f"{FOLDER}/{old.name}" not in names:
            old.unlink()
    for browser in browsers:
        for name, jpeg in browser.files.items():
            atomic_write_bytes(out / name, jpeg)


def _place(
    places: dict[tuple[str, int], tuple[int, int, int, str]],
    chosen: Sequence[tuple[str, int]],
    masks: Sequence[Sequence[bool]],
    sheet: int,
) -> None:
    """Note sheet, row, rows of the sheet, and which images are there."""
    for row, (key, mask) in enumerate(zip(chosen, masks, strict=True)):
        places[key] = (sheet, row, len(chosen), "".join("1" if there else "0" for there in mask))


def _in_turns(samples: pd.DataFrame) -> list[tuple[str, int]]:
    """Keys of the samples: lowest index first, then in turns through the categories."""
    rows = samples.drop_duplicates(_KEYS)[[*_KEYS, "category"]]
    rows = rows.assign(turn=rows.groupby(["index", "category"]).cumcount())
    rows = rows.sort_values(["index", "turn"], kind="stable")
    return list(zip(rows["prompt_id"].astype(str), rows["index"].astype(int), strict=True))


def _order(samples: pd.DataFrame) -> Any:
    """Sort key that puts keys into the order of categories and of the prompt set."""
    rows = samples.drop_duplicates(_KEYS)
    categories = {name: place for place, name in enumerate(dict.fromkeys(rows["category"]))}
    keys = zip(rows["prompt_id"].astype(str), rows["index"].astype(int), rows["category"], strict=True)
    places = {(key, index): (categories[name], place) for place, (key, index, name) in enumerate(keys)}
    return places.__getitem__


def _sheet(run: RunData, samples: Sequence[pd.DataFrame], weights: Sequence[float]) -> tuple[bytes, list[list[bool]]]:
    """One JPEG with a row a sample and a column a weight, and which images are on it."""
    sheet = Image.new("RGB", (CELL * len(weights), CELL * len(samples)), GRID)
    masks = []
    for row, group in enumerate(samples):
        mask = [False] * len(weights)
        for _, sample in group.iterrows():
            picture = read_picture(make_tile(run, sample).file)
            if picture is None:
                continue
            column = weights.index(float(sample["guidance_weight"]))
            picture.thumbnail((CELL, CELL), Image.Resampling.LANCZOS)
            if max(picture.size) < CELL:
                scale = CELL / max(picture.size)
                size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
                picture = picture.resize(size, Image.Resampling.LANCZOS)
            corner = (column * CELL + (CELL - picture.width) // 2, row * CELL + (CELL - picture.height) // 2)
            sheet.paste(picture, corner)
            mask[column] = True
        masks.append(mask)
    buffer = io.BytesIO()
    sheet.save(buffer, format="JPEG", quality=_QUALITY, optimize=True)
    return buffer.getvalue(), masks


def _index(
    run: RunData,
    metrics: Sequence[Metric],
    weights: Sequence[float],
    places: dict[tuple[str, int], tuple[int, int, int, str]],
    by_key: dict[Any, pd.DataFrame],
) -> dict[str, Any]:
    """Rows in the order of the prompt set; seeds as text, since they exceed a script's whole numbers."""
    metric = sample_metric(run, metrics)
    scores: dict[tuple[str, int], dict[float, float]] = {}
    if metric is not None:
        scored = run.scored_samples(metric.name)[[*_KEYS, "guidance_weight", "value"]]
        for prompt_id, index, weight, value in scored.itertuples(index=False):
            scores.setdefault((str(prompt_id), int(index)), {})[float(weight)] = round(float(value), 4)
    ordered = sorted(places, key=_order(run.samples))
    categories = list(dict.fromkeys(str(name) for name in run.samples["category"]))
    rows = []
    for key in ordered:
        first = by_key[key].iloc[0]
        sheet, row, count, mask = places[key]
        own = scores.get(key, {})
        rows.append(
            {
                "c": categories.index(str(first["category"])),
                "p": str(first["prompt"]),
                "d": f"{key[0]}, sample {key[1]}, seed {first['seed']}",
                "f": _file_name(str(first["path"]), float(first["guidance_weight"])),
                "s": [sheet, row, count],
                "m": mask,
                "v": [own.get(weight) for weight in weights] if own else [],
            }
        )
    return {
        "weights": [f"{weight:g}" for weight in weights],
        "categories": categories,
        "score": metric.label if metric is not None else "",
        "rows": rows,
    }


def _file_name(path: str, weight: float) -> str:
    """What follows the weight's folder in a sample's path; empty if the path is laid out otherwise."""
    prefix = f"images/{weight_folder(weight)}/"
    return path.removeprefix(prefix) if path.startswith(prefix) else ""
