"""Reading weights files safely, and saying in one line what is wrong with one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imagen_bench.errors import ModelError

if TYPE_CHECKING:
    import torch

_SHOWN = 3


def load_state_dict(path: Path, what: str, name: str) -> dict[str, torch.Tensor]:
    """Read a state dict from safetensors, or from `torch.save` without running any code of the file.

    Args:
        path: The file.
        what: The network, for messages: "the FID Inception network".
        name: Its name in `imagen-bench weights`.

    Raises:
        ModelError: No such file, a broken one, one that holds code or pickled objects, or no state dict.
    """
    import torch
    from safetensors.torch import load_file

    advice = f"expected a plain state dict of {what}; fetch it with `imagen-bench weights pull {name}`"
    if not path.is_file():
        raise ModelError(f"no weights file {str(path)!r}: {advice}")
    try:
        if path.suffix == ".safetensors":
            state: Any = load_file(path)
        else:
            state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        # safetensors, zip, pickle and torch each raise their own, torch with many lines of advice to load unsafely.
        raise ModelError(
            f"{str(path)!r} is no weights file that can be read safely ({type(error).__name__}): {advice}"
        ) from error
    if not isinstance(state, Mapping) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise ModelError(f"{str(path)!r} holds a {type(state).__name__} of other things than tensors: {advice}")
    return dict(state)


def misfit(
    path: Path, state: Mapping[str, torch.Tensor], wanted: Mapping[str, tuple[int, ...]], what: str, name: str
) -> None:
    """Check that a state dict has just the tensors of a network.

    Raises:
        ModelError: Names the first tensor that is missing, too many, or of another shape.
    """
    problems = [f"no tensor {key!r}" for key in wanted if key not in state]
    problems += [f"a foreign tensor {key!r}" for key in state if key not in wanted]
    problems += [
        f"{key!r} of shape {tuple(state[key].shape)} where {shape} is expected"
        for key, shape in wanted.items()
        if key in state and tuple(state[key].shape) != shape
    ]
    if problems:
        more = f" and {len(problems) - _SHOWN} more" if len(problems) > _SHOWN else ""
        raise ModelError(
            f"{str(path)!r} does not hold the weights of {what}: {'; '.join(problems[:_SHOWN])}{more}; give its own "
            f"file, or fetch it with `imagen-bench weights pull {name}`"
        )
