"""A small emoji set on disk: flat shapes of one colour each, in the layout that `data emoji` makes."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from PIL import Image, ImageDraw

from imagen_bench.data.emoji import COLUMNS, sprite_path
from imagen_bench.data.emoji_world import WorldConfig

SHAPES = {
    "pear": (20, 180, 20),
    "octopus": (120, 40, 160),
    "bus": (230, 180, 0),
    "grapes": (90, 0, 130),
    "llama": (180, 120, 60),
    "kite": (0, 90, 200),
}
TRAINED = ("pear", "octopus", "bus", "grapes")


@pytest.fixture(scope="session")
def emoji_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("emoji")
    with (root / "concepts.csv").open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(COLUMNS)
        for name in SHAPES:
            writer.writerow([name, "food-drink", "things", "1f000", "twemoji|fluent", "key|word"])
    for style in ("twemoji", "fluent"):
        for name, colour in SHAPES.items():
            picture = Image.new("RGBA", (256, 256), (0, 0, 0, 0))
            ImageDraw.Draw(picture).ellipse((40, 16, 216, 240), fill=(*colour, 255))
            path = sprite_path(root, style, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            picture.save(path)
    return root


@pytest.fixture(scope="session")
def world_config() -> WorldConfig:
    mix = {"single": 1, "colour": 1, "counting": 1, "position": 1, "background": 1, "pair": 1}
    return WorldConfig(("twemoji", "fluent"), TRAINED, mix, style_rate=0.5)
