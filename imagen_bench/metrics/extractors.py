"""Feature extractors: from uint8 images, and from texts, to the features that metrics compare.

The CLIP extractor is open_clip's model with open_clip's own image transform: Pillow's resize on 8-bit pixels
(bicubic, antialiased, the short side to the model's size, then a centre crop; other models may squash or use
bilinear, as their config says), scaling to [0, 1], and the model's mean and std. Features are those of
`encode_image` and `encode_text`, not normalised, which is what CLIP-FID in clean-fid and torch-fidelity uses;
the CLIP score normalises for itself. The `id` records all of this with the SHA-256 of the weights.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch

from imagen_bench.assets import asset
from imagen_bench.devices import open_device
from imagen_bench.errors import ModelError
from imagen_bench.images import to_pil
from imagen_bench.metrics.full_precision import full_float32
from imagen_bench.metrics.open_clip_files import OpenClipFiles, find_folder, find_named
from imagen_bench.metrics.open_clip_text import encode_text

BUNDLED = {"imagen-emoji": "models/imagen-emoji/clip"}
_DIGITS = 16


class ImageExtractor(Protocol):
    """Turns images into features.

    Attributes:
        id: Architecture, resize mode, features and digest of the weights; fit for a file name.
        short_name: What people call it.
        dim: Number of feature dimensions D.
    """

    @property
    def id(self) -> str:
        """Everything that decides the features, fit for a file name."""

    @property
    def short_name(self) -> str:
        """What people call it."""

    @property
    def dim(self) -> int:
        """Number of feature dimensions D."""

    def image_features(self, images: torch.Tensor | Sequence[torch.Tensor]) -> torch.Tensor:
        """Return float32 features N x D on the CPU; those of an image do not depend on its batch.

        Args:
            images: uint8 RGB, N x 3 x H x W, or N tensors 3 x H x W of any sizes.
        """


@runtime_checkable
class Extractor(ImageExtractor, Protocol):
    """Turns images and texts into features of one space.

    Attributes:
        truncated: How many texts so far were longer than the model can read, and were cut.
    """

    truncated: int

    def text_features(self, texts: Sequence[str]) -> torch.Tensor:
        """Return float32 features N x D on the CPU."""


class ImageNetwork(Protocol):
    """A network whose layers are feature spaces: the slow part of several extractors, run once for all of them."""

    def prepare(self, image: torch.Tensor) -> torch.Tensor:
        """Do with one image, uint8 3 x H x W, what needs no network; called from several threads."""

    def forward(self, prepared: Sequence[torch.Tensor], layers: Sequence[str]) -> Mapping[str, torch.Tensor]:
        """Return float32 features N x D on the CPU of each layer, from one pass."""


@runtime_checkable
class NetworkLayer(Protocol):
    """An extractor that is one layer of a network, so that others of the same network can share its pass."""

    @property
    def network(self) -> ImageNetwork:
        """The network."""

    @property
    def layer(self) -> str:
        """The layer's name."""


@dataclass(frozen=True)
class LayerExtractor:
    """Image features of one layer of a network.

    Attributes:
        network: The network.
        layer: Its layer.
        id: Everything that decides the features, fit for a file name.
        short_name: What people call it.
        dim: Number of feature dimensions D.
    """

    network: ImageNetwork
    layer: str
    id: str
    short_name: str
    dim: int

    def image_features(self, images: torch.Tensor | Sequence[torch.Tensor]) -> torch.Tensor:
        """Return float32 features N x D on the CPU.

        Args:
            images: uint8 RGB, N x 3 x H x W, or N tensors 3 x H x W of any sizes.
        """
        prepared = [self.network.prepare(image) for image in images]
        if not prepared:
            return torch.empty(0, self.dim)
        return self.network.forward(prepared, [self.layer])[self.layer]


def open_extractor(name: str, device: str = "auto", folder: Path | None = None) -> Extractor:
    """Open a CLIP model as an extractor; nothing is downloaded.

    Args:
        name: "imagen-emoji" (ships with the package), a folder in open_clip's layout, "ARCH/PRETRAINED" such
            as "ViT-B-32/openai", or "ARCH/path/to/weights".
        device: A torch device, or "auto" for CUDA where there is one.
        folder: Where to look for the weights of a pretrained tag first.

    Raises:
        ModelError: Unknown name, missing or broken weights.
        AssetError: The bundled model is not installed.
    """
    if name in BUNDLED:
        files = find_folder(asset(BUNDLED[name]), name)
    elif Path(name).is_dir():
        files = find_folder(Path(name), Path(name).resolve().name)
    elif "/" in name:
        files = find_named(name, folder)
    else:
        raise ModelError(
            f"unknown extractor {name!r}: expected {', '.join(BUNDLED)}, a folder that open_clip saved, or "
            "ARCH/PRETRAINED such as ViT-B-32/openai"
        )
    return OpenClipExtractor(files, open_device(device))


@dataclass(frozen=True)
class PixelTransform:
    """A way from a picture to a model's input.

    Attributes:
        name: Its name in the extractor's id.
        build: From side length, mean and std (RGB, of values in [0, 1]) to the transform of one picture.
    """

    name: str
    build: Callable[[int, Sequence[float], Sequence[float]], Callable[[Any], torch.Tensor]]


