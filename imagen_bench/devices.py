"""Where torch computes, by name, and how the process keeps memory for it."""

from __future__ import annotations

import ctypes
import sys
from typing import TYPE_CHECKING

from imagen_bench.errors import ConfigError

if TYPE_CHECKING:
    import torch

AUTO = "auto"
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # names and numbers of glibc's malloc.h


def open_device(name: str, option: str = "device") -> torch.device:
    """Return a torch device that is there.

    Args:
        name: "cpu", "cuda", "cuda:1"..., or "auto" for CUDA where there is one, else the CPU. Under torchrun, "cuda" is
            the GPU of the process.
        option: What the user set, for the message.

    Raises:
        ConfigError: The device is not there, or it is no device's name.
    """
    import torch

    if name == AUTO:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        torch.zeros(0, device=name)
        return torch.device(name)
    except (RuntimeError, AssertionError) as error:
        first = str(error).splitlines()[0].rstrip(".")
        raise ConfigError(f"{option} is {name!r}: {first}; use auto, cpu or a device that is here") from error


def keep_freed_memory() -> bool:
    """Have the C library keep 256 MiB of freed memory for the next tensors; returns whether it could.

    By default glibc gives back to the system what exceeds 64 MiB or less, and every page of it is cleared again when
    the next layer asks: about 7 % of a network's forward pass on a CPU. The `imagen-bench` command does this itself;
    call it once before your own program's first tensors. Does nothing where the C library is another one.
    """
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    # Setting one ends the automatic choice of the other: 32 MiB is the largest that glibc itself would choose.
    return all([mallopt(_M_MMAP_THRESHOLD, 32 << 20), mallopt(_M_TRIM_THRESHOLD, 256 << 20)])
