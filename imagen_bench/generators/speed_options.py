"""How fast a model runs: its number format and compilation, as options of several generators."""

from __future__ import annotations

from typing import TYPE_CHECKING

from imagen_bench.errors import ConfigError
from imagen_bench.suggest import did_you_mean

if TYPE_CHECKING:
    import torch

DTYPES = ("float32", "bfloat16", "float16")
_SHORT = {"fp32": "float32", "bf16": "bfloat16", "fp16": "float16"}


def dtype_name(name: str) -> str:
    """Return the full name of a number format: "bf16" is "bfloat16".

    Raises:
        ValueError: It is none of float32, bfloat16 and float16.
    """
    full = _SHORT.get(name, name)
    if full not in DTYPES:
        raise ValueError(f"unknown dtype {name!r}: {did_you_mean(name, [*DTYPES, *_SHORT])}")
    return full


def torch_dtype(name: str) -> torch.dtype:
    """Return torch's dtype of a name that `dtype_name` accepts."""
    import torch

    dtype: torch.dtype = getattr(torch, dtype_name(name))
    return dtype


def compile_network(network: torch.nn.Module, how: bool | str) -> None:
    """Have a network compiled when it is first called.

    Args:
        network: Compiled in place; its parameters keep their names.
        how: False for not at all, True for torch's default backend, or the name of a backend.

    Raises:
        ConfigError: There is no such backend.
    """
    if how is False:
        return
    import torch

    if how is True:
        network.compile()
        return
    backends = torch.compiler.list_backends(exclude_tags=())
    if how not in backends:
        raise ConfigError(f"model.options.compile is {how!r}: {did_you_mean(how, backends)}; or true")
    network.compile(backend=how)
