"""The calls of a generator, one JSON line a batch in `calls/<rank>.jsonl`: time, memory, cost and remarks.

A line is written before the journal says that its images exist, so that what an interrupted run paid for is
counted. Remarks belong to an image by its digest: that of an image that was drawn again no longer counts.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from imagen_bench.bench.journal import Sample, append_lines

FOLDER = "calls"


@dataclass(frozen=True)
class Remark:
    """Why the image of a sample is not what was asked for."""

    prompt_id: str
    index: int
    guidance_weight: float
    sha256: str
    remark: str


@dataclass(frozen=True)
class Call:
    """One batch.

    Attributes:
        guidance_weight: Of all its images.
        images: How many it made.
        seconds: Time of the generator alone.
        peak_bytes: Highest memory so far: "process", and "gpu" (allocated, all devices) where there is one.
        usage: What it used of countable things.
        remarks: Images that are not what was asked for.
    """

    guidance_weight: float
    images: int
    seconds: float
    peak_bytes: Mapping[str, int]
    usage: Mapping[str, float]
    remarks: Sequence[Remark]


def append_call(run: Path, call: Call, rank: int = 0) -> None:
    """Write down a call in a run folder."""
    append_lines(run / FOLDER / f"{rank}.jsonl", [asdict(call)])


def summarise_calls(run: Path, samples: Iterable[Sample]) -> dict[str, Any]:
    """Return what run.json says about the generation: sums over all calls, those of interrupted starts included.

    Args:
        run: The run folder.
        samples: The run's finished samples.
    """
    calls = list(_read_calls(run))
    sizes = [call["images"] for call in calls]
    usage: Counter[str] = Counter()
    peaks: dict[str, int] = {}
    for call in calls:
        usage.update(call["usage"])
        for name, peak in call["peak_bytes"].items():
            peaks[name] = max(peak, peaks.get(name, 0))
    seconds, images = sum(call["seconds"] for call in calls), sum(sizes)
    return {
        "calls": len(calls),
        "images": images,
        "largest_batch": max(sizes, default=0),
        "seconds": round(seconds, 3),
        "seconds_per_image": round(seconds / images, 6) if images else None,
        "peak_bytes": dict(sorted(peaks.items())),
        "usage": {name: round(value, 6) for name, value in sorted(usage.items())},
        "remarks": _current_remarks(calls, samples),
    }


def generation_notes(generation: Mapping[str, Any]) -> list[str]:
    """Return what a reader of the scores has to know about the images, from `summarise_calls`."""
    remarks = generation.get("remarks", [])
    if not remarks:
        return []
    kinds = Counter(str(row["remark"]).partition(":")[0] for row in remarks)
    counts = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
    ids = ", ".join(dict.fromkeys(str(row["prompt_id"]) for row in remarks[:5]))
    more = ", ..." if len(remarks) > 5 else ""
    return [
        f"{len(remarks)} image(s) are blank and count as they are: {counts} (prompts {ids}{more}); "
        "generation.remarks in run.json lists them"
    ]


def peak_memory() -> dict[str, int]:
    """Return the highest memory use so far in bytes: of the process, and allocated on all GPUs that it uses."""
    import torch

    peaks = {}
    if sys.platform != "win32":
        import resource

        # Linux counts kilobytes, macOS bytes.
        unit = 1 if sys.platform == "darwin" else 1024
        peaks["process"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        peaks["gpu"] = sum(torch.cuda.max_memory_allocated(place) for place in range(torch.cuda.device_count()))
    return peaks


def _read_calls(run: Path) -> Iterator[dict[str, Any]]:
    """Yield the calls of all ranks; a line that a power cut tore is skipped."""
    for path in sorted((run / FOLDER).glob("*.jsonl")):
        for line in path.read_bytes().split(b"\n"):
            try:
                record = json.loads(line)
            except ValueError:
                continue
            if isinstance(record, dict) and set(record) == set(Call.__dataclass_fields__):
                yield record


def _current_remarks(calls: Sequence[Mapping[str, Any]], samples: Iterable[Sample]) -> list[dict[str, Any]]:
    digests = {sample.key: sample.sha256 for sample in samples}
    latest = {
        (row["guidance_weight"], row["prompt_id"], row["index"]): row for call in calls for row in call["remarks"]
    }
    return [latest[key] for key in sorted(latest) if digests.get(key) == latest[key]["sha256"]]
