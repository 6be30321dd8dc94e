"""Generation: make every image of a sweep that the run folder does not hold yet.

Images are written and synced before the journal says that they exist, so a run can be stopped at any moment
and continued by the same command. Batches run across the prompts of one guidance weight. The plan is cut into
chunks, which workers claim one after the other, so that a slow one does not hold up the rest; what a batch holds
depends on what is missing, which is why a generator's image must not depend on its batch.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from imagen_bench.bench.calls import Call, Remark, append_call, peak_memory, summarise_calls
from imagen_bench.bench.journal import Sample
from imagen_bench.bench.progress import progress_bar
from imagen_bench.bench.run_folder import RunFolder, sample_path, weight_folder
from imagen_bench.bench.seeds import prompt_seed
from imagen_bench.config import RunConfig
from imagen_bench.data.prompts import Prompt, PromptSet
from imagen_bench.errors import ConfigError
from imagen_bench.files import sha256_file
from imagen_bench.generators.base import (
    CallReport,
    EmbedsPrompts,
    Generator,
    Prepares,
    Reports,
    Salvages,
    SampleRequest,
    check_images,
)
from imagen_bench.generators.batching import LARGEST_SIZE, Batcher
from imagen_bench.workers import Workers

if TYPE_CHECKING:
    import torch

T = TypeVar("T")
Key = tuple[float, str, int]
"""Guidance weight, prompt id and index of a sample."""


@dataclass(frozen=True)
class PlannedSample:
    """An image to make: `row_number` is the prompt's row in its set."""

    prompt: Prompt
    row_number: int
    index: int
    seed: int
    guidance_weight: float

    @property
    def key(self) -> Key:
        """The key of the `Sample` that it becomes."""
        return self.guidance_weight, self.prompt.prompt_id, self.index

    @property
    def path(self) -> str:
        """Where its image goes, relative to the run folder."""
        return sample_path(self.guidance_weight, self.row_number, self.prompt.prompt_id, self.index)

    def sample(self, sha256: str, seconds: float) -> Sample:
        """The sample that it becomes."""
        return Sample(
            prompt_id=self.prompt.prompt_id,
            prompt=self.prompt.prompt,
            category=self.prompt.category,
            index=self.index,
            seed=self.seed,
            guidance_weight=self.guidance_weight,
            path=self.path,
            sha256=sha256,
            seconds=seconds,
        )

    def request(self) -> SampleRequest:
        """The same as generators see it."""
        return SampleRequest(self.prompt.prompt_id, self.prompt.prompt, self.index, self.seed, self.guidance_weight)


@dataclass(frozen=True)
class Part:
    """Part `number` (from 1) of `count` equal parts of a run's images, for machines that share no disk."""

    number: int
    count: int

    def of(self, chunks: Sequence[T]) -> list[T]:
        """Return the chunks of this part, in turns so that each part gets some of every weight."""
        return list(chunks[self.number - 1 :: self.count])


def used_prompts(config: RunConfig, prompts: PromptSet) -> tuple[Prompt, ...]:
    """Return the first `prompts.limit` rows of a set, all of them without a limit."""
    return prompts.rows[: config.prompts.limit]


def plan_samples(config: RunConfig, prompts: PromptSet) -> list[PlannedSample]:
    """List all images of a run by weight, prompt and index, in the order of config and prompt set.

    Raises:
        ConfigError: Two weights are so close that they would share a folder.
    """
    weights = config.sweep.guidance_weights
    folders = {weight_folder(weight): weight for weight in weights}
    if len(folders) < len(weights):
        raise ConfigError(f"sweep.guidance_weights {list(weights)} agree in their first 6 digits; remove near-copies")
    return [
        PlannedSample(prompt, row_number, index, prompt_seed(config.seed, prompt, index), weight)
        for weight in weights
        for row_number, prompt in enumerate(used_prompts(config, prompts))
        for index in range(config.prompts.samples_per_prompt)
    ]


def prepare_generator(generator: Generator, planned: Sequence[PlannedSample]) -> None:
    """Let a generator that wants to see all samples of a run check them before the first is made.

    Raises:
        ImagenBenchError: It cannot make them all, such as a folder that lacks images.
    """
    if isinstance(generator, Prepares):
        generator.prepare([item.request() for item in planned])


def generate_samples(
    folder: RunFolder,
    generator: Generator,
    config: RunConfig,
    prompts: PromptSet,
    progress: bool = False,
    weights: Collection[float] | None = None,
    part: Part | None = None,
    workers: Workers | None = None,
    repair: bool = False,
) -> int:
    """Make the missing images of a run, then write samples.parquet; every worker calls it.

    A batch that runs out of memory is halved and drawn again.

    Args:
        folder: The run folder, locked by the main worker.
        generator: The model, which `prepare_generator` has seen.
        config: The run's configuration.
        prompts: Its prompt set, unlimited.
        progress: Show a bar with the time left for the whole sweep on stderr.
        weights: Make those of these guidance weights only; None for the whole sweep.
        part: Make the images of this part only.
        workers: The processes that share the work.
        repair: Make images anew that were lost or changed since they were made.

    Returns:
        The number of images that were missing; 0 if all were there.

    Raises:
        ModelError: The generator failed, or returned something else than one uint8 RGB image for each prompt.
        RunFolderError: Images were lost or changed, and `repair` is not given.
    """
    workers = workers or Workers()
    every = plan_samples(config, prompts)
    planned = [item for item in every if weights is None or item.guidance_weight in weights]
    finished = _as_planned(folder.check_samples(repair), every) if workers.is_main else {}
    done = workers.from_main(lambda: set(finished))
    batcher = Batcher.of(config.model)
    chunks = _chunks(planned, chunk_size(batcher, workers))
    if part is not None:
        chunks = part.of(chunks)
    missing = [items for chunk in chunks if (items := [item for item in chunk if item.key not in done])]
    _embed_prompts(generator, [item.prompt.prompt for items in missing for item in items], workers, progress)
    made: list[Sample] = []
    total, there = sum(map(len, chunks)), sum(map(len, chunks)) - sum(map(len, missing))
    count = workers.counter()
    with progress_bar("images", total=total, done=there, show=progress and workers.is_main) as bar:
        for place in workers.claim(len(missing)):
            items = missing[place]
            bar.set_postfix_str(weight_folder(items[0].guidance_weight), refresh=False)
            for rows, drawn in batcher(len(items), partial(_draw, generator, items)):
                made += (kept := _keep_batch(folder, items[rows], drawn, workers.rank))
                bar.update(there + count(len(kept)) - bar.n)
                drawn.raise_failure()
    for samples in workers.gather(made):
        finished.update((sample.key, sample) for sample in samples)
    if workers.is_main:
        _compile(folder, [finished[item.key] for item in every if item.key in finished])
    return sum(map(len, missing))


