"""What a run would do, said without opening a model: `--dry-run`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from imagen_bench.bench.generate import plan_samples, used_prompts
from imagen_bench.bench.provenance import with_home
from imagen_bench.bench.run import GALLERY, continues, limited, weights_now
from imagen_bench.bench.run_folder import refuse_foreign
from imagen_bench.config import RunConfig
from imagen_bench.data.prompts import load_prompt_set


@dataclass(frozen=True)
class RunPlan:
    """What a run would do: the answer of `--dry-run`.

    Attributes:
        name: The run's name.
        out: Its folder.
        continues: Whether the folder holds this run already.
        prompts: Number of prompts used.
        samples_per_prompt: Images of each at each weight.
        guidance_weights: The sweep, or the part of it that this start would make.
        images: Images at those weights.
        images_done: Images whose file is there already.
        stages: The stages of the run itself, in order.
    """

    name: str
    out: str
    continues: bool
    prompts: int
    samples_per_prompt: int
    guidance_weights: tuple[float, ...]
    images: int
    images_done: int
    stages: tuple[str, ...]


def plan_run(config: RunConfig, out: Path, limit: int | None = None, weights: Sequence[float] | None = None) -> RunPlan:
    """Say what `run_benchmark` would do with the same arguments; no model is opened and nothing is written.

    Raises:
        ImagenBenchError: As `run_benchmark`, for what can be seen without opening the model.
    """
    config = limited(config, limit)
    refuse_foreign(out)
    there = continues(config, out)
    prompts = load_prompt_set(str(with_home(config.prompts.set)))
    now = weights_now(config, weights)
    planned = [item for item in plan_samples(config, prompts) if item.guidance_weight in now]
    return RunPlan(
        name=config.name,
        out=str(out),
        continues=there,
        prompts=len(used_prompts(config, prompts)),
        samples_per_prompt=config.prompts.samples_per_prompt,
        guidance_weights=now,
        images=len(planned),
        images_done=sum((out / item.path).is_file() for item in planned),
        stages=("generate", "evaluate", *([GALLERY] if config.gallery is not None else [])),
    )
