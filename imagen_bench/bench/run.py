"""A benchmark run: generate, evaluate, gallery, then outputs; finished stages are skipped."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from imagen_bench.bench.evaluate import Scoring, evaluate_run, keep_reference, open_scoring
from imagen_bench.bench.gallery import gallery_files, gallery_weight, make_gallery
from imagen_bench.bench.generate import generate_samples, plan_samples, used_prompts
from imagen_bench.bench.lock import locked
from imagen_bench.bench.provenance import host_info, package_version, versions, with_home, without_home
from imagen_bench.bench.run_folder import RunFolder, refuse_foreign, samples_digest, weight_folder
from imagen_bench.bench.same_run import refuse_other_run
from imagen_bench.bench.stages import Stages
from imagen_bench.config import RunConfig, apply_overrides, dump_config, validate
from imagen_bench.data.prompts import PromptSet, load_prompt_set
from imagen_bench.generators.base import Generator, SuperResolver, open_generator

GALLERY = "gallery"
Output = Callable[[RunFolder, RunConfig, Stages], None]
"""Makes something from a scored run, unless `Stages` says that it is finished."""


@dataclass(frozen=True)
class RunPlan:
    """What a run would do: the answer of `--dry-run`.

    Attributes:
        name: The run's name.
        out: Its folder.
        continues: Whether the folder holds this run already.
        prompts: Number of prompts used.
        samples_per_prompt: Images of each at each weight.
        guidance_weights: The sweep.
        images: Images of the whole sweep.
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


def plan_run(config: RunConfig, out: Path, limit: int | None = None) -> RunPlan:
    """Say what `run_benchmark` would do with the same arguments; no model is opened and nothing is written.

    Raises:
        ImagenBenchError: As `run_benchmark`, for what can be seen without opening the model.
    """
    config = limited(config, limit)
    refuse_foreign(out)
    continues = _continues(config, out)
    prompts = load_prompt_set(str(with_home(config.prompts.set)))
    planned = plan_samples(config, prompts)
    return RunPlan(
        name=config.name,
        out=str(out),
        continues=continues,
        prompts=len(used_prompts(config, prompts)),
        samples_per_prompt=config.prompts.samples_per_prompt,
        guidance_weights=config.sweep.guidance_weights,
        images=len(planned),
        images_done=sum((out / item.path).is_file() for item in planned),
        stages=("generate", "evaluate", *([GALLERY] if config.gallery is not None else [])),
    )


def run_benchmark(
    config: RunConfig,
    out: Path | str,
    limit: int | None = None,
    progress: bool = False,
    outputs: Sequence[Output] = (),
) -> RunFolder:
    """Run a benchmark, or continue it: everything that is there already is kept.

    Args:
        config: The run's configuration.
        out: The run folder; made if it is missing.
        limit: Use the first `limit` prompts only; recorded as `prompts.limit`.
        progress: Show progress bars on stderr.
        outputs: What to make from the scored run, in order: sheets, report. What makes them stands above this
            part, so it is handed in; the commands do so.

    Returns:
        The finished run folder.

    Raises:
        RunFolderError: `out` holds another run or foreign files, or another process is at work in it.
        ImagenBenchError: A wrong config, prompt set, model, reference or extractor; all found before the
            first image.
    """
    out = Path(out)
    config = limited(config, limit)
    refuse_foreign(out)
    _continues(config, out)
    opened = validate(RunConfig, with_home(dump_config(config)), "config")
    prompts = load_prompt_set(opened.prompts.set)
    plan_samples(opened, prompts)
    scoring = open_scoring(opened, prompts, out, progress)
    generator = open_generator(opened.model)
    with locked(out):
        folder = RunFolder.create_or_resume(out, run_record(config, generator, prompts, scoring))
        folder.remove_temporary()
        keep_reference(folder, scoring)
        generate_samples(folder, generator, opened, prompts, progress)
        stages = Stages(out)
        _evaluate(folder, stages, scoring, progress)
        _gallery(folder, stages, generator, opened, prompts, progress)
        for make in outputs:
            make(folder, opened, stages)
    return folder


def limited(config: RunConfig, limit: int | None) -> RunConfig:
    """Return the config with `prompts.limit` set, unchanged without a limit.

    Raises:
        ConfigError: A limit below 1.
    """
    if limit is None:
        return config
    return validate(RunConfig, apply_overrides(dump_config(config), [f"prompts.limit={limit}"]), "--limit")


def run_record(config: RunConfig, generator: Generator, prompts: PromptSet, scoring: Scoring) -> dict[str, Any]:
    """Return what run.json says about a run that starts now; `timing` is added by the stages."""
    return {
        "name": config.name,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "config": dump_config(config),
        "model": {"name": generator.name, **generator.describe()},
        "prompts": {
            "id": prompts.id,
            "version": prompts.version,
            "digest": prompts.digest,
            "n": len(used_prompts(config, prompts)),
            "samples_per_prompt": config.prompts.samples_per_prompt,
        },
        **scoring.describe(),
        "versions": versions(),
        "host": host_info(),
        "timing": {},
    }


def _continues(config: RunConfig, out: Path) -> bool:
    """Return whether `out` holds this run already, before anything slow is opened."""
    if not (out / "run.json").is_file():
        return False
    refuse_other_run(out, RunFolder.open(out).run, without_home({"config": dump_config(config)}))
    return True


def _evaluate(folder: RunFolder, stages: Stages, scoring: Scoring, progress: bool) -> None:
    samples = folder.samples()
    seconds = float(samples["seconds"].sum())
    timing = {"generate_seconds": round(seconds, 3), "seconds_per_image": round(seconds / len(samples), 6)}
    inputs = {
        "samples": samples_digest(samples),
        "scoring": scoring.describe(),
        "version": package_version(),
    }
    if stages.is_finished("evaluate", inputs, ["scores.csv", "samples_scores.parquet"]):
        return
    started = time.perf_counter()
    evaluate_run(folder, scoring, progress)
    folder.run.update(scoring.describe())
    folder.run["timing"] = {**timing, "score_seconds": round(time.perf_counter() - started, 3)}
    # Text features may come from the cache, and then nothing is cut in this start.
    cut = max(scoring.metrics.truncated(), folder.run.get("truncated_prompts", 0))
    folder.run.update(truncated_prompts=cut, notes=scoring.notes(cut))
    folder.write_run()
    stages.finish("evaluate", inputs)


def _gallery(
    folder: RunFolder,
    stages: Stages,
    generator: Generator,
    config: RunConfig,
    prompts: PromptSet,
    progress: bool,
) -> None:
    if config.gallery is None or not isinstance(generator, SuperResolver):
        return
    weight = gallery_weight(folder, config)
    files = gallery_files(folder, config, prompts, weight)
    inputs = {"samples": weights_digest(folder, [weight]), "files": [str(file) for file in files]}
    if stages.is_finished(GALLERY, inputs, [str(file) for file in files]):
        return
    make_gallery(folder, generator, config, prompts, weight, progress)
    for other in (folder.path / GALLERY).iterdir():
        if other.name != weight_folder(weight):
            shutil.rmtree(other)
    stages.finish(GALLERY, inputs)


def weights_digest(folder: RunFolder, weights: Sequence[float]) -> str:
    """Return the digest of a run's samples at some weights."""
    samples = folder.samples()
    return samples_digest(samples[samples["guidance_weight"].isin(list(weights))])