class OpenClipExtractor:
    """CLIP's image and text features, by open_clip.

    Args:
        files: Where the model lies.
        device: Device of the model; inputs and results are on the CPU.
        transform: Another preparation of the pixels than open_clip's own, with its name for the id.

    Raises:
        ModelError: The weights do not fit the architecture, or cannot be loaded safely.
    """

    layer = "image"

    def __init__(self, files: OpenClipFiles, device: torch.device, transform: PixelTransform | None = None) -> None:
        from open_clip.transform import PreprocessCfg, image_transform_v2

        self._device = device
        self._model = _load_model(files).to(device)
        self._tokenizer = _load_tokenizer(files)
        preprocess = PreprocessCfg(**self._model.visual.preprocess_cfg)
        size = "x".join(str(side) for side in preprocess.input_size[1:])
        if transform is None:
            self._transform = image_transform_v2(preprocess, is_train=False)
            resize = f"{size}-{preprocess.resize_mode}-{preprocess.interpolation}-pil"
        else:
            self._transform = transform.build(preprocess.input_size[1], preprocess.mean, preprocess.std)
            resize = f"{size}-{transform.name}"
        self.id = f"openclip-{files.architecture}-{resize}-unnormalised-{files.sha256[:_DIGITS]}"
        self.short_name = files.short_name
        self.weights_sha256 = files.sha256
        self.dim = int(_encode_text(self._model, self._tokens([""]).to(device)).shape[1])
        self.truncated = 0

    def image_features(self, images: torch.Tensor | Sequence[torch.Tensor]) -> torch.Tensor:
        """Return float32 features N x D on the CPU.

        Args:
            images: uint8 RGB, N x 3 x H x W, or N tensors 3 x H x W of any sizes.
        """
        pixels = [self.prepare(image) for image in images]
        return self.forward(pixels, [self.layer])[self.layer] if pixels else torch.empty(0, self.dim)

    @property
    def network(self) -> ImageNetwork:
        """The network of the image features: this one."""
        return self

    def prepare(self, image: torch.Tensor) -> torch.Tensor:
        """Return one image, uint8 3 x H x W, as the model's normalised pixels."""
        pixels: torch.Tensor = self._transform(to_pil(image))
        return pixels

    def forward(self, prepared: Sequence[torch.Tensor], layers: Sequence[str]) -> Mapping[str, torch.Tensor]:
        """Return the image features of prepared pixels; the model has this one layer."""
        with torch.no_grad(), full_float32():
            features: torch.Tensor = self._model.encode_image(torch.stack(list(prepared)).to(self._device))
        return dict.fromkeys(layers, features.float().cpu())

    def text_features(self, texts: Sequence[str]) -> torch.Tensor:
        """Return float32 features N x D on the CPU; texts longer than the context are cut, and counted."""
        if not texts:
            return torch.empty(0, self.dim)
        tokens = self._tokens(texts)
        length = tokens.shape[1]
        # A text that fits gives the same tokens, then padding, when one more is allowed.
        longer = self._tokenizer(list(texts), context_length=length + 1)
        self.truncated += int((longer[:, :length] != tokens).any(dim=1).sum())
        return _encode_text(self._model, tokens.to(self._device)).float().cpu()

    def _tokens(self, texts: Sequence[str]) -> torch.Tensor:
        tokens: torch.Tensor = self._tokenizer(list(texts))
        return tokens


def _encode_text(model: Any, tokens: torch.Tensor) -> torch.Tensor:
    with torch.no_grad(), full_float32():
        return encode_text(model, tokens)


def _load_model(files: OpenClipFiles) -> Any:
    import open_clip

    try:
        with _offline_hub():
            model = open_clip.create_model(
                files.model_name,
                pretrained=None if files.model_name.startswith("local-dir:") else str(files.weights),
                precision="fp32",
                force_quick_gelu=files.quick_gelu,
                force_preprocess_cfg=files.preprocess,
                require_pretrained=True,
                weights_only=True,
            )
    except Exception as error:
        # open_clip raises bare RuntimeErrors, pickle errors and more, some of many lines.
        reason = " ".join(str(error).split())[:300]
        raise ModelError(
            f"cannot load {str(files.weights)!r} as CLIP model {files.short_name}: {reason}; expected a "
            "plain state dict of this architecture (safetensors, or torch.save without code)"
        ) from error
    return model.eval().requires_grad_(False)


def _load_tokenizer(files: OpenClipFiles) -> Any:
    import open_clip

    try:
        with _offline_hub():
            return open_clip.get_tokenizer(files.model_name)
    except Exception as error:
        reason = " ".join(str(error).split())[:300]
        raise ModelError(
            f"cannot load the tokenizer of CLIP model {files.short_name}: {reason}; expected its files "
            "beside the weights or in the local Hugging Face cache"
        ) from error


@contextmanager
def _offline_hub() -> Iterator[None]:
    """Keep open_clip and transformers from asking the hub; its environment is read only at import."""
    from huggingface_hub import constants

    before = constants.HF_HUB_OFFLINE
    constants.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before
