"""The feature spaces that metrics are defined on, by name, and how they are opened.

"inception" (the 2048 pooled features), "inception-768", "inception-192", "inception-64" and "inception-logits" are
layers of the FID Inception network; "dinov2-vitl14" is DINOv2's class token; "clip-vitl14-336" is what CMMD uses.
The CLIP model that the user chose is `CHOSEN`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

from imagen_bench.devices import open_device
from imagen_bench.errors import ConfigError, ModelError
from imagen_bench.metrics.dinov2 import open_dinov2
from imagen_bench.metrics.extractors import ImageExtractor, OpenClipExtractor, PixelTransform, open_extractor
from imagen_bench.metrics.inception import InceptionNetwork, open_inception
from imagen_bench.metrics.open_clip_files import OpenClipFiles, find_named
from imagen_bench.metrics.pixels import CROP_THEN_RESIZE
from imagen_bench.metrics.resize import DEFAULT_RESIZE, find_resize
from imagen_bench.metrics.weights import WeightsPlaces, locate_weights
from imagen_bench.suggest import did_you_mean

CHOSEN = "chosen"
INCEPTION_LAYERS = {
    "inception": "2048",
    "inception-768": "768",
    "inception-192": "192",
    "inception-64": "64",
    "inception-logits": "logits",
}
_CLIP_SPACES: dict[str, tuple[str, str, PixelTransform]] = {
    "clip-vitl14-336": ("ViT-L-14-336", "CLIP ViT-L/14-336", CROP_THEN_RESIZE),
}
_DINOV2 = "dinov2-vitl14"
SPACES = (CHOSEN, *INCEPTION_LAYERS, _DINOV2, *_CLIP_SPACES)
OpenChosen = Callable[..., ImageExtractor]


@dataclass(frozen=True)
class SpaceOptions:
    """How feature spaces are opened.

    Attributes:
        extractor: The CLIP model that the user chose.
        resize: Resize mode of the Inception network.
        weights: Where weights are looked for.
        device: A torch device, or "auto".
    """

    extractor: str = "imagen-emoji"
    resize: str = DEFAULT_RESIZE
    weights: WeightsPlaces = field(default_factory=WeightsPlaces)
    device: str = "auto"


def space_of(features: str | None) -> str:
    """Return the space that a metric's `features` attribute names; None is the chosen CLIP model.

    Raises:
        ConfigError: No such space.
    """
    name = CHOSEN if features is None else features
    if name not in SPACES:
        raise ConfigError(f"unknown feature space {name!r}: {did_you_mean(name, SPACES)}")
    return name


def open_spaces(
    names: Iterable[str], options: SpaceOptions, open_chosen: OpenChosen = open_extractor
) -> dict[str, ImageExtractor]:
    """Open feature spaces, each network once; nothing is downloaded.

    Args:
        names: Names out of `SPACES`.
        options: How to open them.
        open_chosen: What opens the CLIP model that the user chose.

    Returns:
        The extractor of each name, in the order of the names. That of `CHOSEN` reads texts too.

    Raises:
        ConfigError: An unknown name or resize mode.
        ModelError: Missing or broken weights.
    """
    find_resize(options.resize)
    opened: dict[str, ImageExtractor] = {}
    inception: InceptionNetwork | None = None
    for name in map(space_of, dict.fromkeys(names)):
        if name in INCEPTION_LAYERS:
            inception = inception or open_inception(
                locate_weights("inception", options.weights), options.resize, options.device
            )
            opened[name] = inception.extractor(INCEPTION_LAYERS[name])
        elif name == _DINOV2:
            opened[name] = open_dinov2(locate_weights(name, options.weights), options.device).extractor()
        elif name in _CLIP_SPACES:
            opened[name] = _open_clip(name, options)
        else:
            folder = options.weights.folder
            opened[name] = open_chosen(options.extractor, options.device, *([folder] if folder else []))
    return opened


def _open_clip(name: str, options: SpaceOptions) -> OpenClipExtractor:
    """Open OpenAI's CLIP of a fixed space from its pulled file, or from what open_clip itself once downloaded."""
    architecture, short_name, transform = _CLIP_SPACES[name]
    try:
        path = locate_weights(name, options.weights)
    except ModelError:
        if name in options.weights.files:
            raise
        files = _from_cache(f"{architecture}/openai")
        if files is None:
            raise
    else:
        files = find_named(f"{architecture}-quickgelu/{path}")
    return OpenClipExtractor(replace(files, short_name=short_name), open_device(options.device), transform)


def _from_cache(name: str) -> OpenClipFiles | None:
    try:
        return find_named(name)
    except ModelError:
        return None