def _as_planned(finished: Mapping[Key, Sample], planned: Sequence[PlannedSample]) -> dict[Key, Sample]:
    """Return the finished samples that say what the plan says: a damaged line of the journal may still be JSON."""
    found = {}
    for item in planned:
        sample = finished.get(item.key)
        if sample is not None and sample == item.sample(sample.sha256, sample.seconds):
            found[item.key] = sample
    return found


def _embed_prompts(generator: Generator, prompts: Sequence[str], workers: Workers, progress: bool) -> None:
    if not (prompts and isinstance(generator, EmbedsPrompts)):
        return
    texts = list(dict.fromkeys(prompts))
    count = workers.counter()
    show = progress and workers.is_main
    with progress_bar("prompts", total=len(texts), show=show, unit="text") as bar:
        generator.embed_prompts(texts, workers, lambda more: bar.update(count(more) - bar.n))
        bar.update(len(texts) - bar.n)


def chunk_size(batcher: Batcher, workers: Workers) -> int:
    """Return how many images a worker claims at once: a batch; a size that is still being sought needs several."""
    if not batcher.grows:
        return batcher.size
    return LARGEST_SIZE if workers.alone else LARGEST_SIZE // 4


def _compile(folder: RunFolder, samples: Sequence[Sample]) -> None:
    folder.compile_samples(samples)
    folder.run["generation"] = summarise_calls(folder.path, samples)
    folder.write_run()


@dataclass(frozen=True)
class _Drawn:
    """Images of a batch (uint8 NCHW), the time that they took, and what the generator says about them.

    Where the call failed after it had finished some, `rows` are those, and `failure` is raised when they are kept.
    """

    images: torch.Tensor
    seconds: float
    report: CallReport
    rows: tuple[int, ...] | None = None
    failure: BaseException | None = None

    def raise_failure(self) -> None:
        """Raise what the call failed with, if it did."""
        if self.failure is not None:
            raise self.failure

    def finished(self, batch: Sequence[T]) -> Sequence[T]:
        """Return the items of a batch that have an image."""
        return batch if self.rows is None else [batch[row] for row in self.rows]


def _chunks(planned: Sequence[PlannedSample], size: int) -> list[list[PlannedSample]]:
    """Cut the plan into chunks of one guidance weight; the cuts do not depend on what is there already."""
    groups: dict[float, list[PlannedSample]] = {}
    for item in planned:
        groups.setdefault(item.guidance_weight, []).append(item)
    return [items[start : start + size] for items in groups.values() for start in range(0, len(items), size)]


def _draw(generator: Generator, items: Sequence[PlannedSample], rows: slice) -> _Drawn:
    batch = items[rows]
    started = time.perf_counter()
    prompts, seeds = [item.prompt.prompt for item in batch], [item.seed for item in batch]
    source = f"generator '{generator.name}'"
    try:
        returned = generator.generate(prompts, seeds, batch[0].guidance_weight)
    except BaseException as failure:
        saved = generator.salvage() if isinstance(generator, Salvages) else None
        if saved is None:
            raise
        images = check_images(saved.images, len(saved.rows), source)
        return _Drawn(images, time.perf_counter() - started, saved.report, saved.rows, failure)
    seconds = time.perf_counter() - started
    images = check_images(returned, len(batch), source)
    return _Drawn(images, seconds, generator.report() if isinstance(generator, Reports) else CallReport())


def _keep_batch(folder: RunFolder, batch: Sequence[PlannedSample], drawn: _Drawn, rank: int) -> list[Sample]:
    """Write the images that were finished, then the call, then the journal's lines."""
    from imagen_bench.images import write_png

    batch = drawn.finished(batch)
    weight, seconds = batch[0].guidance_weight, round(drawn.seconds / len(batch), 6)
    samples = []
    for item, image in zip(batch, drawn.images, strict=True):
        write_png(folder.path / item.path, image)
        samples.append(item.sample(sha256_file(folder.path / item.path), seconds))
    remarks = [
        Remark(samples[row].prompt_id, samples[row].index, weight, samples[row].sha256, text)
        for row, text in sorted(drawn.report.remarks.items())
    ]
    call = Call(weight, len(batch), round(drawn.seconds, 6), peak_memory(), drawn.report.usage, remarks)
    append_call(folder.path, call, rank)
    folder.add_samples(samples, rank)
    return samples
