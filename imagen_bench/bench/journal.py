"""The journal of a run: one JSON line for each finished image, appended and synced batch by batch.

A power cut or SIGKILL can tear the last line only; a line that is not whole is no sample. Each worker appends
to its own file, `journal/<rank>.jsonl`, so that workers never share one.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from imagen_bench.files import atomic_write_text


@dataclass(frozen=True)
class Sample:
    """One generated image: what it was made from, where it is (relative to the run folder) and its digest.

    `seconds` is the time of its batch divided by the batch's size: the one field that differs when a run is
    repeated.
    """

    prompt_id: str
    prompt: str
    category: str
    index: int
    seed: int
    guidance_weight: float
    path: str
    sha256: str
    seconds: float

    @property
    def key(self) -> tuple[float, str, int]:
        """What identifies the sample within its run: (guidance weight, prompt id, index)."""
        return self.guidance_weight, self.prompt_id, self.index


SAMPLE_COLUMNS = tuple(field.name for field in fields(Sample))
_TYPES = {
    "prompt_id": str,
    "prompt": str,
    "category": str,
    "index": int,
    "seed": int,
    "guidance_weight": float,
    "path": str,
    "sha256": str,
    "seconds": float,
}


def append_samples(folder: Path, samples: Sequence[Sample], rank: int = 0) -> None:
    """Append `samples` to `folder`/`rank`.jsonl and sync; a torn tail is cut off first."""
    append_lines(folder / f"{rank}.jsonl", [asdict(sample) for sample in samples])


def write_samples(path: Path, samples: Iterable[Sample]) -> None:
    """Write a whole journal file atomically."""
    lines = (json.dumps(asdict(sample), ensure_ascii=False) + "\n" for sample in samples)
    atomic_write_text(path, "".join(lines))


def append_lines(path: Path, records: Sequence[Mapping[str, Any]]) -> None:
    """Append a JSON line for each record and sync; a torn tail is cut off first, and missing folders are made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records)
    is_new = not path.exists()
    with path.open("a+b") as file:
        _cut_torn_tail(file.fileno())
        file.write(lines.encode())
        file.flush()
        os.fsync(file.fileno())
    if is_new:
        descriptor = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def read_samples(folder: Path) -> Iterator[Sample]:
    """Yield the samples of all journal files of `folder`, in file and line order; skip damaged lines."""
    for path in sorted(folder.glob("*.jsonl")):
        for line in path.read_bytes().split(b"\n"):
            sample = _parse(line)
            if sample is not None:
                yield sample


def _parse(line: bytes) -> Sample | None:
    try:
        values: Any = json.loads(line)
    except ValueError:
        return None
    if not isinstance(values, dict) or set(values) != set(SAMPLE_COLUMNS):
        return None
    if isinstance(values["guidance_weight"], int):
        values["guidance_weight"] = float(values["guidance_weight"])
    if not all(isinstance(values[name], kind) for name, kind in _TYPES.items()):
        return None
    return Sample(**values)


def _cut_torn_tail(descriptor: int) -> None:
    """Truncate a file to its last line end."""
    size = os.fstat(descriptor).st_size
    end = size
    while end > 0:
        start = max(0, end - 65536)
        newline = os.pread(descriptor, end - start, start).rfind(b"\n")
        if newline >= 0:
            end = start + newline + 1
            break
        end = start
    if end != size:
        os.ftruncate(descriptor, end)
