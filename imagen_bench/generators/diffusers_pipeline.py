"""The `diffusers` generator: any text-to-image pipeline of that library, alone or as the first stage of a cascade.

    [model]
    name = "stabilityai/stable-diffusion-xl-base-1.0"
    generator = "diffusers"
    options = { device = "cuda", dtype = "bfloat16", steps = 30 }

`guidance_scale` of `diffusers` is Imagen's w (arXiv:2205.11487, eq. 2): unconditional + w (conditional -
unconditional), and at w = 1 the unconditional pass is skipped. Every sample draws all its noise from a CPU generator
of its own, seeded with the sample's seed: `generator=torch.Generator().manual_seed(seed)` gives its image outside.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from imagen_bench.errors import InputError
from imagen_bench.generators.base import CallReport, Generator, SampleRequest, generators
from imagen_bench.generators.diffusers_files import PipelineFiles, find_pipeline, load_pipeline, networks
from imagen_bench.generators.diffusers_options import DiffusersOptions, on_device, read_options
from imagen_bench.generators.diffusers_stage import PipelineStage, check_caller
from imagen_bench.generators.speed_options import compile_network

_SHARED_BY_IF = ("text_encoder", "tokenizer", "safety_checker", "feature_extractor")
"""Parts that the stages of DeepFloyd IF have in common: loaded once."""


class DiffusersGenerator:
    """A pipeline, or a cascade of them.

    Args:
        name: What reports call the model.
        stages: The first draws from text, the others enlarge.
        options: Where to stop; the rest is in the stages.
    """

    def __init__(self, name: str, stages: Sequence[PipelineStage], options: DiffusersOptions) -> None:
        self.name, self._stages, self._options = name, tuple(stages), options
        self._remarks: dict[int, str] = {}
        self._count = 0

    def describe(self) -> dict[str, Any]:
        """Weights' digests, schedulers and all options that decide the images."""
        return {
            "generator": "diffusers",
            "stage": self._stages[self._options.last].name,
            "safety_checker": self._options.safety_checker,
            "stages": {stage.name: stage.describe() for stage in self._stages},
        }

    def prepare(self, samples: Sequence[SampleRequest]) -> None:
        """Refuse a sweep that the first stage cannot make, before anything is drawn.

        Raises:
            ModelError: A weight below 1.
        """
        for weight in dict.fromkeys(sample.guidance_weight for sample in samples):
            self._stages[0].check_weight(weight)

    def generate(self, prompts: Sequence[str], seeds: Sequence[int], guidance_weight: float) -> Tensor:
        """One image a prompt and seed; the weight is the first stage's.

        Raises:
            ModelError: The pipeline failed, or guides in no way below w = 1 and such a weight is asked for.
        """
        return _last(self.generate_stages(prompts, seeds, guidance_weight))

    def generate_stages(
        self, prompts: Sequence[str], seeds: Sequence[int], guidance_weight: float, start: Tensor | None = None
    ) -> Iterator[tuple[str, Tensor]]:
        """Name and images of each stage as it finishes, up to the stage to stop at.

        Args:
            prompts: N texts.
            seeds: N seeds.
            guidance_weight: Of the first stage.
            start: Images uint8 N3hw to enlarge in place of the first stage's.

        Raises:
            InputError: No stage up to the one to stop at enlarges images of this size.
        """
        first = 0 if start is None else self._stage_for(start, self._options.last)
        self._remarks, self._count = {}, len(prompts)
        return self._run(first, self._options.last, prompts, seeds, guidance_weight, start)

    def report(self) -> CallReport:
        """Which images of the last call the safety checker blacked out, and whether each was drawn by itself."""
        alone = self._count if any(stage.draws_alone for stage in self._stages) else 0
        return CallReport(dict(self._remarks), {"drawn_alone": alone} if alone else {})

    def _run(
        self, first: int, last: int, prompts: Sequence[str], seeds: Sequence[int], weight: float | None,
        images: Tensor | None,
    ) -> Iterator[tuple[str, Tensor]]:  # fmt: skip
        for stage in self._stages[first : last + 1]:
            own = weight if stage is self._stages[0] else None
            images, flagged = stage.draw(prompts, seeds, own, images)
            for row, reason in flagged.items():
                self._remarks.setdefault(row, reason)
            yield stage.name, images

    def _stage_for(self, images: Tensor, last: int) -> int:
        """The stage whose inputs are of this size."""
        side = min(images.shape[-2:])
        known = {stage.output_side: place for place, stage in enumerate(self._stages[:last], start=1)}
        if side not in known:
            sides = ", ".join(map(str, known)) or "none: it has no super-resolution stage to run"
            raise InputError(
                f"{self.name} cannot enlarge images of {images.shape[-1]}x{images.shape[-2]} pixels: expected a "
                f"shorter side of {sides}; resize them"
            )
        return known[side]


