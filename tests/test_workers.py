"""What a worker says when another one ended."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch.distributed

from imagen_bench.errors import WorkerError
from imagen_bench.workers import Workers

CALLS: dict[str, Callable[[Workers], Any]] = {
    "broadcast_object_list": lambda worker: worker.from_main(lambda: 1),
    "gather_object": lambda worker: worker.gather(1),
    "all_reduce": lambda worker: worker.add_up(torch.zeros(1)),
    "barrier": lambda worker: worker.wait(),
}


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize(
    ("said", "raised"),
    [
        ("[gloo/transport/tcp/pair.cc:561] Connection closed by peer [127.0.0.1]:11446", WorkerError),
        ("Socket Timeout", WorkerError),
        ("CUDA out of memory", RuntimeError),
    ],
)
def test_a_lost_connection_is_one_line(
    monkeypatch: pytest.MonkeyPatch, name: str, said: str, raised: type[Exception]
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError(said)

    monkeypatch.setattr(torch.distributed, name, fail)
    with pytest.raises(raised) as caught:
        CALLS[name](Workers(rank=1, count=2))
    if raised is WorkerError:
        assert str(caught.value) == "another worker ended, and this one with it: its own message says why"
