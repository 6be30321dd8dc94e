"""The processes that share a job: those that torchrun started, or this one alone.

    torchrun --nproc-per-node 8 -m imagen_bench run CONFIG

They talk through torch.distributed: gloo on the CPU, and NCCL beside it where GPUs are. A worker that dies takes the
others with it (torchrun ends them); starting again continues from what is on disk.
"""

from __future__ import annotations

import atexit
import itertools
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache
from typing import Any, TypeVar

from imagen_bench.errors import ConfigError, WorkerError

T = TypeVar("T")
# Workers wait for each other through whole stages; a dead one is torchrun's to notice, not a timer's.
_PATIENCE = timedelta(days=30)


@dataclass(frozen=True)
class Workers:
    """This process among its peers; the default is a process alone.

    Attributes:
        rank: Place of this process, from 0.
        count: Number of processes.
        store: Key-value store that all of them see; None alone.
    """

    rank: int = 0
    count: int = 1
    store: Any = None
    _claims: Iterator[int] = field(default_factory=itertools.count, repr=False)

    @property
    def is_main(self) -> bool:
        """Whether this is the process that writes what there is one of."""
        return self.rank == 0

    @property
    def alone(self) -> bool:
        """Whether there are no others."""
        return self.count == 1

    def claim(self, total: int) -> Iterator[int]:
        """Yield places of range(total), each to one worker, as it asks for the next.

        So a slow worker gets fewer. All workers have to start the same claims in the same order.
        """
        key = f"claim/{next(self._claims)}"
        if self.store is None:
            yield from range(total)
            return
        while (place := self.store.add(key, 1) - 1) < total:
            yield place

    def counter(self) -> Callable[[int], int]:
        """Return a function that adds to a sum of all workers and returns it; counters as claims, in one order."""
        key, mine = f"count/{next(self._claims)}", [0]

        def add(more: int) -> int:
            mine[0] += more
            return mine[0] if self.store is None else int(self.store.add(key, more))

        return add

    def from_main(self, make: Callable[[], T]) -> T:
        """Return what `make` returns in the main process, in every process.

        Where it fails, the other processes wait until torchrun ends them.
        """
        if self.alone:
            return make()
        import torch.distributed as dist

        box: list[Any] = [make() if self.is_main else None]
        with _others_are_there():
            dist.broadcast_object_list(box, src=0)
        made: T = box[0]
        return made

    def gather(self, item: T) -> list[T]:
        """Return the items of all workers by rank in the main process; an empty list in the others."""
        if self.alone:
            return [item]
        import torch.distributed as dist

        items: list[Any] | None = [None] * self.count if self.is_main else None
        with _others_are_there():
            dist.gather_object(item, items, dst=0)
        return items or []

    def add_up(self, values: Any) -> None:
        """Replace a CPU tensor by its sum over all workers."""
        if not self.alone:
            import torch.distributed as dist

            with _others_are_there():
                dist.all_reduce(values)

    def wait(self) -> None:
        """Return when every worker has called it."""
        if not self.alone:
            import torch.distributed as dist

            with _others_are_there():
                dist.barrier()


@contextmanager
def _others_are_there() -> Iterator[None]:
    """Tell in a line that a worker is gone, instead of in those of the transport.

    Raises:
        WorkerError: A connection to another worker ended.
    """
    try:
        yield
    except RuntimeError as error:
        said = str(error).lower()
        if "connection" not in said and "socket" not in said:
            raise
        raise WorkerError("another worker ended, and this one with it: its own message says why") from error


def join_workers() -> Workers:
    """Meet the processes that torchrun started beside this one; alone without torchrun.

    Each process takes the GPU of its local rank as "cuda", where there are any.

    Raises:
        ConfigError: torchrun's environment is incomplete.
    """
    names = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")
    given = [os.environ.get(name) for name in names]
    if given[1] is None or given[1] == "1":
        return Workers()
    missing = [name for name, value in zip(names, given, strict=True) if value is None]
    if missing:
        raise ConfigError(
            f"WORLD_SIZE is {given[1]} but {missing[0]} is not set: start with torchrun, or unset WORLD_SIZE"
        )
    return _join(tuple(str(value) for value in given))


@cache
def _join(environment: Sequence[str]) -> Workers:
    import torch
    import torch.distributed

    dist: Any = torch.distributed  # whose stores are not in its type stubs
    backend = "gloo"
    if torch.cuda.is_available():
        torch.cuda.set_device(int(environment[2]) % torch.cuda.device_count())
        if dist.is_nccl_available():
            backend = "cpu:gloo,cuda:nccl"
    store, rank, count = next(iter(dist.rendezvous("env://")))
    store.set_timeout(_PATIENCE)
    group = dist.PrefixStore("group", store)
    dist.init_process_group(backend, store=group, rank=rank, world_size=count, timeout=_PATIENCE)
    atexit.register(dist.destroy_process_group)
    return Workers(rank, count, dist.PrefixStore("imagen-bench", store))
