"""The pass over the images of a reference set: by one process, or by all workers of a run.

The main worker knows what the cache lacks and sums up; every worker extracts. Batches hold the same images whoever
extracts them, and come back in the order of the images, so that moments are byte-identical for any number of workers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from imagen_bench.errors import InputError
from imagen_bench.workers import Workers

if TYPE_CHECKING:
    from imagen_bench.data.references import ImageSet
    from imagen_bench.metrics.extractors import ImageExtractor
    from imagen_bench.metrics.feature_pass import Features

    Extractors = Mapping[str, ImageExtractor]
    Extract = Callable[[ImageSet, Extractors, int, Callable[[int], object]], Iterator[dict[str, Features]]]
    """Yields the features of an image set by space, batch by batch, and tells how many images came since it last did.

    Arguments are the images, the extractors by space, the images a batch, and what is told.
    """

# Batches that a worker claims at once, and claims of each worker between two meetings: the main worker holds the
# features of one meeting, whatever the size of the set.
_BATCHES_A_CLAIM = 4
_CLAIMS_A_MEETING = 16


def extract_alone(
    images: ImageSet, extractors: Extractors, batch_size: int, tell: Callable[[int], object]
) -> Iterator[dict[str, Features]]:
    """Extract in this process."""
    from imagen_bench.metrics.feature_pass import FeaturePass

    for batch in FeaturePass(extractors).features(images.decoders(), batch_size):
        tell(len(next(iter(batch.values()))))
        yield batch


class SharedPass:
    """Extracts with all workers; for the main one, whose peers are in `help_main`.

    Args:
        workers: The processes that share the work.
    """

    def __init__(self, workers: Workers) -> None:
        self._workers = workers

    def __call__(
        self, images: ImageSet, extractors: Extractors, batch_size: int, tell: Callable[[int], object]
    ) -> Iterator[dict[str, Features]]:
        """Extract as `extract_alone` does, all of it."""
        task = _Task(len(images), tuple(images.hashes), tuple(extractors), batch_size)
        self._workers.from_main(lambda: task)
        yield from _meetings(self._workers, task, images, extractors, tell)

    def finish(self) -> None:
        """Let the others go on."""
        self._workers.from_main(lambda: None)


def help_main(
    workers: Workers, open_images: Callable[[], ImageSet | None], open_extractors: Callable[[], Extractors]
) -> None:
    """Extract what the main worker asks for, until it asks for no more.

    Args:
        workers: The processes that share the work; this is not the main one.
        open_images: Opens the reference set; called if anything is asked for.
        open_extractors: Opens extractors by space, likewise.

    Raises:
        InputError: This worker sees other images than the main one.
    """
    while (task := workers.from_main(_nothing)) is not None:
        images, extractors = open_images(), open_extractors()
        if images is None or len(images) != task.n:
            found = "none" if images is None else f"{len(images):,}"
            raise InputError(
                f"worker {workers.rank} sees {found} of the {task.n:,} reference images that the first worker sees: "
                "put the reference set where all nodes see it"
            )
        _refuse_changed(images, task)
        for _ in _meetings(workers, task, images, {space: extractors[space] for space in task.spaces}, _ignore):
            pass


@dataclass(frozen=True)
class _Task:
    """What to extract: the number of images and their SHA-256, the spaces, and the images a batch."""

    n: int
    hashes: tuple[str, ...]
    spaces: tuple[str, ...]
    batch_size: int


def _nothing() -> _Task | None:
    return None


def _ignore(_: int) -> None:
    return None


def _refuse_changed(images: ImageSet, task: _Task) -> None:
    """Compare the images with the main worker's: now where their hashes are known, else when they are read."""
    from imagen_bench.data.references import HashedOnUse

    if isinstance(images, HashedOnUse):
        images.remember(task.hashes)
    if images.hashes != task.hashes:
        raise InputError("the workers see different reference images: put the set where all nodes see it")


def _meetings(
    workers: Workers, task: _Task, images: ImageSet, extractors: Extractors, tell: Callable[[int], object]
) -> Iterator[dict[str, Features]]:
    """Extract what this worker claims; in the main worker, yield the batches of all in the order of the images."""
    extract = _Claims(task, images, extractors)
    count, told = workers.counter(), 0
    claims = -(-task.n // (_BATCHES_A_CLAIM * task.batch_size))
    meeting = _CLAIMS_A_MEETING * workers.count
    for first in range(0, claims, meeting):
        found: list[tuple[int, Sequence[dict[str, Features]]]] = []
        for offset in workers.claim(min(meeting, claims - first)):
            batches = extract(first + offset)
            found.append((first + offset, batches))
            there = count(sum(len(next(iter(batch.values()))) for batch in batches))
            tell(there - told)
            told = there
        gathered = sorted((item for items in workers.gather(found) for item in items), key=lambda item: item[0])
        yield from (batch for _, batches in gathered for batch in batches)
    tell(task.n - told)


class _Claims:
    """Extracts the images of one claim after another; claims rise, so that one reading of the set serves them all."""

    def __init__(self, task: _Task, images: ImageSet, extractors: Extractors) -> None:
        from imagen_bench.metrics.feature_pass import FeaturePass

        self._size = _BATCHES_A_CLAIM * task.batch_size
        self._batch_size = task.batch_size
        self._pass = FeaturePass(extractors)
        self._decoders = images.decoders()
        self._place = 0

    def __call__(self, place: int) -> list[dict[str, Features]]:
        for _ in islice(self._decoders, (place - self._place) * self._size):
            pass
        self._place = place + 1
        return list(self._pass.features(islice(self._decoders, self._size), self._batch_size))