class EnlargingDiffusers(DiffusersGenerator):
    """The same where the cascade stops early, and further stages are there to enlarge its images."""

    def super_resolve(self, images: Tensor, prompts: Sequence[str], seeds: Sequence[int]) -> Tensor:
        """Enlarges uint8 NCHW images through every stage from the one that takes their size."""
        last = len(self._stages) - 1
        return _last(self._run(self._stage_for(images, last), last, prompts, seeds, None, images))


@generators.register("diffusers")
def open_diffusers(name: str, options: dict[str, Any]) -> Generator:
    """Open a pipeline by hub id or folder, with the super-resolution stages that `options.stages` names.

    Raises:
        ConfigError: An unknown or wrong option.
        ModelError: No such pipeline, a broken one, or one that draws no images from text.
    """
    settings = on_device(read_options(options))
    plan = [(name, settings), *((stage.model, stage) for stage in settings.stages)]
    found = [find_pipeline(source, own, settings.download) for source, own in plan]
    for place, files in enumerate(found):
        check_caller(files, plan[place][1], enlarges=place > 0)
    stages: list[PipelineStage] = []
    for place, (files, (_, own)) in enumerate(zip(found, plan, strict=True)):
        # Parts that are moved between devices by one pipeline cannot be shared with another.
        shared = _shared(stages, found[0], files) if settings.offload == "none" else {}
        pipeline = load_pipeline(files, own, settings.safety_checker, shared)
        _place(pipeline, settings)
        stages.append(PipelineStage(settings.stage_names[place], files, pipeline, own, stages[-1] if stages else None))
    title = Path(name).name if Path(name).is_dir() else name
    enlarges = settings.last < len(settings.stages)
    return (EnlargingDiffusers if enlarges else DiffusersGenerator)(title, stages, settings)


def _shared(stages: Sequence[PipelineStage], base: PipelineFiles, files: PipelineFiles) -> dict[str, Any]:
    """What a stage of DeepFloyd IF takes from the first instead of loading it again: a text encoder of gigabytes."""
    if not stages or not (base.class_name.startswith("IF") and files.class_name.startswith("IF")):
        return {}
    parts = {name: getattr(stages[0].pipeline, name, None) for name in _SHARED_BY_IF}
    return {name: part for name, part in parts.items() if part is not None}


def _place(pipeline: Any, settings: DiffusersOptions) -> None:
    """Bring a pipeline to its device, laid out and compiled as asked."""
    for network in networks(pipeline):
        if settings.channels_last:
            network.to(memory_format=torch.channels_last)
        compile_network(network, settings.compile)
    if settings.offload == "model":
        pipeline.enable_model_cpu_offload(device=settings.device)
    elif settings.offload == "sequential":
        pipeline.enable_sequential_cpu_offload(device=settings.device)
    else:
        pipeline.to(settings.device)


def _last(stages: Iterator[tuple[str, Tensor]]) -> Tensor:
    *_, (_, images) = stages
    return images
