"""Where torch computes, by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from imagen_bench.errors import ConfigError

if TYPE_CHECKING:
    import torch

AUTO = "auto"


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
