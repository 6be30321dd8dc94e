"""Which stages of a run are finished, and from what: a stage runs again only when its inputs have changed."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from imagen_bench.files import atomic_write_text, digest_json


class Stages:
    """The file stages.json of a run folder: stage name to the digest of the inputs it was finished with."""

    def __init__(self, folder: Path) -> None:
        """Read what is recorded; a missing or damaged file means that nothing is finished."""
        self._folder = folder
        self._file = folder / "stages.json"
        try:
            recorded = json.loads(self._file.read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):
            recorded = {}
        self._digests: dict[str, Any] = recorded if isinstance(recorded, dict) else {}

    def forget(self) -> None:
        """Take no stage as finished."""
        self._digests = {}
        self._file.unlink(missing_ok=True)

    def is_finished(self, name: str, inputs: Mapping[str, Any], outputs: Sequence[str]) -> bool:
        """True if the stage was finished with these inputs and its outputs (relative paths) are there."""
        same = self._digests.get(name) == digest_json(dict(inputs))
        return same and all((self._folder / output).exists() for output in outputs)

    def finish(self, name: str, inputs: Mapping[str, Any]) -> None:
        """Record that a stage is finished."""
        self._digests[name] = digest_json(dict(inputs))
        atomic_write_text(self._file, json.dumps(self._digests, indent=2, sort_keys=True) + "\n")
