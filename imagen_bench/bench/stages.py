"""Which stages of a run are finished: one runs again when its inputs, or what it made, have changed."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from imagen_bench.files import atomic_write_text, digest_json, sha256_file


class Stages:
    """The file stages.json of a run folder: for each stage the digest of its inputs, and those of files it made.

    Attributes:
        finished_now: Names of the stages that were finished since it was read, in order.
    """

    def __init__(self, folder: Path) -> None:
        """Read what is recorded; a missing or damaged file means that nothing is finished."""
        self._folder = folder
        self._file = folder / "stages.json"
        try:
            recorded = json.loads(self._file.read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):
            recorded = {}
        stages = recorded.items() if isinstance(recorded, dict) else ()
        self.finished_now: list[str] = []
        self._stages: dict[str, Any] = {name: stage for name, stage in stages if _is_stage(stage)}

    def forget(self) -> None:
        """Take no stage as finished."""
        self._stages = {}
        self._file.unlink(missing_ok=True)

    def is_finished(self, name: str, inputs: Mapping[str, Any], outputs: Sequence[str]) -> bool:
        """True if the stage was finished with these inputs and its outputs (relative paths) are there, unchanged."""
        if self._stages.get(name, {}).get("inputs") != digest_json(dict(inputs)):
            return False
        return all((self._folder / output).exists() and not self.has_changed(output) for output in outputs)

    def has_changed(self, output: str) -> bool:
        """True if a file (relative path) is there but not as its stage made it."""
        file = self._folder / output
        made = [stage["outputs"][output] for stage in self._stages.values() if output in stage["outputs"]]
        return bool(made) and file.is_file() and sha256_file(file) not in made

    def finish(self, name: str, inputs: Mapping[str, Any], files: Sequence[str] = ()) -> None:
        """Record that a stage is finished, and the digests of files that it made (relative paths)."""
        made = {file: sha256_file(self._folder / file) for file in files}
        self.finished_now.append(name)
        self._stages[name] = {"inputs": digest_json(dict(inputs)), "outputs": made}
        atomic_write_text(self._file, json.dumps(self._stages, indent=2, sort_keys=True) + "\n")


def _is_stage(stage: Any) -> bool:
    return isinstance(stage, dict) and isinstance(stage.get("outputs"), dict)
