"""The examples of docs/generators.md are accepted by the generators that they are for."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from imagen_bench.config import ModelSection, validate
from imagen_bench.generators.base import batch_size_of
from imagen_bench.generators.bundled_options import read_options as read_bundled
from imagen_bench.generators.diffusers_options import read_options as read_diffusers
from imagen_bench.generators.folder import FolderOptions
from imagen_bench.generators.openai_images import EndpointOptions

TEXT = (Path(__file__).parents[1] / "docs" / "generators.md").read_text(encoding="utf-8")
READERS: dict[str, Callable[[dict[str, Any]], object]] = {
    "bundled": lambda options: read_bundled(options, ["base", "sr256"]),
    "callable": lambda options: options["target"],
    "diffusers": read_diffusers,
    "folder": lambda options: validate(FolderOptions, options, "docs"),
    "openai-images": lambda options: validate(EndpointOptions, options, "docs"),
}


def examples(section: str, language: str) -> list[str]:
    (text,) = re.findall(rf"^## {section}\n(.*?)(?=^## |\Z)", TEXT, flags=re.MULTILINE | re.DOTALL)
    return re.findall(rf"^```{language}\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("generator", READERS)
def test_configurations_are_valid(generator: str) -> None:
    found = [tomllib.loads(example)["model"] for example in examples(generator, "toml")]
    assert found
    for table in found:
        model = validate(ModelSection, table, "docs/generators.md")
        assert model.generator == generator
        batch_size_of(model)
        READERS[generator]({key: value for key, value in model.options.items() if key != "batch_size"})


def test_the_function_draws() -> None:
    (source,) = examples("callable", "python")
    namespace: dict[str, Any] = {}
    exec(source, namespace)
    assert namespace["sample"](["a", "b"], [1, 2], 1.0).shape == (2, 3, 64, 64)
    assert namespace["sample"](["a"], [2], 1.0).dtype == torch.uint8


def test_the_plug_in_is_that_of_the_tests() -> None:
    entry = examples("A generator of your own package", "toml")[0].strip()
    project = Path(__file__).parent / "toys" / "plugin_package" / "pyproject.toml"
    assert entry in project.read_text(encoding="utf-8")
