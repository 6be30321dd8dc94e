"""Batches that run out of memory are halved and drawn again; "auto" grows while that pays."""

from __future__ import annotations

import itertools

import pytest
import torch

from imagen_bench.config import ModelSection
from imagen_bench.errors import ModelError
from imagen_bench.generators import batching
from imagen_bench.generators.batching import Batcher, is_out_of_memory

ROWS = list(range(23))


@pytest.fixture(autouse=True)
def freed(monkeypatch: pytest.MonkeyPatch) -> list[None]:
    """One entry each time that memory was freed; collecting garbage takes longer than everything else here."""
    times: list[None] = []
    monkeypatch.setattr(batching, "free_memory", lambda: times.append(None))
    return times


class Memory:
    """A call that fits `limit` rows at once and writes down what it was asked for."""

    def __init__(self, limit: int, error: Exception | None = None) -> None:
        self.limit, self.asked = limit, []
        self.error = error or torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20 GiB. GPU 0 has ...")

    def __call__(self, rows: slice) -> list[int]:
        self.asked.append(rows.stop - rows.start)
        if self.asked[-1] > self.limit:
            raise self.error
        return ROWS[rows]


def drawn(batcher: Batcher, call: Memory) -> list[int]:
    return [row for _, rows in batcher(len(ROWS), call) for row in rows]


@pytest.mark.parametrize(("size", "limit"), [(1, 1), (3, 1000), (8, 5), (100, 2)])
def test_every_row_is_drawn_once_and_in_order(size: int, limit: int) -> None:
    memory = Memory(limit)
    assert drawn(Batcher(size), memory) == ROWS


def test_a_batch_that_does_not_fit_is_halved_for_good(freed: list[None]) -> None:
    memory, batcher = Memory(5), Batcher(16)
    drawn(batcher, memory)
    assert len(freed) == 2
    assert memory.asked == [16, 8, 4, 4, 4, 4, 4, 3]
    assert (batcher.size, batcher.halvings) == (4, 2)


def test_a_single_row_that_does_not_fit_is_told() -> None:
    with pytest.raises(ModelError, match=r"image does not fit into memory \(CUDA out of memory\): use a smaller"):
        drawn(Batcher(4), Memory(0))


def wrapped(cause: Exception) -> Exception:
    try:
        raise ModelError("the pipeline failed") from cause
    except ModelError as error:
        return error


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError("[enforce fail at alloc_cpu.cpp:127] . DefaultCPUAllocator: can't allocate memory: you tried"),
        RuntimeError("MPS backend out of memory (MPS allocated: 17 GB)"),
        wrapped(torch.OutOfMemoryError("CUDA out of memory.")),
    ],
)
def test_all_kinds_of_shortage_are_known(error: Exception) -> None:
    assert is_out_of_memory(error)
    assert drawn(Batcher(16), Memory(4, error)) == ROWS


def test_other_errors_pass_through() -> None:
    assert not is_out_of_memory(ValueError("out of memory"))
    with pytest.raises(ZeroDivisionError):
        drawn(Batcher(16), Memory(4, ZeroDivisionError("no")))


def test_a_real_allocation_that_cannot_be_made_is_known() -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**60, dtype=torch.uint8)
    assert is_out_of_memory(caught.value)


def sizes_with(
    monkeypatch: pytest.MonkeyPatch, seconds_of: dict[int, float], count: int, limit: int = 1000
) -> list[int]:
    """Sizes of the batches that "auto" makes where a batch of a size takes these seconds."""
    clock = [0.0]
    monkeypatch.setattr(batching.time, "perf_counter", lambda: clock[0])
    sizes: list[int] = []

    def call(rows: slice) -> None:
        size = rows.stop - rows.start
        if size > limit:
            raise MemoryError
        sizes.append(size)
        clock[0] += seconds_of.get(size, size)

    batcher = Batcher.of(ModelSection(name="m", options={"batch_size": "auto"}))
    assert sum(rows.stop - rows.start for rows, _ in batcher(count, call)) == count
    return sizes


def test_auto_grows_while_images_come_faster_and_then_keeps_the_best(monkeypatch: pytest.MonkeyPatch) -> None:
    # 16 at once are 1.5 times as fast as 8, 32 no faster than 16.
    seconds = {4: 4.0, 8: 5.0, 16: 6.7, 32: 13.4}
    assert sizes_with(monkeypatch, seconds, 100) == [4, 8, 16, 32, 16, 16, 8]
    assert sizes_with(monkeypatch, {}, 20) == [4, 8, 4, 4]


def test_auto_does_not_grow_again_after_a_shortage(monkeypatch: pytest.MonkeyPatch) -> None:
    constant = dict.fromkeys(itertools.accumulate([4] * 64), 1.0)
    assert sizes_with(monkeypatch, constant, 60, limit=10) == [4, 8, 8, 8, 8, 8, 8, 8]
