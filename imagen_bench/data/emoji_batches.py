"""Training batches of the emoji world, each a function of the seed and the step alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch

from imagen_bench.data.emoji_world import EmojiWorld, Scene, WorldConfig

Batches = Callable[[int], tuple[torch.Tensor, list[str]]]


def emoji_batches(
    root: Path, config: WorldConfig, batch_size: int, resolution: int = 64, seed: int = 0, share: slice = slice(None)
) -> Batches:
    """Step -> (images uint8 NCHW of `resolution`, captions) of the trained concepts; `share` picks rows of them."""
    world = EmojiWorld(root, config)

    def batch(step: int) -> tuple[torch.Tensor, list[str]]:
        rng = np.random.default_rng((seed, step))
        return draw_scenes([(world, world.scene(rng)) for _ in range(batch_size)][share], resolution)

    return batch


def contrastive_batches(
    root: Path, config: WorldConfig, batch_size: int, resolution: int = 64, seed: int = 0
) -> Batches:
    """Step -> batch of seen and held-out concepts, each second picture a sibling of the one before it.

    A scorer must know the concepts that the generator was never shown, and must tell "three pears" from "four
    pears".
    """
    worlds = [EmojiWorld(root, config, split) for split in ("train", "heldout")]

    def batch(step: int) -> tuple[torch.Tensor, list[str]]:
        rng = np.random.default_rng((seed, step, 1))
        scenes: list[tuple[EmojiWorld, Scene]] = []
        while len(scenes) < batch_size:
            world = worlds[int(rng.random() < 0.4)]
            scene = world.scene(rng)
            scenes += [(world, scene), (world, world.sibling(scene, rng))]
        return draw_scenes(scenes[:batch_size], resolution)

    return batch


def draw_scenes(scenes: Sequence[tuple[EmojiWorld, Scene]], resolution: int) -> tuple[torch.Tensor, list[str]]:
    """Draws scenes into one tensor, uint8 NCHW."""
    pictures = np.stack([world.draw(scene, resolution) for world, scene in scenes])
    return torch.from_numpy(pictures).permute(0, 3, 1, 2).contiguous(), [scene.caption for _, scene in scenes]
