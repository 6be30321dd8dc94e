"""The held-out reference set of the bundled benchmark: real pictures of concepts that the model never saw."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image

from imagen_bench.data.emoji_world import EmojiWorld, WorldConfig
from imagen_bench.files import atomic_path

BENCH_MIX = {"single": 30, "colour": 20, "counting": 20, "position": 20, "background": 15, "pair": 15}
"""Rows of emoji-bench by scene kind; the reference set has the same mix, so that FD compares like with like."""


def write_reference(root: Path, config: WorldConfig, count: int, seed: int, out: Path, resolution: int = 64) -> None:
    """Draws `count` scenes of held-out concepts and writes them as a parquet file in the Hugging Face image layout.

    Args:
        root: a folder made by `imagen-bench data emoji`.
        config: the model's world; its concepts are the ones left out.
        count: number of pictures; the kinds come in the proportions of `BENCH_MIX`.
        seed: of all choices; the same seed gives the same file content.
        out: parquet file with the columns image {bytes, path}, caption, category, concepts.
        resolution: side of the pictures in pixels.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    world = EmojiWorld(root, config, "heldout")
    rng = np.random.default_rng((seed, 7))
    kinds = [kind for kind, share in BENCH_MIX.items() for _ in range(share)]
    rows: dict[str, list[object]] = {"image": [], "caption": [], "category": [], "concepts": []}
    for index in range(count):
        scene = world.scene(rng, kinds[index % len(kinds)])
        buffer = io.BytesIO()
        Image.fromarray(world.draw(scene, resolution)).save(buffer, "PNG", optimize=True)
        rows["image"].append({"bytes": buffer.getvalue(), "path": f"{index:05d}.png"})
        rows["caption"].append(scene.caption)
        rows["category"].append(scene.kind)
        rows["concepts"].append("|".join(dict.fromkeys(item.concept for item in scene.sprites)))
    with atomic_path(out) as temporary:
        pq.write_table(pa.table(rows), temporary, compression="none")
