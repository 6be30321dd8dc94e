"""Imagen models of this package as generators: the one that ships, or any folder of the same layout."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import Field
from torch import Tensor

from imagen_bench.assets import asset
from imagen_bench.config import Section, read_toml, validate
from imagen_bench.errors import ModelError
from imagen_bench.files import sha256_file
from imagen_bench.generators.base import Generator, generators
from imagen_bench.imagen.cascade import Sampling, sample_stage
from imagen_bench.imagen.checkpoint import WEIGHTS, load_stage
from imagen_bench.imagen.guidance import Threshold, ThresholdKind
from imagen_bench.imagen.samplers import Sampler, SamplerKind
from imagen_bench.imagen.text import TextEncoder
from imagen_bench.images import to_model, to_uint8


class StageOptions(Section):
    """Sampling of one stage: sampler, threshold, and for super-resolution its own guidance weight and aug level."""

    sampler: SamplerKind = "ddim"
    steps: int = Field(default=50, ge=1)
    gamma: float = Field(default=0.3, ge=0.0, le=1.0)
    thresholding: ThresholdKind = "dynamic"
    percentile: float = Field(default=99.5, gt=0.0, le=100.0)
    cap: float | None = Field(default=None, ge=1.0)
    guidance_weight: float = Field(default=1.0, ge=0.0)
    aug_level: float = Field(default=0.1, ge=0.0, le=1.0)

    def sampling(self) -> Sampling:
        """The same as the model's own type."""
        sampler = Sampler(self.sampler, self.steps, self.gamma)
        return Sampling(sampler, Threshold(self.thresholding, self.percentile, self.cap), self.aug_level)


class BundledOptions(Section):
    """Options of the generator: which stages to run, how to sample each, and where.

    Attributes:
        stage: "base" gives the base stage's images, "cascade" those of the last super-resolution stage.
        base: sampling of the base stage; its guidance weight is the sweep's and cannot be set here.
        super_resolution: sampling of each super-resolution stage.
        device: "cpu", "cuda", "cuda:1".
    """

    stage: Literal["base", "cascade"] = "base"
    base: StageOptions = StageOptions()
    super_resolution: StageOptions = StageOptions(steps=12)
    device: str = "cpu"


class ModelLayout(Section):
    """The `[model]` table of a model's config.toml: folders of its parts, relative to the file."""

    text_encoder: str
    base: str
    super_resolution: tuple[str, ...] = ()
    text_length: int = 128


class BundledImagen:
    """A cascade of this package's Imagen stages.

    Args:
        folder: a model folder.
        layout: where its parts lie.
        options: what to run and how.
        name: what reports call the model.

    Raises:
        ModelError: a part of the model is missing or broken.
    """

    def __init__(self, folder: Path, layout: ModelLayout, options: BundledOptions, name: str) -> None:
        self.name, self._options, self._folder, self._layout = name, options, folder, layout
        self._encoder = TextEncoder(folder / layout.text_encoder, layout.text_length, device=options.device)
        self._base = load_stage(folder / self._layout.base, options.device)
        if options.stage == "cascade" and not self._layout.super_resolution:
            raise ModelError(f"{name} has no super-resolution stage, which options.stage = 'cascade' needs; use 'base'")
        self._upper = [load_stage(folder / part, options.device) for part in self._layout.super_resolution]

    def describe(self) -> dict[str, Any]:
        """Weights' digests and all sampling options: what decides the images."""
        parts = {"text_encoder": self._encoder.digest, self._layout.base: self._digest(self._layout.base)}
        parts |= {part: self._digest(part) for part in self._layout.super_resolution}
        options = self._options.model_dump(mode="json", exclude={"device"})
        return {"weights_sha256": parts, "options": options, "image_size": self._image_size()}

    def generate(self, prompts: Sequence[str], seeds: Sequence[int], guidance_weight: float) -> Tensor:
        """One image a prompt and seed at the base stage's guidance weight; uint8 NCHW on the CPU."""
        text = self._encoder(list(prompts))
        stage, network = self._base
        options = self._options.base
        images = to_uint8(sample_stage(network, stage, options.sampling(), text, seeds, guidance_weight).cpu())
        return self._enlarge(images, prompts, seeds) if self._options.stage == "cascade" else images

    def _enlarge(self, images: Tensor, prompts: Sequence[str], seeds: Sequence[int]) -> Tensor:
        if images.shape[-1] != self._base[0].image_size or images.shape[-2] != images.shape[-1]:
            size = self._base[0].image_size
            raise ModelError(
                f"{self.name} enlarges images of {size}x{size} pixels, found {images.shape[-1]}x{images.shape[-2]}"
            )
        text, options = self._encoder(list(prompts)), self._options.super_resolution
        for stage, network in self._upper:
            low_res = to_model(images)
            images = to_uint8(
                sample_stage(network, stage, options.sampling(), text, seeds, options.guidance_weight, low_res).cpu()
            )
        return images

    def _image_size(self) -> int:
        upper = self._upper if self._options.stage == "cascade" else []
        return [self._base[0], *(stage for stage, _ in upper)][-1].image_size

    def _digest(self, part: str) -> str:
        return sha256_file(self._folder / part / WEIGHTS)


class EnlargingImagen(BundledImagen):
    """The same where the base stage's images are asked for and super-resolution stages are there to enlarge them."""

    def super_resolve(self, images: Tensor, prompts: Sequence[str], seeds: Sequence[int]) -> Tensor:
        """Enlarges uint8 NCHW images of the base stage through every super-resolution stage."""
        return self._enlarge(images, prompts, seeds)


@generators.register("bundled")
def open_bundled(name: str, options: dict[str, Any]) -> Generator:
    """Opens a model by short name (`imagen-emoji`) or folder.

    Raises:
        ModelError: no such model.
        ConfigError: an unknown or wrong option.
    """
    folder = Path(name) if Path(name).is_dir() else asset(f"models/{name}")
    settings = validate(BundledOptions, options, "model.options")
    layout = read_layout(folder)
    enlarges = settings.stage == "base" and layout.super_resolution
    return (EnlargingImagen if enlarges else BundledImagen)(folder, layout, settings, Path(name).name)


def read_layout(folder: Path) -> ModelLayout:
    """Reads the `[model]` table of a model folder's config.toml.

    Raises:
        ModelError: there is no such file.
        ConfigError: a key is missing, unknown or wrong.
    """
    config = folder / "config.toml"
    if not config.is_file():
        raise ModelError(f"{folder} is no model folder: expected a config.toml in it; see `imagen-bench models list`")
    return validate(ModelLayout, read_toml(config).get("model", {}), f"{config} [model]")
