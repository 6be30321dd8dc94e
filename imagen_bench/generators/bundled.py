"""Imagen models of this package as generators: the one that ships, or any folder of the same layout."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from imagen_bench.assets import asset
from imagen_bench.config import Section, read_toml, validate
from imagen_bench.devices import open_device
from imagen_bench.errors import InputError, ModelError
from imagen_bench.files import sha256_file
from imagen_bench.generators.base import Generator, generators
from imagen_bench.generators.bundled_options import CASCADE, BundledOptions, read_options
from imagen_bench.generators.prompts_ahead import embed_ahead, usable_text_cache
from imagen_bench.generators.speed_options import compile_network, torch_dtype
from imagen_bench.imagen.cascade import Sampling, StageRun, check_sampling, sample_cascade
from imagen_bench.imagen.checkpoint import WEIGHTS, load_stage, read_stage_config
from imagen_bench.imagen.config import StageConfig
from imagen_bench.imagen.text import TextEncoder
from imagen_bench.imagen.text_models import encoder_source
from imagen_bench.workers import Workers


class ModelLayout(Section):
    """The `[model]` table of a model's config.toml: folders of its parts, relative to the file.

    `super_resolution` names any number of stages, in the order in which they enlarge. `text_encoder` may also be one
    that ships ("models/imagen-emoji/text_encoder") or a hub id.
    """

    text_encoder: str
    base: str
    super_resolution: tuple[str, ...] = ()
    text_length: int = 128

    @property
    def parts(self) -> tuple[str, ...]:
        """Folders of the stages, the base first."""
        return (self.base, *self.super_resolution)


class BundledImagen:
    """A cascade of this package's Imagen stages.

    Args:
        folder: a model folder.
        layout: where its parts lie.
        options: where to stop and how to sample.
        name: what reports call the model.

    Raises:
        ModelError: a part of the model is missing or broken, or the parts do not fit each other.
    """

    def __init__(self, folder: Path, layout: ModelLayout, options: BundledOptions, name: str) -> None:
        self.name, self._options, self._folder, self._layout = name, options, folder, layout
        if options.stage == CASCADE and not layout.super_resolution:
            raise ModelError(f"{name} has no super-resolution stage, which options.stage = 'cascade' needs; use 'base'")
        self._cache = usable_text_cache()
        encoder = encoder_source(layout.text_encoder, folder)
        self._encoder = TextEncoder(encoder, layout.text_length, device=options.device, cache=self._cache)
        self._stages = [self._load(part) for part in layout.parts]
        for stage, _ in self._stages:
            if stage.unet.text_dim != self._encoder.dim:
                raise ModelError(
                    f"stage {stage.name} of {name} takes texts of {stage.unet.text_dim} channels, "
                    f"its text encoder gives {self._encoder.dim}: put the encoder that it was trained with beside it"
                )
        names = [stage.name for stage, _ in self._stages]
        self._last = len(names) - 1 if options.stage == CASCADE else names.index(options.stage)
        trained = self._stages[0][0].image_size
        self._size = (options.base.height or trained, options.base.width or trained)
        self._samplings = self._check_samplings()

    def _load(self, part: str) -> tuple[StageConfig, nn.Module]:
        """A stage with its network as the options want it, in main memory until something is drawn."""
        stage, network = load_stage(self._folder / part)
        network.to(torch_dtype(self._options.dtype))
        if not self._options.channels_last:
            network.to(memory_format=torch.contiguous_format)
        compile_network(network, self._options.compile)
        return stage, network

    def _check_samplings(self) -> list[Sampling]:
        """The sampling of each stage; what a stage cannot do is refused before anything is drawn."""
        samplings, (height, width) = [], self._size
        for stage, _ in self._stages:
            height, width = height * stage.enlargement, width * stage.enlargement
            samplings.append(self._options.sampling_of(stage.name))
            check_sampling(stage, samplings[-1], (height, width))
        return samplings

    def describe(self) -> dict[str, Any]:
        """Weights' digests and all sampling options: what decides the images."""
        parts = {part: sha256_file(self._folder / part / WEIGHTS) for part in self._layout.parts}
        # Neither the device, the layout nor the size of a chunk decides an image.
        options: dict[str, Any] = {
            "stage": self._options.stage,
            "base": self._options.base.model_dump(mode="json", exclude={"chunk"}),
        }
        for stage, _ in self._stages[1:]:
            options[stage.name] = self._options.of(stage.name).model_dump(mode="json", exclude={"chunk"})
        if self._options.dtype != "float32":
            options["dtype"] = self._options.dtype
        if self._options.guided_stage != "base":
            options["guided_stage"] = self._options.guided_stage
            options["base_guidance_weight"] = self._options.base_guidance_weight
        return {
            "weights_sha256": {"text_encoder": self._encoder.digest, **parts},
            "options": options,
            "image_size": self._stages[self._last][0].image_size,
        }

    def embed_prompts(self, prompts: Sequence[str], workers: Workers, tell: Callable[[int], object]) -> None:
        """Puts the embeddings of prompts on disk, shared among workers; then the text encoder leaves memory.

        Raises:
            ModelError: the text encoder cannot be read, or its cache not be written.
        """
        if self._cache is not None:
            embed_ahead(self._encoder, prompts, workers, tell)

    def generate(self, prompts: Sequence[str], seeds: Sequence[int], guidance_weight: float) -> Tensor:
        """One image a prompt and seed at the guided stage's weight; uint8 NCHW on the CPU."""
        return last_images(self.generate_stages(prompts, seeds, guidance_weight))

    def generate_stages(
        self, prompts: Sequence[str], seeds: Sequence[int], guidance_weight: float, start: Tensor | None = None
    ) -> Iterator[tuple[str, Tensor]]:
        """Name and images of each stage as it finishes, up to the stage to stop at.

        Args:
            prompts: N texts.
            seeds: N seeds.
            guidance_weight: of the guided stage: the base, unless the options say otherwise.
            start: images uint8 N3hw to enlarge; the first stage is then the one that was made for their shorter
                side.

        Raises:
            InputError: no stage up to the one to stop at enlarges images of this size.
        """
        first = 0 if start is None else self._stage_for(start, self._last)
        return self._run(first, self._last, prompts, seeds, guidance_weight, start)

    def _run(
        self, first: int, last: int, prompts: Sequence[str], seeds: Sequence[int], guidance_weight: float,
        start: Tensor | None,
    ) -> Iterator[tuple[str, Tensor]]:  # fmt: skip
        runs = []
        for index in range(first, last + 1):
            stage, network = self._stages[index]
            network.to(self._options.device)
            weight = self._options.weight_of(stage.name, guidance_weight)
            runs.append(StageRun(stage, network, self._samplings[index], weight))
        return self._in_precision(sample_cascade(runs, self._encoder(list(prompts)), seeds, start, self._size))

    def _in_precision(self, stages: Iterator[tuple[str, Tensor]]) -> Iterator[tuple[str, Tensor]]:
        """Runs each stage under autocast where the networks are not in float32; never the caller's code between."""
        dtype = torch_dtype(self._options.dtype)
        while True:
            with torch.autocast(torch.device(self._options.device).type, dtype, enabled=dtype != torch.float32):
                finished = next(stages, None)
            if finished is None:
                return
            yield finished

    def _stage_for(self, images: Tensor, last: int) -> int:
        """The stage that was made to enlarge images whose shorter side is this."""
        height, width = images.shape[-2:]
        known = {stage.low_res_size: index for index, (stage, _) in enumerate(self._stages[: last + 1]) if index}
        if min(height, width) not in known:
            sides = " or ".join(f"{side} ({self._stages[index][0].name})" for side, index in known.items())
            raise InputError(
                f"{self.name} cannot enlarge images of {width}x{height} pixels: expected a shorter side of "
                f"{sides or 'none, since it stops at its base stage'}; resize them"
            )
        return known[min(height, width)]


