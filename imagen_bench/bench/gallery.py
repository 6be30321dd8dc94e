"""The gallery: some samples of one guidance weight, enlarged by the model's own super-resolution stage."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from imagen_bench.bench.generate import used_prompts
from imagen_bench.bench.progress import progress_bar
from imagen_bench.bench.run_folder import RunFolder
from imagen_bench.bench.seeds import prompt_seed
from imagen_bench.config import RunConfig
from imagen_bench.data.prompts import Prompt, PromptSet
from imagen_bench.errors import RunFolderError
from imagen_bench.generators.base import SuperResolver
from imagen_bench.generators.batching import Batcher

if TYPE_CHECKING:
    import pandas as pd
    import torch

SAMPLE_INDEX = 0
"""The gallery shows the first sample of each of its prompts: the first, not the best."""
# Alignment first: at the best FD, guidance is often off and prompts are followed least.
_GALLERY_SCORES = (("clip_score", False), ("fd", True), ("fid", True))


def spread_prompts(prompts: Sequence[Prompt], count: int) -> list[Prompt]:
    """Choose `count` prompts in turns through the categories, each in its own order; at most all."""
    by_category: dict[str, list[Prompt]] = {}
    for prompt in prompts:
        by_category.setdefault(prompt.category, []).append(prompt)
    rounds = max((len(rows) for rows in by_category.values()), default=0)
    turns = [rows[turn] for turn in range(rounds) for rows in by_category.values() if turn < len(rows)]
    return turns[:count]


def gallery_weight(folder: RunFolder, config: RunConfig) -> float:
    """Return the guidance weight to show: the configured one, that of the best score, or the sweep's first."""
    if config.gallery is not None and config.gallery.guidance_weight is not None:
        return config.gallery.guidance_weight
    best = best_scored_weight(folder.scores())
    return config.sweep.guidance_weights[0] if best is None else best[1]


def best_scored_weight(scores: pd.DataFrame) -> tuple[str, float] | None:
    """Return metric and weight of the best CLIP score, else of the lowest distance; of equals the lower weight."""
    scores = scores[scores["category"] == "all"].dropna(subset=["value"])
    for metric, ascending in _GALLERY_SCORES:
        rows = scores[scores["metric"] == metric]
        if not rows.empty:
            rows = rows.sort_values(["value", "guidance_weight"], ascending=[ascending, True])
            return metric, float(rows["guidance_weight"].iloc[0])
    return None


def gallery_files(folder: RunFolder, config: RunConfig, prompts: PromptSet, weight: float) -> list[str]:
    """Return the files of the gallery, relative to the run folder."""
    return [
        folder.gallery_path(weight, row.prompt_id, SAMPLE_INDEX).relative_to(folder.path).as_posix()
        for row in _shown(config, prompts)
    ]


def make_gallery(
    folder: RunFolder,
    generator: SuperResolver,
    config: RunConfig,
    prompts: PromptSet,
    weight: float,
    progress: bool = False,
) -> int:
    """Enlarge the first sample of the gallery's prompts; images that are there already stay.

    Args:
        folder: The run folder; its samples at `weight` are made.
        generator: A generator with super-resolution.
        config: The run's configuration, with a gallery section.
        prompts: The run's prompt set.
        weight: Guidance weight of the samples shown.
        progress: Show a bar on stderr.

    Returns:
        The number of images in the gallery.

    Raises:
        ModelError: The super-resolution stage failed or returned something else than enlarged RGB images.
        RunFolderError: A sample of the gallery is missing.
    """
    from imagen_bench.images import write_png

    chosen = _shown(config, prompts)
    missing = [row for row in chosen if not folder.gallery_path(weight, row.prompt_id, SAMPLE_INDEX).is_file()]

    def enlarge(rows: slice) -> torch.Tensor:
        return _enlarge(folder, generator, config, missing[rows], weight)

    with progress_bar("gallery", total=len(chosen), done=len(chosen) - len(missing), show=progress) as bar:
        for rows, enlarged in Batcher.of(config.model)(len(missing), enlarge):
            for row, image in zip(missing[rows], enlarged, strict=True):
                write_png(folder.gallery_path(weight, row.prompt_id, SAMPLE_INDEX), image)
            bar.update(len(enlarged))
    return len(chosen)


def _shown(config: RunConfig, prompts: PromptSet) -> list[Prompt]:
    count = config.gallery.prompts if config.gallery is not None else 0
    return spread_prompts(used_prompts(config, prompts), count)


def _enlarge(
    folder: RunFolder, generator: SuperResolver, config: RunConfig, batch: Sequence[Prompt], weight: float
) -> torch.Tensor:
    import torch

    from imagen_bench.generators.base import check_images
    from imagen_bench.images import read_image

    files = folder.image_files(weight, SAMPLE_INDEX)
    absent = [row.prompt_id for row in batch if row.prompt_id not in files]
    if absent:
        raise RunFolderError(f"{folder.path} has no sample of prompt '{absent[0]}' at w={weight:g}; generate it first")
    images = torch.stack([read_image(files[row.prompt_id]) for row in batch])
    seeds = [prompt_seed(config.seed, row, SAMPLE_INDEX) for row in batch]
    enlarged = generator.super_resolve(images, [row.prompt for row in batch], seeds)
    return check_images(enlarged, len(batch), "the super-resolution stage")
