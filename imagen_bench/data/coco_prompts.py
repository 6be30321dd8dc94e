r"""Prompt sets drawn from COCO's captions: coco-30k, coco-10k and their variants; or read from a published list.

A draw depends on ids alone, not on the order of the file nor on any library's random numbers. With SHA-256 over
the UTF-8 texts (LF = line feed, numbers in decimal)

    coco-image LF <seed> LF <image id>
    coco-caption LF <seed> LF <image id> LF <caption id>

the default draw orders all images by the first digest, takes as many as it needs, and gives each the caption with
its smallest second digest: one caption per distinct image, every caption of an image equally likely. The variant
`-captions` orders all captions by the second digest, so that an image may come more than once. The seed is 0; so
coco-10k is the first third of coco-30k, and its images can be used for both. In a shell:
`printf 'coco-image\n0\n42' | sha256sum`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from imagen_bench.data.coco import SPLITS, CocoCaption, CocoSplit, coco_advice, official_captions, registered_root
from imagen_bench.data.coco_lists import read_list
from imagen_bench.data.prompt_files import RawPrompt
from imagen_bench.data.prompts import NO_CATEGORY, MissingPromptSetError, PromptSet, build_prompt_set, prompt_sets
from imagen_bench.errors import ConfigError, InputError
from imagen_bench.suggest import did_you_mean

VERSION = "1"
DRAW_SEED = 0


@dataclass(frozen=True)
class CocoDraw:
    """A prompt set of COCO captions.

    Attributes:
        name: Short name.
        split: Part of COCO.
        count: Number of prompts; None for all that there are, of any copy.
        per_image: One caption per distinct image; else out of all captions.
    """

    name: str
    split: CocoSplit
    count: int | None
    per_image: bool

    @property
    def subset(self) -> bool:
        """Whether copies with other numbers of images than were published are accepted."""
        return self.count is None

    @property
    def words(self) -> str:
        """What is drawn, for people."""
        how_many = "as many as there are" if self.count is None else f"{self.count:,} captions of {self.split.name}"
        return f"{how_many}, {'one per distinct image' if self.per_image else 'out of all captions'}"


DRAWS: Mapping[str, CocoDraw] = {
    draw.name: draw
    for draw in (
        CocoDraw("coco-30k", SPLITS["val2014"], 30_000, True),
        CocoDraw("coco-10k", SPLITS["val2014"], 10_000, True),
        CocoDraw("coco-30k-captions", SPLITS["val2014"], 30_000, False),
        CocoDraw("coco-10k-captions", SPLITS["val2014"], 10_000, False),
        CocoDraw("coco2017-5k", SPLITS["val2017"], 5_000, True),
        CocoDraw("coco2017-10k-captions", SPLITS["val2017"], 10_000, False),
        CocoDraw("coco-subset", SPLITS["val2014"], None, True),
        CocoDraw("coco-subset-captions", SPLITS["val2014"], None, False),
    )
}


def is_coco_prompts(name: str) -> bool:
    """Return whether a name, with or without a place after its colon, means a set of this module.

    Raises:
        ConfigError: It has a place and nearly is one.
    """
    head, colon, _ = name.partition(":")
    if head in DRAWS:
        return True
    if colon and head.startswith("coco"):
        raise ConfigError(f"unknown COCO prompt set {head!r}: {did_you_mean(head, DRAWS)}")
    return False


def load_coco_prompts(name: str, place: str = "") -> PromptSet:
    """Load a prompt set of COCO captions.

    Args:
        name: A name of `DRAWS`.
        place: A copy of COCO, or a published list (csv, tsv, jsonl, parquet); empty for the registered copy.

    Raises:
        MissingPromptSetError: No place is given and no copy is registered.
        InputError: The captions are not there, or not those that were published.
    """
    draw = DRAWS[name]
    root = Path(place).expanduser() if place else registered_root(draw.split)
    if root is None or not (place or (root / draw.split.captions_file).is_file() or draw.subset):
        size = (VERSION, draw.count or 0, {NO_CATEGORY: draw.count or 0}, None)
        where = "no copy of COCO is known" if root is None else f"no captions of {draw.split.name} in {str(root)!r}"
        raise MissingPromptSetError(f"{where} for {name!r}: {coco_advice(name)}", size, (_command(draw),))
    if root.is_file():
        rows = read_list(root, draw.count)
        return build_prompt_set(f"{name}-list", "file", rows, str(root))
    if not root.is_dir():
        raise InputError(f"no folder {str(root)!r} for {name!r}: {coco_advice(name)}")
    captions = official_captions(root, draw.split, draw.subset)
    drawn = draw_captions(captions.rows, draw.count, draw.per_image)
    return build_prompt_set(name, VERSION, [_to_prompt(row) for row in drawn], str(captions.source))


def draw_captions(
    rows: Sequence[CocoCaption], count: int | None, per_image: bool, seed: int = DRAW_SEED
) -> list[CocoCaption]:
    """Draw captions; the order of the result is random too, so that any beginning of it is a draw itself.

    Args:
        rows: All captions, in any order.
        count: How many; None for as many as there are.
        per_image: One caption per distinct image; else out of all captions.
        seed: Another number is another draw.

    Raises:
        InputError: There are fewer.
    """

    def rank(row: CocoCaption) -> bytes:
        return _rank("coco-caption", seed, row.image_id, row.caption_id)

    by_image: dict[int, list[CocoCaption]] = {}
    for row in rows:
        by_image.setdefault(row.image_id, []).append(row)
    there, what = (len(by_image), "images with captions") if per_image else (len(rows), "captions")
    if count is not None and there < count:
        raise InputError(f"found {there:,} {what}, expected at least {count:,} to draw from")
    if not per_image:
        return sorted(rows, key=rank)[:count]
    images = sorted(by_image, key=lambda image: _rank("coco-image", seed, image))[:count]
    return [min(by_image[image], key=rank) for image in images]


def _command(draw: CocoDraw) -> str:
    other = "" if draw.split.name == "val2014" else f" --reference coco-{draw.split.name}"
    return f"imagen-bench data coco --root DIR{other}"


def _rank(what: str, seed: int, *ids: int) -> bytes:
    text = "\n".join([what, *map(str, (seed, *ids))])
    return hashlib.sha256(text.encode()).digest()


def _to_prompt(row: CocoCaption) -> RawPrompt:
    meta = {"image_id": str(row.image_id), "caption_id": str(row.caption_id), "file_name": row.file_name}
    return RawPrompt(f"caption {row.caption_id}", row.text, f"{row.image_id:012d}-{row.caption_id}", "", meta)


for _name in DRAWS:
    if not DRAWS[_name].subset:
        prompt_sets.register(_name)(partial(load_coco_prompts, _name))
