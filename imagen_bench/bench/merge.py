"""Joining parts of one run that were made in several places, such as nodes without a common disk.

Each part is a run folder of the same config, model and prompts, with some of the images: some guidance weights
(`--weights`), or some samples of each (`--part`). Merging again takes over what the parts have gained since.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from imagen_bench.bench.calls import FOLDER as CALLS
from imagen_bench.bench.calls import summarise_calls
from imagen_bench.bench.journal import Sample, write_samples
from imagen_bench.bench.lock import locked
from imagen_bench.bench.run_folder import RunFolder, refuse_foreign
from imagen_bench.bench.same_run import refuse_other_run
from imagen_bench.errors import InputError, RunFolderError
from imagen_bench.files import atomic_path, atomic_write_bytes, digest_json, sha256_file

Key = tuple[float, str, int]
_SHOWN = 3


@dataclass(frozen=True)
class Merged:
    """What a merge gave.

    Attributes:
        folder: The run folder.
        images: Images that it holds.
        planned: Images of the whole run.
        missing: Images still to be made, by guidance weight; weights that lack none are left out.
    """

    folder: RunFolder
    images: int
    planned: int
    missing: dict[float, int]


def merge_runs(parts: Sequence[Path], out: Path) -> Merged:
    """Copy the images of parts of one run into one run folder.

    Nothing is written before all parts have been checked. Images are checked against the digests in their
    journals; those that a part lacks or that are damaged are left out, and a later `run` makes them.

    Args:
        parts: Run folders, at least one.
        out: The run folder; made if it is missing, and it may hold this run already.

    Raises:
        InputError: No parts.
        RunFolderError: A part is no run folder or of another run; two parts hold different images for one
            sample; or `out` holds something else.
    """
    if not parts:
        raise InputError("found no parts to merge: give at least one run folder")
    refuse_foreign(out)
    opened = [RunFolder.open(part) for part in parts if part.resolve() != out.resolve()]
    there = [RunFolder.open(out)] if (out / "run.json").is_file() else []
    record = _joint_record([*there, *opened])
    samples = {folder.path: folder.finished_samples() for folder in [*there, *opened]}
    _refuse_conflicts(samples)
    with locked(out):
        merged = RunFolder.create_or_resume(out, record)
        merged.remove_temporary()
        for part in opened:
            _take(part, samples[part.path], merged)
        merged.run["merged"] = _origins(merged.run.get("merged", []), opened)
        finished = merged.finished_samples()
        merged.compile_samples(finished.values())
        merged.run["generation"] = summarise_calls(out, finished.values())
        merged.write_run()
    return _merged(merged, finished)


def _joint_record(folders: Sequence[RunFolder]) -> dict[str, Any]:
    """Return the first run's record with the weights of all; refuse a folder of another run."""
    weights: dict[float, None] = {}
    for folder in folders:
        weights.update(dict.fromkeys(folder.run["config"]["sweep"]["guidance_weights"]))
    joint = []
    for folder in folders:
        config = folder.run["config"]
        joint.append({**folder.run, "config": {**config, "sweep": {**config["sweep"], "guidance_weights": [*weights]}}})
    for folder in folders:
        refuse_other_run(folder.path, folder.run, joint[0])
    return {key: value for key, value in joint[0].items() if key not in ("generation", "merged", "durations")}


def _refuse_conflicts(samples: Mapping[Path, Mapping[Key, Sample]]) -> None:
    seen: dict[Key, tuple[Path, str]] = {}
    conflicts = []
    for path, finished in samples.items():
        for key, sample in finished.items():
            other, digest = seen.setdefault(key, (path, sample.sha256))
            if digest != sample.sha256:
                conflicts.append(f"{sample.path} of {path} and {other}")
    if conflicts:
        more = f" and {len(conflicts) - _SHOWN} more" if len(conflicts) > _SHOWN else ""
        raise RunFolderError(
            f"parts hold different images for one sample: {'; '.join(conflicts[:_SHOWN])}{more}; other library "
            "versions or devices drew them: remove those images from one of the parts"
        )


def _take(part: RunFolder, finished: Mapping[Key, Sample], merged: RunFolder) -> None:
    """Copy images, then what the part says about its calls, then its journal, under names of the part's own."""
    for sample in finished.values():
        source, target = part.image(sample), merged.image(sample)
        if not (target.is_file() and sha256_file(target) == sample.sha256):
            with atomic_path(target) as temporary:
                shutil.copyfile(source, temporary)
    name = f"part-{digest_json([part.run.get('created'), part.run.get('host'), part.path.name])[:8]}"
    calls = [file.read_bytes() for file in sorted((part.path / CALLS).glob("*.jsonl"))]
    if calls:
        atomic_write_bytes(merged.path / CALLS / f"{name}.jsonl", b"".join(calls))
    write_samples(merged.path / "journal" / f"{name}.jsonl", finished.values())


def _origins(before: Sequence[Mapping[str, Any]], parts: Sequence[RunFolder]) -> list[dict[str, Any]]:
    """Return where the images come from: folder name, start, host and versions of each part, once."""
    origins = [dict(origin) for origin in before]
    for part in parts:
        origin = {"part": part.path.name} | {key: part.run.get(key) for key in ("created", "host", "versions")}
        if origin not in origins:
            origins.append(origin)
    return origins


def _merged(folder: RunFolder, finished: Mapping[Key, Sample]) -> Merged:
    a_weight = folder.run["prompts"]["n"] * folder.run["prompts"]["samples_per_prompt"]
    weights = folder.run["config"]["sweep"]["guidance_weights"]
    counts = {weight: sum(key[0] == weight for key in finished) for weight in weights}
    missing = {weight: a_weight - count for weight, count in counts.items() if count < a_weight}
    return Merged(folder, len(finished), a_weight * len(weights), missing)
