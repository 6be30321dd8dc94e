"""Batch sizes that fit: a batch that runs out of memory is halved and drawn again; "auto" grows while that pays.

No image depends on its batch, so the sizes that were found change nothing but time and memory.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, TypeVar

from imagen_bench.errors import ModelError
from imagen_bench.generators.base import AUTO, batch_size_of

if TYPE_CHECKING:
    from imagen_bench.config import ModelSection

T = TypeVar("T")
FIRST_SIZE, LARGEST_SIZE = 4, 256
"""Where "auto" starts, and where it stops growing."""

MIN_GAIN = 1.1
"""A batch of twice the size stays only if it makes images at least this much faster."""


class Batcher:
    """Runs a call over rows in batches of a size that fits into memory.

    Args:
        size: Rows of the first batches.
        grow: Double the size after a full batch as long as that makes the rows at least a tenth faster.

    Attributes:
        size: Rows of the next batch; after a batch that ran out of memory, half of what it was.
        halvings: How often that happened.
    """

    def __init__(self, size: int, grow: bool = False) -> None:
        self.size, self.halvings = size, 0
        self._grow = grow
        self._best = 0.0

    @classmethod
    def of(cls, section: ModelSection) -> Batcher:
        """The batch size that a config asks for.

        Raises:
            ConfigError: It is neither a number nor "auto".
        """
        size = batch_size_of(section)
        grow = section.options.get("batch_size") == AUTO
        return cls(FIRST_SIZE if grow else size, grow)

    @property
    def grows(self) -> bool:
        """Whether the size is still being sought."""
        return self._grow

    def __call__(self, count: int, call: Callable[[slice], T]) -> Iterator[tuple[slice, T]]:
        """Cut `count` rows into batches and yield each with what `call` returned for it.

        Raises:
            ModelError: Even a single row runs out of memory.
        """
        start = 0
        while start < count:
            rows = slice(start, min(start + self.size, count))
            started, shortage = time.perf_counter(), None
            try:
                result = call(rows)
            except Exception as error:
                if not is_out_of_memory(error):
                    raise
                shortage = " ".join(str(error).split()).partition(". ")[0] or type(error).__name__
            if shortage is not None:
                # Outside the handler: the error's frames hold the tensors of the failed batch.
                self._shrink(rows.stop - rows.start, shortage)
                continue
            self._adapt(rows.stop - rows.start, time.perf_counter() - started)
            start = rows.stop
            yield rows, result

    def _shrink(self, size: int, shortage: str) -> None:
        if size == 1:
            raise ModelError(
                f"a single image does not fit into memory ({shortage}): use a smaller dtype, offload, smaller images "
                "or another device"
            )
        self.size, self.halvings, self._grow = max(1, size // 2), self.halvings + 1, False
        free_memory()

    def _adapt(self, rows: int, seconds: float) -> None:
        """Grow after a full batch that was clearly faster a row than the best so far; else keep to the last size."""
        if not self._grow or rows < self.size:
            return
        speed = rows / max(seconds, 1e-9)
        if speed < self._best * MIN_GAIN:
            self.size, self._grow = max(1, self.size // 2), False
            return
        self._best = speed
        if self.size * 2 <= LARGEST_SIZE:
            self.size *= 2


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error, or one that it was raised from, says that memory ran out."""
    import torch

    cause: BaseException | None = error
    while cause is not None:
        said = str(cause).lower()
        if isinstance(cause, (MemoryError, torch.OutOfMemoryError)):
            return True
        if isinstance(cause, RuntimeError) and ("out of memory" in said or "can't allocate memory" in said):
            return True
        cause = cause.__cause__
    return False


def free_memory() -> None:
    """Drop what nothing refers to, and hand cached GPU memory back."""
    import torch

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
