"""Where extractors compute, and at which precision: scores of a GPU are those of a CPU."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from imagen_bench.errors import ModelError


def torch_device(device: str) -> torch.device:
    """Return a torch device by name; "auto" is CUDA where there is one.

    Raises:
        ModelError: No such device.
    """
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        return torch.device(device)
    except RuntimeError as error:
        raise ModelError(f"unknown device {device!r}: expected auto, cpu or cuda") from error


@contextmanager
def full_float32() -> Iterator[None]:
    """Keep CUDA convolutions from rounding to TF32, which they do by default: scores are those of the CPU."""
    with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False):
        yield
