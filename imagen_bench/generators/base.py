"""What a benchmarked model answers to, the registry of generators, and the check of what they return.

A generator plug-in is one factory function:

    @generators.register("my-model")
    def open_my_model(name: str, options: dict[str, Any]) -> Generator: ...

`name` is `model.name` of the run's config (a short name, a path or a hub id), `options` its `[model.options]`
table without the option `batch_size`, which belongs to the benchmark. A third-party package announces its
factory under the entry point group `imagen_bench.generators`.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from imagen_bench.errors import ConfigError, ModelError
from imagen_bench.registry import Registry

if TYPE_CHECKING:
    import torch

    from imagen_bench.config import ModelSection
    from imagen_bench.workers import Workers

BUILT_IN = {
    "bundled": "bundled",
    "callable": "callable",
    "diffusers": "diffusers_pipeline",
    "folder": "folder",
    "openai-images": "openai_images",
}
"""Generators of this package, and the file of each in `imagen_bench/generators/`."""

DEFAULT_BATCH_SIZE = 16
AUTO = "auto"
"""A batch size that is found while generating; see `batching`."""


@dataclass(frozen=True)
class SampleRequest:
    """A sample that a run will ask for.

    Attributes:
        prompt_id: Id of its prompt in the prompt set.
        prompt: The text.
        index: Which of the prompt's samples, from 0.
        seed: Its seed; a run has one for each (prompt id, index), the same at every guidance weight.
        guidance_weight: w.
    """

    prompt_id: str
    prompt: str
    index: int
    seed: int
    guidance_weight: float


@runtime_checkable
class Generator(Protocol):
    """A text-to-image model under benchmark.

    An image depends on (model, prompt, seed, guidance weight, options) and never on its batch, its rank or
    the number of workers: draw the noise of each sample from its own generator, seeded with the sample's seed.
    """

    name: str

    def describe(self) -> dict[str, Any]:
        """Return what decides the images (weights digest, sampler, steps...) as JSON-able values.

        It goes into run.json. A run is continued only while this stays the same, so nothing volatile (times,
        devices, paths of temporary files) belongs here.
        """

    def generate(self, prompts: Sequence[str], seeds: Sequence[int], guidance_weight: float) -> torch.Tensor:
        """Make one image for each prompt.

        Args:
            prompts: N texts.
            seeds: N seeds, each in [0, 2**63).
            guidance_weight: Classifier-free guidance weight w; w = 1 is "off", as in Imagen
                (arXiv:2205.11487, eq. 2).

        Returns:
            uint8 tensor N x 3 x H x W, RGB, on the CPU.
        """


@runtime_checkable
class SuperResolver(Protocol):
    """The optional ability of a generator to enlarge its images."""

    def super_resolve(self, images: torch.Tensor, prompts: Sequence[str], seeds: Sequence[int]) -> torch.Tensor:
        """Enlarge uint8 N x 3 x H x W images to N x 3 x kH x kW; `seeds` are those of the samples."""


@runtime_checkable
class StagedGenerator(Protocol):
    """The optional ability of a generator to show the stages that its images pass through."""

    def generate_stages(
        self,
        prompts: Sequence[str],
        seeds: Sequence[int],
        guidance_weight: float,
        start: torch.Tensor | None = None,
    ) -> Iterator[tuple[str, torch.Tensor]]:
        """Yield the name and the images of each stage as it finishes; the last are those of `generate`.

        Args:
            prompts: N texts.
            seeds: N seeds.
            guidance_weight: As in `Generator.generate`.
            start: Low-resolution images uint8 N x 3 x h x w to start from in place of the first stage's.
        """


@runtime_checkable
class Prepares(Protocol):
    """The optional ability of a generator to see all samples of a run before the first is made."""

    def prepare(self, samples: Sequence[SampleRequest]) -> None:
        """Check that all of them can be made.

        Args:
            samples: Every sample of the run, those that are finished included.

        Raises:
            ImagenBenchError: Some of them cannot; the message lists them.
        """


@runtime_checkable
class EmbedsPrompts(Protocol):
    """The optional ability of a generator to embed the prompts of a run before the first image is made."""

    def embed_prompts(self, prompts: Sequence[str], workers: Workers, tell: Callable[[int], object]) -> None:
        """Embed prompts, so that the text encoder need not stay beside the network that draws.

        Args:
            prompts: Texts of the images that are missing, the same in every worker.
            workers: The processes that may share the work; each calls this.
            tell: To be told how many texts are done since it was last told.
        """


@dataclass(frozen=True)
class CallReport:
    """What a call of `generate` has to say besides its images.

    Attributes:
        remarks: Row of the call -> why its image is not what was asked for ("refused: ...").
        usage: Countable things that the call used (requests, price), to be summed over a run.
    """

    remarks: Mapping[int, str] = field(default_factory=dict)
    usage: Mapping[str, float] = field(default_factory=dict)


@runtime_checkable
class Reports(Protocol):
    """The optional ability of a generator to report on its calls; a run keeps the reports."""

    def report(self) -> CallReport:
        """Return what the last call of `generate` has to say."""


@dataclass(frozen=True)
class Salvage:
    """What a call of `generate` finished before it failed.

    Attributes:
        rows: Rows of the call whose images are there, ascending; at least one.
        images: uint8, len(rows) x 3 x H x W, RGB, on the CPU.
        report: As `Reports.report`; a remark's row is its place in `rows`.
    """

    rows: tuple[int, ...]
    images: torch.Tensor
    report: CallReport = field(default_factory=CallReport)


@runtime_checkable
class Salvages(Protocol):
    """The optional ability of a generator to hand over the finished images of a call that failed."""

    def salvage(self) -> Salvage | None:
        """Return what the last call finished before it raised, Ctrl-C included; None for nothing."""


GeneratorFactory = Callable[[str, dict[str, Any]], Generator]
generators: Registry[GeneratorFactory] = Registry(
    "generator", "imagen_bench.generators", modules=[f"imagen_bench.generators.{name}" for name in BUILT_IN.values()]
)


def open_generator(section: ModelSection) -> Generator:
    """Build the generator that `[model]` of a config names.

    Raises:
        ModelError: Unknown generator, or one whose factory returned something else than a generator.
        ConfigError: An option of the wrong kind.
    """
    if section.generator in BUILT_IN:
        # Only the one that is asked for: a user's own function does not wait for the bundled model's imports.
        importlib.import_module(f"imagen_bench.generators.{BUILT_IN[section.generator]}")
    factory = generators.get(section.generator)
    batch_size_of(section)
    options = {key: value for key, value in section.options.items() if key != "batch_size"}
    generator = factory(section.name, options)
    if not isinstance(generator, Generator):
        raise ModelError(
            f"generator '{section.generator}' returned {type(generator).__name__}, "
            "expected an object with name, describe() and generate(); mend its factory"
        )
    return generator


def batch_size_of(section: ModelSection) -> int:
    """Return `model.options.batch_size` (images a call; 16 where it is not given or "auto").

    Raises:
        ConfigError: Neither a whole number of at least 1 nor "auto".
    """
    size = section.options.get("batch_size", DEFAULT_BATCH_SIZE)
    if size == AUTO:
        return DEFAULT_BATCH_SIZE
    if isinstance(size, bool) or not isinstance(size, int) or size < 1:
        raise ConfigError(f'model.options.batch_size is {size!r}, expected a whole number of at least 1, or "auto"')
    return size


def check_images(images: object, count: int, source: str) -> torch.Tensor:
    """Return `images` if it is a uint8 tensor `count` x 3 x H x W on the CPU.

    Args:
        images: What a generator returned.
        count: Number of prompts that it was given.
        source: Whose images these are, for the message.

    Raises:
        ModelError: Anything else; the message says what was found.
    """
    import torch

    expected = f"expected a uint8 CPU tensor {count} x 3 x H x W"
    if not isinstance(images, torch.Tensor):
        raise ModelError(f"{source} returned {type(images).__name__}, {expected}")
    shape = " x ".join(str(size) for size in images.shape)
    found = f"{source} returned {images.dtype} {shape} on {images.device}"
    good_shape = images.ndim == 4 and images.shape[:2] == (count, 3) and min(images.shape[2:]) > 0
    if images.dtype != torch.uint8 or images.device.type != "cpu" or not good_shape:
        raise ModelError(f"{found}, {expected}")
    return images
