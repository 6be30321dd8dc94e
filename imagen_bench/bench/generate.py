"""Generation: make every image of a sweep that the run folder does not hold yet.

Images are written and synced before the journal says that they exist, so a run can be stopped at any moment
and continued by the same command. Batches run across the prompts of one guidance weight; what a batch holds
depends on what is missing, which is why a generator's image must not depend on its batch.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from imagen_bench.bench.journal import Sample
from imagen_bench.bench.progress import progress_bar
from imagen_bench.bench.run_folder import RunFolder, sample_path, weight_folder
from imagen_bench.bench.seeds import prompt_seed
from imagen_bench.config import RunConfig
from imagen_bench.data.prompts import Prompt, PromptSet
from imagen_bench.errors import ConfigError
from imagen_bench.files import sha256_file
from imagen_bench.generators.base import Generator, batch_size_of, check_images


@dataclass(frozen=True)
class PlannedSample:
    """An image to make: `row_number` is the prompt's row in its set."""

    prompt: Prompt
    row_number: int
    index: int
    seed: int
    guidance_weight: float

    @property
    def key(self) -> tuple[float, str, int]:
        """The key of the `Sample` that it becomes."""
        return self.guidance_weight, self.prompt.prompt_id, self.index

    @property
    def path(self) -> str:
        """Where its image goes, relative to the run folder."""
        return sample_path(self.guidance_weight, self.row_number, self.prompt.prompt_id, self.index)


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


def generate_samples(
    folder: RunFolder, generator: Generator, config: RunConfig, prompts: PromptSet, progress: bool = False
) -> int:
    """Make the missing images of a run, then write samples.parquet.

    Args:
        folder: The run folder, locked by this process.
        generator: The model.
        config: The run's configuration.
        prompts: Its prompt set, unlimited.
        progress: Show a bar with the time left for the whole sweep on stderr.

    Returns:
        The number of images made; 0 if all were there.

    Raises:
        ModelError: The generator failed, or returned something else than one uint8 RGB image for each prompt.
    """
    planned = plan_samples(config, prompts)
    finished = folder.finished_samples()
    missing = [item for item in planned if item.key not in finished]
    batch_size = batch_size_of(config.model)
    with progress_bar("images", total=len(planned), done=len(planned) - len(missing), show=progress) as bar:
        for batch in _batches(missing, batch_size):
            bar.set_postfix_str(weight_folder(batch[0].guidance_weight), refresh=False)
            for sample in _make_batch(folder, generator, batch):
                finished[sample.key] = sample
            bar.update(len(batch))
    folder.compile_samples(finished[item.key] for item in planned)
    return len(missing)


def _batches(missing: Sequence[PlannedSample], size: int) -> list[Sequence[PlannedSample]]:
    """Cut the plan into batches of one guidance weight each."""
    by_weight: dict[float, list[PlannedSample]] = {}
    for item in missing:
        by_weight.setdefault(item.guidance_weight, []).append(item)
    return [items[start : start + size] for items in by_weight.values() for start in range(0, len(items), size)]


def _make_batch(folder: RunFolder, generator: Generator, batch: Sequence[PlannedSample]) -> list[Sample]:
    from imagen_bench.images import write_png

    weight = batch[0].guidance_weight
    started = time.perf_counter()
    returned = generator.generate([item.prompt.prompt for item in batch], [item.seed for item in batch], weight)
    seconds = (time.perf_counter() - started) / len(batch)
    images = check_images(returned, len(batch), f"generator '{generator.name}'")
    samples = []
    for item, image in zip(batch, images, strict=True):
        write_png(folder.path / item.path, image)
        samples.append(
            Sample(
                prompt_id=item.prompt.prompt_id,
                prompt=item.prompt.prompt,
                category=item.prompt.category,
                index=item.index,
                seed=item.seed,
                guidance_weight=weight,
                path=item.path,
                sha256=sha256_file(folder.path / item.path),
                seconds=round(seconds, 6),
            )
        )
    folder.add_samples(samples)
    return samples
