"""How long a run would take on some numbers of workers: counts from its configuration, times from a smaller run.

Drawing images, extracting their features and those of the reference set divide by the number of workers, since these
claim work as they become free. Scores with their intervals, sheets and report are the first worker's and do not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from imagen_bench.bench.durations import read_durations
from imagen_bench.bench.provenance import with_home
from imagen_bench.bench.run_folder import RunFolder
from imagen_bench.config import RunConfig
from imagen_bench.data.prompts import MissingPromptSetError, load_prompt_set
from imagen_bench.errors import RunFolderError

# At w = 1 these evaluate the network once a step instead of twice.
_SKIP_UNGUIDED = ("bundled", "diffusers")
SHARED = ("images", "features", "reference")
"""Parts that divide by the number of workers."""
ALONE = ("scores", "outputs")
"""Parts that the first worker does alone."""


@dataclass(frozen=True)
class Load:
    """What a run has to make.

    Attributes:
        name: The run's name.
        generator: Its generator.
        prompts: Number of prompts.
        samples_per_prompt: Images of each at each weight.
        weights: Guidance weights.
        metrics: Number of metrics.
        reference: Name of the reference set, if there is one.
    """

    name: str
    generator: str
    prompts: int
    samples_per_prompt: int
    weights: tuple[float, ...]
    metrics: int
    reference: str | None

    @property
    def images_a_weight(self) -> int:
        """Images at each weight."""
        return self.prompts * self.samples_per_prompt

    @property
    def images(self) -> int:
        """All images."""
        return self.images_a_weight * len(self.weights)


@dataclass(frozen=True)
class Costs:
    """Seconds of one worker for one item; None where nothing is known.

    Attributes:
        image: Drawing and writing an image with guidance.
        unguided: The same at w = 1.
        feature: Decoding an image and extracting all its feature spaces.
        reference_image: The same of the reference set; None for as long as `feature`.
        reference_images: Images of the reference set named `reference`.
        reference: Name of the reference set that was measured with.
        score: A metric at one weight, with its interval.
        images_a_score: Number of images that this was measured at.
        outputs: Sheets and report.
    """

    image: float
    unguided: float
    feature: float | None = None
    reference_image: float | None = None
    reference_images: int | None = None
    reference: str | None = None
    score: float | None = None
    images_a_score: int | None = None
    outputs: float | None = None


@dataclass(frozen=True)
class Projection:
    """Seconds on some number of workers, by part; a part of which nothing is known is left out."""

    workers: int
    parts: Mapping[str, float]

    @property
    def total(self) -> float:
        """Seconds in all."""
        return sum(self.parts.values())


def load_of(config: RunConfig) -> Load:
    """Count what a run has to make; a prompt set that still has to be fetched is counted by its definition.

    Raises:
        ImagenBenchError: An unknown or broken prompt set.
    """
    try:
        count = len(load_prompt_set(str(with_home(config.prompts.set))).rows)
    except MissingPromptSetError as missing:
        count = missing.size[1]
    return Load(
        name=config.name,
        generator=config.model.generator,
        prompts=min(count, config.prompts.limit or count),
        samples_per_prompt=config.prompts.samples_per_prompt,
        weights=config.sweep.guidance_weights,
        metrics=len(config.scores.metrics),
        reference=config.scores.reference,
    )


def stated_costs(seconds_per_image: float, generator: str) -> Costs:
    """Return costs of which only an image's with guidance is known."""
    return Costs(seconds_per_image, seconds_per_image / 2 if generator in _SKIP_UNGUIDED else seconds_per_image)


def measured_costs(run: Path) -> Costs:
    """Read what a finished run, or a small one with `--limit`, took.

    Raises:
        RunFolderError: No run folder, or nothing was measured in it.
    """
    folder = RunFolder.open(run)
    samples, spent = folder.samples(), read_durations(folder.run)
    timed = samples[samples["seconds"] > 0]
    if timed.empty:
        raise RunFolderError(f"{run} has no times of images: give a run that drew some, such as one with --limit 64")
    config = folder.run.get("config") or {}
    skips = (config.get("model") or {}).get("generator") in _SKIP_UNGUIDED
    is_one = timed["guidance_weight"] == 1
    at_one, guided = timed.loc[is_one, "seconds"], timed.loc[~is_one, "seconds"]
    factor = 2.0 if skips else 1.0
    image = float(guided.mean()) if len(guided) else float(at_one.mean()) * factor
    unguided = float(at_one.mean()) if len(at_one) else image / factor
    whole = spent["images"].each if "images" in spent else None
    # What a worker's time for an image holds besides the model: writing, digests, waiting for the last batch.
    beside = max(0.0, (whole or 0.0) - float(timed["seconds"].mean()))
    reference = folder.run.get("reference") or {}
    return Costs(
        image=image + beside,
        unguided=unguided + beside,
        feature=_each(spent, "features"),
        reference_image=_each(spent, "reference"),
        reference_images=spent["reference"].items if "reference" in spent else reference.get("n"),
        reference=(config.get("scores") or {}).get("reference"),
        score=_each(spent, "scores"),
        images_a_score=int(samples["guidance_weight"].value_counts().max()),
        outputs=spent["outputs"].seconds if "outputs" in spent else None,
    )


def project(loads: Sequence[Load], costs: Costs, workers: Sequence[int]) -> list[Projection]:
    """Say how long runs would take, one after the other, on each number of workers.

    Runs that are scored against one reference set extract it once.
    """
    work = _work(loads, costs)
    return [
        Projection(count, {part: seconds / (count if part in SHARED else 1) for part, seconds in work.items()})
        for count in workers
    ]


def assumptions(loads: Sequence[Load], costs: Costs) -> list[str]:
    """Say, one sentence each, what the projection leaves out or takes for granted."""
    notes = ["opening model and extractors comes on top, once for each worker"]
    if costs.feature is None:
        notes.append("features, scores and report are not in it: --measured takes them from a run that recorded them")
    elif any(load.reference not in (None, costs.reference) for load in loads):
        notes.append(f"another reference set than {costs.reference}: extracting it is not in the table")
    if costs.images_a_score is not None and any(load.images_a_weight != costs.images_a_score for load in loads):
        notes.append(
            f"scores and report were measured at {costs.images_a_score:,} images a weight: intervals of single images, "
            "metrics that store features and the report's pictures grow with their number"
        )
    return notes


def _each(spent: Mapping[str, Any], stage: str) -> float | None:
    return spent[stage].each if stage in spent else None


def _work(loads: Sequence[Load], costs: Costs) -> dict[str, float]:
    """Return seconds of one worker by part."""
    work = {"images": sum(_drawing(load, costs) for load in loads)}
    if costs.feature is not None:
        work["features"] = costs.feature * sum(load.images for load in loads)
        if costs.reference_images and any(load.reference == costs.reference is not None for load in loads):
            each = costs.feature if costs.reference_image is None else costs.reference_image
            work["reference"] = each * costs.reference_images
    if costs.score is not None:
        work["scores"] = costs.score * sum(load.metrics * len(load.weights) for load in loads)
    if costs.outputs is not None:
        work["outputs"] = costs.outputs * len(loads)
    return work


def _drawing(load: Load, costs: Costs) -> float:
    seconds = sum(costs.unguided if weight == 1 else costs.image for weight in load.weights)
    return seconds * load.images_a_weight
