"""Training batches from captioned pictures, each a function of the seed and the step alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache

import numpy as np
import torch

from imagen_bench.data.picture_sources import PictureSource
from imagen_bench.errors import InputError
from imagen_bench.images import from_pil, to_pil

Batches = Callable[[int], tuple[torch.Tensor, list[str]]]


def picture_batches(
    source: PictureSource, batch_size: int, resolution: int, seed: int = 0, rows: Sequence[int] | None = None,
    share: slice = slice(None),
) -> Batches:  # fmt: skip
    """Step -> (images uint8 NCHW of `resolution`, captions), every picture once an epoch in a new order.

    Pictures are cut to their middle square and resized with antialiasing; a picture with several captions
    gets one of them at random.

    Args:
        source: the pictures.
        batch_size: pictures a batch.
        resolution: side of the pictures, in pixels.
        seed: of the orders and of the choice among captions.
        rows: places in the source that are used, all of them where it is None.
        share: which rows of each batch are read, for a worker that gets its part of them.
    """
    used = range(len(source)) if rows is None else rows

    @lru_cache(maxsize=2)
    def order(epoch: int) -> list[int]:
        places: list[int] = np.random.default_rng((seed, epoch, 3)).permutation(len(used)).tolist()
        return places

    def batch(step: int) -> tuple[torch.Tensor, list[str]]:
        rng = np.random.default_rng((seed, step, 2))
        places = [divmod(step * batch_size + offset, len(used)) for offset in range(batch_size)]
        chosen = [used[order(epoch)[place]] for epoch, place in places]
        texts = [source.captions(index) for index in chosen]
        captions = [several[int(rng.integers(len(several)))] for several in texts]
        return torch.stack([square(source.picture(index), resolution) for index in chosen[share]]), captions[share]

    return batch


def held_out_batches(source: PictureSource, batch_size: int, resolution: int, rows: Sequence[int]) -> Batches:
    """Step -> batch of the pictures `rows` in their order, with their first captions, again and again."""

    def batch(step: int) -> tuple[torch.Tensor, list[str]]:
        chosen = [rows[(step * batch_size + offset) % len(rows)] for offset in range(batch_size)]
        images = torch.stack([square(source.picture(index), resolution) for index in chosen])
        return images, [source.captions(index)[0] for index in chosen]

    return batch


def split_rows(count: int, held_out: int, seed: int) -> tuple[list[int], list[int]]:
    """Places of the pictures to train on and of those held out, drawn by the seed; both in ascending order.

    Raises:
        InputError: nothing is left to train on.
    """
    if held_out >= count:
        raise InputError(f"{held_out} of {count} pictures held out leave none to train on: lower data.held_out")
    chosen = set(np.random.default_rng((seed, 4)).permutation(count)[:held_out].tolist())
    return [index for index in range(count) if index not in chosen], sorted(chosen)


def square(image: torch.Tensor, resolution: int) -> torch.Tensor:
    """uint8 CHW -> uint8 C(resolution)(resolution): middle square, then area-true resize."""
    from PIL import Image

    side = min(image.shape[1:])
    top, left = (image.shape[1] - side) // 2, (image.shape[2] - side) // 2
    picture = to_pil(image[:, top : top + side, left : left + side])
    return from_pil(picture.resize((resolution, resolution), Image.Resampling.BICUBIC))
