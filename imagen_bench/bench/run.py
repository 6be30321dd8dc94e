"""A benchmark run: generate, evaluate, gallery, then outputs; finished stages are skipped."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from datetime import UTC, datetime
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imagen_bench.bench.calls import generation_notes
from imagen_bench.bench.durations import Durations
from imagen_bench.bench.evaluate import (
    Scoring,
    check_metrics,
    evaluate_run,
    keep_reference,
    open_extractors,
    open_scoring,
)
from imagen_bench.bench.gallery import gallery_files, gallery_weight, make_gallery
from imagen_bench.bench.generate import (
    Part,
    PlannedSample,
    generate_samples,
    plan_samples,
    prepare_generator,
    used_prompts,
)
from imagen_bench.bench.lock import locked
from imagen_bench.bench.progress import progress_bar
from imagen_bench.bench.provenance import host_info, package_version, versions, with_home, without_home
from imagen_bench.bench.reference import reference_images
from imagen_bench.bench.reference_pass import SharedPass, extract_alone, help_main
from imagen_bench.bench.run_features import share_features
from imagen_bench.bench.run_folder import SCORE_FILES, RunFolder, refuse_foreign, samples_digest, weight_folder
from imagen_bench.bench.same_run import refuse_other_run
from imagen_bench.bench.stages import Stages
from imagen_bench.config import RunConfig, apply_overrides, dump_config, validate
from imagen_bench.data.prompts import PromptSet, load_prompt_set
from imagen_bench.errors import ConfigError, RunFolderError
from imagen_bench.files import sha256_file
from imagen_bench.generators.base import Generator, SuperResolver, open_generator
from imagen_bench.workers import Workers, join_workers

if TYPE_CHECKING:
    from imagen_bench.bench.reference_pass import Extract
    from imagen_bench.metrics.extractors import ImageExtractor

GALLERY = "gallery"
Output = Callable[[RunFolder, RunConfig, Stages], None]
"""Makes something from a scored run, unless `Stages` says that it is finished."""
ScoringOpener = Callable[[RunConfig, PromptSet, Path, bool, "Extract"], Scoring]
"""What `open_scoring` is."""


def run_benchmark(
    config: RunConfig, out: Path | str, limit: int | None = None, progress: bool = False,
    outputs: Sequence[Output] = (), weights: Sequence[float] | None = None,
    scoring_opener: ScoringOpener = open_scoring, part: Part | None = None, repair: bool = False,
) -> RunFolder:  # fmt: skip
    """Run a benchmark, or continue it: everything that is there already is kept.

    Under torchrun every process calls this. They share images and features; the main one does the rest.

    Args:
        config: The run's configuration.
        out: The run folder; made if it is missing.
        limit: Use the first `limit` prompts only; recorded as `prompts.limit`.
        progress: Show progress bars on stderr.
        outputs: What to make from the scored run, in order: sheets, report; the commands hand it in.
        weights: Make and score only these of the sweep's weights in this start; another start makes the others.
            Gallery and outputs wait until every weight is there.
        scoring_opener: Opens what the run is scored with; several runs may share it.
        part: Make this part of the images in this start and score nothing; `merge_runs` joins the parts.
        repair: Make images anew that were lost or changed, and all scores and outputs.

    Returns:
        The run folder, finished if all weights are there.

    Raises:
        RunFolderError: `out` holds another run or foreign files, has lost images, or is in use.
        ImagenBenchError: A wrong config, prompt set, model, reference or extractor, before the first image.
    """
    out, workers = Path(out), join_workers()
    config = limited(config, limit)
    if workers.is_main:
        refuse_foreign(out)
        continues(config, out)
    opened = validate(RunConfig, with_home(dump_config(config)), "config")
    check_metrics(opened)
    prompts = load_prompt_set(opened.prompts.set)
    planned = plan_samples(opened, prompts)
    now = weights_now(opened, weights)
    generator = open_generator(opened.model)
    prepare_generator(generator, [item for item in planned if item.guidance_weight in now])
    extractors, durations = cache(partial(open_extractors, opened)), Durations()
    scoring = _open_scoring(scoring_opener, opened, prompts, out, progress, workers, extractors, durations)
    with locked(out) if workers.is_main else nullcontext():
        record = partial(run_record, config, generator, prompts, scoring) if scoring is not None else None
        folder = _shared_folder(out, workers, record)
        if scoring is not None:
            keep_reference(folder, scoring)
        with durations.timing("images", workers.count) as did:
            did(generate_samples(folder, generator, opened, prompts, progress, now, part, workers, repair))
        if part is None:
            _share_features(folder, opened, planned, scoring, workers, extractors, durations, progress)
        if part is None and scoring is not None:
            stages = _stages(out, repair)
            _evaluate(folder, stages, scoring, durations, progress)
            if not missing_weights(folder):
                _gallery(folder, stages, generator, opened, prompts, progress)
                _make_outputs(outputs, folder, opened, stages, durations, progress)
        if workers.is_main:
            durations.write(folder)
    return folder


def _open_scoring(
    opener: ScoringOpener, config: RunConfig, prompts: PromptSet, out: Path, progress: bool, workers: Workers,
    extractors: Callable[[], Mapping[str, ImageExtractor]], durations: Durations,
) -> Scoring | None:  # fmt: skip
    """Open what the run is scored with in the main worker; the others help it with the reference set."""
    if workers.alone:
        return opener(config, prompts, out, progress, durations.of_extraction(extract_alone, "reference"))
    if not workers.is_main:
        reference = config.scores.reference
        help_main(workers, lambda: None if reference is None else reference_images(reference), extractors)
        return None
    shared = SharedPass(workers)
    timed = durations.of_extraction(shared, "reference", workers.count)
    scoring = opener(config, prompts, out, progress, timed)
    shared.finish()
    return scoring


def _share_features(
    folder: RunFolder, config: RunConfig, planned: Sequence[PlannedSample], scoring: Scoring | None, workers: Workers,
    open_extractors: Callable[[], Mapping[str, ImageExtractor]], durations: Durations, progress: bool,
) -> None:  # fmt: skip
    """Extract image features with all workers; a process alone leaves that to the evaluation."""
    if workers.alone:
        return
    workers.wait()
    extractors = scoring.metrics.spaces if scoring is not None else open_extractors()
    images = len(planned) // len(config.sweep.guidance_weights)
    with durations.timing("features", workers.count) as did:
        did(share_features(folder, extractors, images, workers, progress))


def _shared_folder(out: Path, workers: Workers, record: Callable[[], dict[str, Any]] | None) -> RunFolder:
    """Start or continue the run in the main worker, then open it in the others.

    Raises:
        RunFolderError: A worker does not see the main one's folder.
    """
    folder = None
    if record is not None:
        folder = RunFolder.create_or_resume(out, record())
        folder.remove_temporary()
    digest = workers.from_main(lambda: sha256_file(out / "run.json"))
    if folder is not None:
        return folder
    if not (out / "run.json").is_file() or sha256_file(out / "run.json") != digest:
        raise RunFolderError(
            f"worker {workers.rank} does not see the run in {out} that the first worker does: give a folder that all "
            "nodes share as --out, or make parts on each node with --part and join them with `imagen-bench merge`"
        )
    return RunFolder.open(out)


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


def missing_weights(folder: RunFolder) -> tuple[float, ...]:
    """Return the weights of the run's sweep that lack images, in the order of the sweep."""
    prompts = folder.run["prompts"]
    counts = folder.samples()["guidance_weight"].value_counts()
    swept = folder.run["config"]["sweep"]["guidance_weights"]
    return tuple(weight for weight in swept if counts.get(weight, 0) < prompts["n"] * prompts["samples_per_prompt"])