class EnlargingImagen(BundledImagen):
    """The same where the cascade stops early and further super-resolution stages are there to enlarge its images."""

    def super_resolve(self, images: Tensor, prompts: Sequence[str], seeds: Sequence[int]) -> Tensor:
        """Enlarges uint8 NCHW images through every super-resolution stage from the one that was made for them."""
        last = len(self._stages) - 1
        return last_images(self._run(self._stage_for(images, last), last, prompts, seeds, 1.0, images))


def last_images(stages: Iterator[tuple[str, Tensor]]) -> Tensor:
    """The images of the last stage."""
    images = [drawn for _, drawn in stages]
    return images[-1]


@generators.register("bundled")
def open_bundled(name: str, options: dict[str, Any]) -> Generator:
    """Opens an Imagen of this package by short name (`imagen-emoji`) or folder.

    Raises:
        ModelError: no such model, or its stages do not follow each other.
        ConfigError: an unknown or wrong option.
    """
    folder = Path(name) if Path(name).is_dir() else asset(f"models/{name}")
    layout = read_layout(folder)
    stages = [read_stage_config(folder / part) for part in layout.parts]
    check_cascade(stages, str(folder))
    names = [stage.name for stage in stages]
    settings = read_options(options, names)
    settings = settings.model_copy(update={"device": str(open_device(settings.device, "model.options.device"))})
    enlarges = settings.stage not in (CASCADE, names[-1])
    return (EnlargingImagen if enlarges else BundledImagen)(folder, layout, settings, Path(name).name)


def check_cascade(stages: Sequence[StageConfig], source: str) -> None:
    """Checks that stages form a cascade.

    Args:
        stages: configurations, the base first.
        source: the model, for messages.

    Raises:
        ModelError: the first stage needs an image, a later one another image than the stage before draws, or a
            name is taken twice or is an option's.
    """
    if stages[0].low_res_size is not None:
        raise ModelError(f"{source}: base stage {stages[0].name} enlarges images; name it under super_resolution")
    for before, stage in itertools.pairwise(stages):
        if stage.low_res_size != before.image_size:
            wanted = f"{stage.low_res_size} pixels" if stage.low_res_size else "no image"
            raise ModelError(
                f"{source}: stage {stage.name} takes {wanted}, stage {before.name} before it draws {before.image_size}"
            )
    names = [stage.name for stage in stages]
    reserved = {*BundledOptions.model_fields, CASCADE}
    if names[0] != "base" or len(set(names)) < len(names) or reserved & set(names[1:]):
        raise ModelError(
            f"{source}: stages are named {', '.join(names)}; expected base for the first and different names for "
            f"the others, none of {', '.join(sorted(reserved))}, since options call stages by their names"
        )


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
