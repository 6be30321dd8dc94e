"""Scenes of the emoji world: a caption, its ground truth and the picture, composed from real sprites.

A scene is described on a 64x64 grid and drawn at any multiple of it. The 64x64 picture equals the area mean of the
256x256 one (but for the pixels where two sprites touch), so base model and super-resolution see the same world.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from imagen_bench.data.emoji import Concept, read_concepts, sprite_path
from imagen_bench.data.emoji_sources import SOURCES
from imagen_bench.data.wording import article, count_phrase, is_countable, with_article
from imagen_bench.errors import ConfigError, InputError
from imagen_bench.files import digest_json, sha256_file

GRID = 64
COLOURS = {
    "red": (214, 40, 40), "orange": (245, 130, 32), "yellow": (250, 208, 44), "green": (62, 160, 70),
    "blue": (42, 104, 214), "purple": (128, 62, 178), "pink": (244, 132, 180), "brown": (134, 84, 48),
    "grey": (140, 144, 150), "black": (24, 24, 28),
}  # fmt: skip
SPRITE_COLOURS = tuple(name for name in COLOURS if name not in ("grey", "black"))
RELATIONS = {"above": (0, -1), "below": (0, 1), "left of": (-1, 0), "right of": (1, 0)}
RELATION_WORDS = {
    "above": "above",
    "below": "below",
    "left of": "to the left of",
    "right of": "to the right of",
}
KINDS = ("single", "colour", "counting", "position", "background", "pair")
_PLACES = {
    1: ((0.5, 0.5),),
    2: ((0.27, 0.5), (0.73, 0.5)),
    3: ((0.27, 0.73), (0.73, 0.73), (0.5, 0.27)),
    4: ((0.27, 0.27), (0.73, 0.27), (0.27, 0.73), (0.73, 0.73)),
    5: ((0.21, 0.21), (0.79, 0.21), (0.5, 0.5), (0.21, 0.79), (0.79, 0.79)),
}
_COUNT_SIZES = {1: (36,), 2: (26, 28), 3: (24, 26), 4: (24, 26), 5: (18, 20)}
_SINGLE_SIZES, _COLOUR_SIZES, _PAIR_SIZES = (54, 56), (54,), (28,)
_CACHED_SPRITES = 65536  # drawing a sprite anew takes milliseconds, some 10 KB of memory save them

Rng = np.random.Generator
Picture = npt.NDArray[np.uint8]
_Made = tuple[str, tuple[int, int, int], list["Placed"], dict[str, str]]


@dataclass(frozen=True)
class Placed:
    """One sprite on the grid: top-left corner and size in grid units, and the colour it is repainted in, if any."""

    concept: str
    x: int
    y: int
    size: int
    colour: str = ""


@dataclass(frozen=True)
class Scene:
    """A picture to draw and what is true of it. `background` is RGB, `truth` the machine-readable ground truth."""

    kind: str
    caption: str
    style: str
    background: tuple[int, int, int]
    sprites: tuple[Placed, ...]
    truth: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class WorldConfig:
    """What the world consists of. `mix` weighs the scene kinds, `style_rate` is how often a caption names the style."""

    styles: tuple[str, ...]
    concepts: tuple[str, ...]
    mix: dict[str, float]
    style_rate: float = 0.3

    @classmethod
    def read(cls, path: Path) -> WorldConfig:
        """Reads a world.toml; unknown keys, kinds and styles are refused."""
        data = tomllib.loads(path.read_text(encoding="utf-8"))
        _refuse_unknown(path, "key", set(data) - {"styles", "concepts", "mix", "style_rate"})
        _refuse_unknown(path, "style", set(data.get("styles", ())) - set(SOURCES))
        _refuse_unknown(path, "scene kind", set(data.get("mix", {})) - set(KINDS))
        rate = float(data.get("style_rate", 0.3))
        return cls(tuple(data["styles"]), tuple(data["concepts"]), dict(data["mix"]), rate)

    def with_mix(self, mix: dict[str, float]) -> WorldConfig:
        """The same world with other shares of the scene kinds; a kind that is not named is not drawn."""
        _refuse_unknown("data.mix", "scene kind", set(mix) - set(KINDS))
        return replace(self, mix=dict(mix))


def _refuse_unknown(source: Path | str, what: str, unknown: set[str]) -> None:
    if unknown:
        name = sorted(unknown)[0]
        raise ConfigError(f"{source}: unknown {what} {name!r}: models/imagen-emoji/world.toml shows what there is")


class EmojiWorld:
    """Draws random scenes of a split of the concepts.

    Args:
        root: a folder made by `imagen-bench data emoji`.
        config: styles, training concepts and mix of scene kinds.
        split: "train" for the listed concepts, "heldout" for every other concept that all styles draw.
    """

    def __init__(self, root: Path, config: WorldConfig, split: str = "train") -> None:
        self.root, self.config, self.split = root, config, split
        known = {item.concept: item for item in read_concepts(root)}
        missing = [name for name in config.concepts if name not in known]
        if missing:
            raise InputError(
                f"{root} has no concept {missing[0]!r}, which the world lists: "
                "build it again with `imagen-bench data emoji`"
            )
        if split == "train":
            self.concepts = [known[name] for name in config.concepts]
        else:
            self.concepts = heldout_concepts(list(known.values()), config)
        self._countable = [item for item in self.concepts if is_countable(item.concept)]
        self._kinds = [kind for kind in KINDS if config.mix.get(kind, 0) > 0]
        weights = np.array([config.mix[kind] for kind in self._kinds], dtype=np.float64)
        self._weights = weights / weights.sum()
        self._makers: dict[str, Callable[[Rng, tuple[str, ...]], _Made]] = {
            "single": self._single, "colour": self._colour, "counting": self._counting,
            "position": self._position, "background": self._background, "pair": self._pair,
        }  # fmt: skip
        self._trimmed = lru_cache(maxsize=None)(self._read_trimmed)
        self._sprites = lru_cache(maxsize=_CACHED_SPRITES)(self._load_sprite)

    @property
    def digest(self) -> str:
        """SHA-256 over the sprites that scenes of this split are composed from: what a training saw."""
        paths = (sprite_path(self.root, style, item.concept) for style in self.config.styles for item in self.concepts)
        return digest_json({f"{path.parent.name}/{path.name}": sha256_file(path) for path in paths})

    def scene(self, rng: Rng, kind: str | None = None, concepts: tuple[str, ...] = ()) -> Scene:
        """A random scene; the same generator state gives the same scene.

        Args:
            rng: source of all choices.
            kind: one of `KINDS`, drawn by the mix where not given.
            concepts: what to show, as many as the kind takes; drawn where not given.
        """
        kind = kind or str(rng.choice(self._kinds, p=self._weights))
        style = str(rng.choice(self.config.styles))
        caption, background, sprites, truth = self._makers[kind](rng, concepts)
        if rng.random() < self.config.style_rate:
            caption = f"{caption}, {SOURCES[style].style} style"
        return Scene(kind, caption, style, background, tuple(sprites), truth)

    def sibling(self, scene: Scene, rng: Rng) -> Scene:
        """A scene with the same concepts, of another kind or with other attributes: a hard negative for a scorer."""
        concepts = tuple(dict.fromkeys(item.concept for item in scene.sprites))
        if len(concepts) == 2:
            order = concepts if rng.random() < 0.5 else concepts[::-1]
            return self.scene(rng, str(rng.choice(["position", "position", "pair"])), order)
        kinds = (
            ["background", "single"]
            if not is_countable(concepts[0])
            else ["background", "single", "colour", "counting", "counting"]
        )
        return self.scene(rng, str(rng.choice(kinds)), concepts)

    def draw(self, scene: Scene, resolution: int = GRID) -> Picture:
        """The scene as uint8 HWC RGB, `resolution` a multiple of 64 up to 256."""
        scale = resolution // GRID
        canvas = np.empty((resolution, resolution, 3), np.float32)
        canvas[:] = scene.background
        for item in scene.sprites:
            sprite = self._sprites(scene.style, item.concept, item.size, item.colour, scale)
            height, width = sprite.shape[:2]
            top, left = item.y * scale, item.x * scale
            patch = canvas[top : top + height, left : left + width]
            patch *= 1.0 - sprite[..., 3:]
            patch += sprite[..., :3]
        picture: Picture = np.clip(canvas + 0.5, 0, 255).astype(np.uint8)
        return picture

    def _read_trimmed(self, style: str, concept: str) -> Image.Image:
        with Image.open(sprite_path(self.root, style, concept)) as opened:
            picture = opened.convert("RGBA")
        return picture.crop(picture.getchannel("A").point(lambda value: 255 if value > 8 else 0).getbbox())

    def _load_sprite(self, style: str, concept: str, size: int, colour: str, scale: int) -> npt.NDArray[np.float32]:
        """Premultiplied RGBA, float32 HWC, RGB in 0-255 and alpha in 0-1; drawn at 4x the grid, then area-averaged."""
        full = 4
        picture = self._trimmed(style, concept)
        longest = max(picture.size)
        width, height = fit(picture.size, size)
        scaled = picture.resize(
            (width * full, height * full),
            Image.Resampling.BOX if longest > size * full else Image.Resampling.BICUBIC,
        )
        pixels = np.asarray(scaled, np.float32)
        alpha = pixels[..., 3:] / 255.0
        rgb = repaint(pixels[..., :3], alpha[..., 0], COLOURS[colour]) if colour else pixels[..., :3]
        sprite = np.concatenate([rgb * alpha, alpha], axis=-1)
        block = full // scale
        return np.ascontiguousarray(
            sprite.reshape(height * scale, block, width * scale, block, 4).mean(axis=(1, 3), dtype=np.float32)
        )

    def _single(self, rng: Rng, concepts: tuple[str, ...]) -> _Made:
        (concept,) = concepts or (self._pick(rng, self.concepts),)
        placed = self._place(rng, concept, 0.5, 0.5, int(rng.choice(_SINGLE_SIZES)), jitter=1)
        return with_article(concept), (255, 255, 255), [placed], {"concept": concept}

    def _background(self, rng: Rng, concepts: tuple[str, ...]) -> _Made:
        caption, _, sprites, truth = self._single(rng, concepts)
        colour = str(rng.choice(list(COLOURS)))
        return (
            f"{caption} on {article(colour)} {colour} background",
            _jittered(rng, COLOURS[colour]),
            sprites,
            {**truth, "background": colour},
        )

    def _colour(self, rng: Rng, concepts: tuple[str, ...]) -> _Made:
        (concept,) = concepts or (self._pick(rng, self._countable),)
        colour = str(rng.choice(SPRITE_COLOURS))
        placed = self._place(rng, concept, 0.5, 0.5, int(rng.choice(_COLOUR_SIZES)), jitter=1, colour=colour)
        return (
            f"{article(colour)} {colour} {concept}",
            (255, 255, 255),
            [placed],
            {"concept": concept, "color": colour},
        )

    def _counting(self, rng: Rng, concepts: tuple[str, ...]) -> _Made:
        (concept,) = concepts or (self._pick(rng, self._countable),)
        count = int(rng.integers(1, 6))
        size = int(rng.choice(_COUNT_SIZES[count]))
        places = _PLACES[count]
        if count == 3 and rng.random() < 0.5:
            places = tuple((x, 1.0 - y) for x, y in places)
        sprites = [self._place(rng, concept, x, y, size, jitter=1) for x, y in places]
        return (
            count_phrase(count, concept),
            (255, 255, 255),
            sprites,
            {"concept": concept, "count": str(count)},
        )

    def _position(self, rng: Rng, concepts: tuple[str, ...]) -> _Made:
        first, second = concepts or self._pick_two(rng)
        relation = str(rng.choice(list(RELATIONS)))
        dx, dy = RELATIONS[relation]
        sprites = self._beside(rng, first, second, dx, dy)
        caption = f"{with_article(first)} {RELATION_WORDS[relation]} {with_article(second)}"
        return (
            caption,
            (255, 255, 255),
            sprites,
            {"concept": first, "relation": relation, "concept_b": second},
        )

    def _pair(self, rng: Rng, concepts: tuple[str, ...]) -> _Made:
        first, second = concepts or self._pick_two(rng)
        sprites = self._beside(rng, first, second, int(rng.choice([-1, 1])), 0)
        caption = f"{with_article(first)} and {with_article(second)}"
        return caption, (255, 255, 255), sprites, {"concept": first, "relation": "and", "concept_b": second}

    def _beside(self, rng: Rng, first: str, second: str, dx: int, dy: int) -> list[Placed]:
        """`first` on the side (dx, dy) of `second`, both about half the canvas wide."""
        offset, size = 0.235, int(rng.choice(_PAIR_SIZES))
        return [
            self._place(rng, first, 0.5 + dx * offset, 0.5 + dy * offset, size, jitter=1),
            self._place(rng, second, 0.5 - dx * offset, 0.5 - dy * offset, size, jitter=1),
        ]

    def _place(self, rng: Rng, concept: str, x: float, y: float, size: int, jitter: int, colour: str = "") -> Placed:
        """Centres the trimmed sprite on (x, y) of the canvas, moved by up to `jitter`, kept inside."""
        width, height = self._extent(concept, size)
        left = round(x * GRID - width / 2) + int(rng.integers(-jitter, jitter + 1))
        top = round(y * GRID - height / 2) + int(rng.integers(-jitter, jitter + 1))
        return Placed(concept, int(np.clip(left, 0, GRID - width)), int(np.clip(top, 0, GRID - height)), size, colour)

    def _extent(self, concept: str, size: int) -> tuple[int, int]:
        """Largest width and height over the styles, so that a scene fits whatever the style."""
        shapes = [fit(self._trimmed(style, concept).size, size) for style in self.config.styles]
        return max(width for width, _ in shapes), max(height for _, height in shapes)

    def _pick(self, rng: Rng, concepts: Sequence[Concept]) -> str:
        return concepts[int(rng.integers(len(concepts)))].concept

    def _pick_two(self, rng: Rng) -> tuple[str, str]:
        first, second = rng.choice(len(self.concepts), size=2, replace=False)
        return self.concepts[int(first)].concept, self.concepts[int(second)].concept


def heldout_concepts(known: Sequence[Concept], config: WorldConfig) -> list[Concept]:
    """Concepts of the world's subgroups that every style draws and no training scene shows.

    A concept is held out as a whole: sets share designs, so the same thing in another style would be no
    unseen thing.
    """
    trained = set(config.concepts)
    subgroups = {item.subgroup for item in known if item.concept in trained}
    heads = {name.split()[-1].lower() for name in trained} | {name.split()[0].lower() for name in trained}
    return [
        item
        for item in known
        if item.subgroup in subgroups
        and item.concept not in trained
        and not item.concept.endswith("-thirty")
        and set(config.styles) <= set(item.styles)
        and not heads & set(item.concept.lower().split())
    ]


def fit(shape: tuple[int, int], size: int) -> tuple[int, int]:
    """Width and height with the longer edge at `size`, the aspect ratio kept."""
    longest = max(shape)
    return max(1, round(size * shape[0] / longest)), max(1, round(size * shape[1] / longest))


def repaint(
    rgb: npt.NDArray[np.float32], alpha: npt.NDArray[np.float32], colour: tuple[int, int, int]
) -> npt.NDArray[np.float32]:
    """A picture in shades of one colour, its light and dark kept: black to the colour to white by luminance rank.

    Args:
        rgb: float32 HWC in 0-255.
        alpha: float32 HW in 0-1; luminance is centred on the visible part's mean.
        colour: RGB of the middle of the ramp.
    """
    light = rgb @ np.array([0.299, 0.587, 0.114], np.float32) / 255.0
    mean = float((light * alpha).sum() / max(float(alpha.sum()), 1e-6))
    shade = np.clip((light - mean) * 0.9, -0.45, 0.45)[..., None]
    base = np.array(colour, np.float32)
    ramp: npt.NDArray[np.float32] = np.where(shade < 0, base * (1 + 1.6 * shade), base + (255 - base) * 1.6 * shade)
    return ramp.astype(np.float32)


def _jittered(rng: Rng, colour: tuple[int, int, int]) -> tuple[int, int, int]:
    red, green, blue = (int(np.clip(value + rng.integers(-6, 7), 0, 255)) for value in colour)
    return red, green, blue