def weights_now(config: RunConfig, weights: Sequence[float] | None) -> tuple[float, ...]:
    """Return the weights of this start.

    Raises:
        ConfigError: One is not in the sweep.
    """
    swept = config.sweep.guidance_weights
    if weights is None:
        return swept
    for weight in weights:
        if weight not in swept:
            known = ", ".join(f"{known:g}" for known in swept)
            raise ConfigError(f"weight {weight:g} is not in the sweep ({known}); add it to sweep.guidance_weights")
    return tuple(weight for weight in swept if weight in weights)


def continues(config: RunConfig, out: Path) -> bool:
    """Return whether `out` holds this run already, before anything slow is opened."""
    if not (out / "run.json").is_file():
        return False
    refuse_other_run(out, RunFolder.open(out).run, without_home({"config": dump_config(config)}))
    return True


def _evaluate(folder: RunFolder, stages: Stages, scoring: Scoring, durations: Durations, progress: bool) -> None:
    samples = folder.samples()
    seconds = float(samples["seconds"].sum())
    timing = {"generate_seconds": round(seconds, 3), "seconds_per_image": round(seconds / len(samples), 6)}
    inputs = {
        "samples": samples_digest(samples),
        "scoring": scoring.describe(),
        "version": package_version(),
    }
    if stages.is_finished("evaluate", inputs, SCORE_FILES):
        return
    with durations.timing("features") as did:
        did(share_features(folder, scoring.metrics.spaces, scoring.n, Workers(), progress))
    started = time.perf_counter()
    with durations.timing("scores") as did:
        did(evaluate_run(folder, scoring, progress) * len(scoring.metrics.uses))
    folder.run.update(scoring.describe())
    folder.run["timing"] = {**timing, "score_seconds": round(time.perf_counter() - started, 3)}
    # Text features may come from the cache, and then nothing is cut in this start.
    cut = max(scoring.metrics.truncated(), folder.run.get("truncated_prompts", 0))
    notes = [*generation_notes(folder.run.get("generation", {})), *scoring.notes(cut)]
    folder.run.update(truncated_prompts=cut, notes=notes)
    folder.write_run()
    stages.finish("evaluate", inputs, SCORE_FILES)


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


def _make_outputs(
    outputs: Sequence[Output], folder: RunFolder, config: RunConfig, stages: Stages, durations: Durations,
    progress: bool,
) -> None:  # fmt: skip
    before, show = len(stages.finished_now), progress and len(outputs) > 0
    with (
        progress_bar("outputs", total=len(outputs), show=show, unit="output") as bar,
        durations.timing("outputs") as did,
    ):
        for make in outputs:
            make(folder, config, stages)
            bar.update()
        did(len(stages.finished_now) - before)


def _stages(out: Path, repair: bool) -> Stages:
    stages = Stages(out)
    if repair:
        stages.forget()
    return stages


def weights_digest(folder: RunFolder, weights: Sequence[float]) -> str:
    """Return the digest of a run's samples at some weights."""
    samples = folder.samples()
    return samples_digest(samples[samples["guidance_weight"].isin(list(weights))])
