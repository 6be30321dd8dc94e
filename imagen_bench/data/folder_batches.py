"""Training batches from a folder of pictures and a captions file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from imagen_bench.data.captions import load_captions, match_captions
from imagen_bench.images import from_pil, list_images, read_image, to_pil


def folder_batches(
    root: Path, captions: Path, batch_size: int, resolution: int, seed: int = 0
) -> Callable[[int], tuple[torch.Tensor, list[str]]]:
    """Step -> (images uint8 NCHW of `resolution`, captions), every picture once an epoch in a new order.

    Pictures are cut to their middle square and resized with antialiasing; a picture with several captions
    gets one of them at random.
    """
    paths = list_images(root)
    names = [path.relative_to(root).as_posix() for path in paths]
    texts = match_captions(names, load_captions(captions))

    def batch(step: int) -> tuple[torch.Tensor, list[str]]:
        rng = np.random.default_rng((seed, step, 2))
        chosen = [_place(seed, step * batch_size + offset, len(paths)) for offset in range(batch_size)]
        images = torch.stack([square(read_image(paths[index]), resolution) for index in chosen])
        return images, [texts[index][int(rng.integers(len(texts[index])))].text for index in chosen]

    return batch


def square(image: torch.Tensor, resolution: int) -> torch.Tensor:
    """uint8 CHW -> uint8 C(resolution)(resolution): middle square, then area-true resize."""
    from PIL import Image

    side = min(image.shape[1:])
    top, left = (image.shape[1] - side) // 2, (image.shape[2] - side) // 2
    picture = to_pil(image[:, top : top + side, left : left + side])
    return from_pil(picture.resize((resolution, resolution), Image.Resampling.BICUBIC))


def _place(seed: int, position: int, count: int) -> int:
    """The picture at a position of the endless sequence of shuffled epochs."""
    epoch, offset = divmod(position, count)
    return int(np.random.default_rng((seed, epoch, 3)).permutation(count)[offset])
