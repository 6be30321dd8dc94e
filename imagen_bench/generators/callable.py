"""The `callable` generator: benchmark any Python function without writing a plug-in.

    [model]
    name = "my-model"
    generator = "callable"
    options = { target = "my_package.my_module:sample" }

The function is called as `sample(prompts, seeds, guidance_weight)` with two lists of equal length and a
float, and returns one RGB image for each prompt: a uint8 tensor or array N x 3 x H x W, or a list of N PIL
images of one size. The module is looked for on Python's path and in the current directory.
"""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imagen_bench.errors import ConfigError, ModelError
from imagen_bench.files import sha256_file
from imagen_bench.generators.base import check_images, generators

if TYPE_CHECKING:
    import torch

SampleFunction = Callable[[list[str], list[int], float], Any]


class CallableGenerator:
    """A function (prompts, seeds, guidance_weight) -> images, as a generator."""

    def __init__(self, name: str, target: str) -> None:
        """Import `target`, written "package.module:function".

        Raises:
            ModelError: The module or the function cannot be imported, or the function does not take three
                arguments.
        """
        self.name = name
        self.target = target
        self._function = _import_function(target)

    def describe(self) -> dict[str, Any]:
        """Name the function and the SHA-256 of its file: an edited model does not continue an old run."""
        return {
            "generator": "callable",
            "name": self.name,
            "target": self.target,
            "source": _source(self._function),
        }

    def generate(self, prompts: Sequence[str], seeds: Sequence[int], guidance_weight: float) -> torch.Tensor:
        """Call the function and check what it returned.

        Raises:
            ModelError: The function failed, or did not return one uint8 RGB image for each prompt.
        """
        source = f"callable '{self.target}'"
        try:
            returned = self._function(list(prompts), list(seeds), guidance_weight)
        except Exception as error:
            raise ModelError(f"{source} failed: {type(error).__name__}: {error}; --debug shows where") from error
        return check_images(_returned_to_tensor(returned, source), len(prompts), source)


@generators.register("callable")
def open_callable(name: str, options: dict[str, Any]) -> CallableGenerator:
    """Use a Python function, `options.target`, as a model.

    Raises:
        ConfigError: `target` is missing or not of the form "package.module:function", or there is an unknown
            option.
    """
    unknown = sorted(set(options) - {"target"})
    if unknown:
        raise ConfigError(f"generator 'callable' has no option '{unknown[0]}'; it takes target and batch_size")
    target = options.get("target")
    if not isinstance(target, str) or not all(target.partition(":")):
        raise ConfigError(f'model.options.target is {target!r}, expected "package.module:function"')
    return CallableGenerator(name, target)


def _import_function(target: str) -> SampleFunction:
    module_name, _, function_name = target.partition(":")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.append(here)
    try:
        module = importlib.import_module(module_name)
    except Exception as error:
        raise ModelError(
            f"callable '{target}': module '{module_name}' does not import ({type(error).__name__}: {error}); "
            "give package.module:function as seen from the current directory or the installed packages"
        ) from error
    function = getattr(module, function_name, None)
    if not callable(function):
        raise ModelError(f"callable '{target}': module '{module_name}' has no function '{function_name}'")
    try:
        inspect.signature(function).bind([], [], 1.0)
    except TypeError as error:
        raise ModelError(
            f"callable '{target}' does not take (prompts, seeds, guidance_weight): {error}; change its signature"
        ) from error
    return function  # type: ignore[no-any-return]


def _source(function: SampleFunction) -> str | None:
    try:
        path = inspect.getsourcefile(function)
    except TypeError:
        return None
    return f"sha256:{sha256_file(Path(path))}" if path and Path(path).is_file() else None


def _returned_to_tensor(returned: object, source: str) -> object:
    """Turn an array or a list of PIL images into a tensor; leave everything else to the check."""
    import numpy as np
    import torch
    from PIL import Image

    from imagen_bench.images import from_pil

    if isinstance(returned, np.ndarray):
        if returned.dtype != np.uint8:
            raise ModelError(f"{source} returned a {returned.dtype} array, expected uint8 values 0 to 255")
        return torch.from_numpy(returned.copy())
    if isinstance(returned, (list, tuple)):
        if not returned or not all(isinstance(image, Image.Image) for image in returned):
            raise ModelError(f"{source} returned a {type(returned).__name__} that is not of PIL images")
        sizes = sorted({image.size for image in returned})
        if len(sizes) > 1:
            raise ModelError(f"{source} returned images of sizes {sizes}, expected one size")
        return torch.stack([from_pil(image) for image in returned])
    return returned.cpu() if isinstance(returned, torch.Tensor) else returned
