"""How long the stages of a run took, kept in run.json under `durations`: what later runs are planned with."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from imagen_bench.bench.reference_pass import Extract, Extractors
    from imagen_bench.bench.run_folder import RunFolder
    from imagen_bench.data.references import ImageSet
    from imagen_bench.metrics.feature_pass import Features

KEY = "durations"


@dataclass
class Spent:
    """What a stage did.

    Attributes:
        items: Images, scores or outputs.
        seconds: Time of all workers together: wall-clock time times their number.
    """

    items: int = 0
    seconds: float = 0.0

    @property
    def each(self) -> float | None:
        """Seconds of one worker for one item; None where nothing was done."""
        return self.seconds / self.items if self.items else None


class Durations:
    """Collects what the stages of this start took, then adds it to what earlier starts took."""

    def __init__(self) -> None:
        self._spent: dict[str, Spent] = {}

    def add(self, stage: str, items: int, seconds: float, workers: int = 1) -> None:
        """Add what a stage did; nothing where it did nothing."""
        if items:
            spent = self._spent.setdefault(stage, Spent())
            spent.items += items
            spent.seconds += seconds * workers

    @contextmanager
    def timing(self, stage: str, workers: int = 1) -> Iterator[Callable[[int], None]]:
        """Time a stage; yields what is told how many items it did."""
        items, started = [0], time.perf_counter()

        def did(more: int) -> None:
            items[0] += more

        yield did
        self.add(stage, items[0], time.perf_counter() - started, workers)

    def of_extraction(self, extract: Extract, stage: str, workers: int = 1) -> Extract:
        """Return the same extraction, timed."""

        def timed(
            images: ImageSet, extractors: Extractors, batch_size: int, tell: Callable[[int], object]
        ) -> Iterator[dict[str, Features]]:
            with self.timing(stage, workers) as did:
                yield from extract(images, extractors, batch_size, tell)
                did(len(images))

        return timed

    def write(self, folder: RunFolder) -> None:
        """Add everything to the run's record, once."""
        if not self._spent:
            return
        before = read_durations(folder.run)
        for stage, spent in self._spent.items():
            earlier = before.get(stage, Spent())
            before[stage] = Spent(earlier.items + spent.items, earlier.seconds + spent.seconds)
        folder.run[KEY] = {
            stage: {"items": spent.items, "seconds": round(spent.seconds, 3)} for stage, spent in before.items()
        }
        folder.write_run()
        self._spent = {}


def read_durations(record: Mapping[str, Any]) -> dict[str, Spent]:
    """Return what run.json says about the stages; entries that are no numbers are left out."""
    found = record.get(KEY)
    return {
        str(stage): Spent(entry["items"], float(entry["seconds"]))
        for stage, entry in (found.items() if isinstance(found, dict) else ())
        if isinstance(entry, dict)
        and isinstance(entry.get("items"), int)
        and isinstance(entry.get("seconds"), int | float)
        and entry["items"] > 0
        and entry["seconds"] >= 0
    }
