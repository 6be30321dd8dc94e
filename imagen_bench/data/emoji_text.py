"""Text of the emoji world, for training the text encoder on text alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from imagen_bench.data.emoji import read_concepts
from imagen_bench.data.emoji_world import EmojiWorld, WorldConfig


def emoji_captions(root: Path, config: WorldConfig, seed: int = 0) -> Callable[[int], Sequence[str]]:
    """A source of captions: scenes of seen and held-out concepts, short names with keywords, in random order.

    Text of held-out concepts is used on purpose: the text encoder never sees a picture, as T5 never saw one.
    """
    rng = np.random.default_rng(seed)
    worlds = [EmojiWorld(root, config, split) for split in ("train", "heldout")]
    concepts = read_concepts(root)

    def captions(count: int) -> Sequence[str]:
        texts = []
        for _ in range(count):
            choice = rng.random()
            if choice < 0.85:
                texts.append(worlds[0 if choice < 0.6 else 1].scene(rng).caption)
            else:
                item = concepts[int(rng.integers(len(concepts)))]
                words = list(rng.permutation(item.keywords)[:3]) if item.keywords else []
                texts.append(", ".join([item.concept, *words]))
        return texts

    return captions
