"""Opening generators and checking what they return."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch

from imagen_bench.config import ModelSection
from imagen_bench.errors import ConfigError, ModelError
from imagen_bench.generators.base import (
    Generator,
    SuperResolver,
    batch_size_of,
    check_images,
    generators,
    open_generator,
)


class Grey:
    name = "grey"

    def __init__(self, options: dict[str, Any]) -> None:
        self.options = options

    def describe(self) -> dict[str, Any]:
        return {"options": self.options}

    def generate(self, prompts: Sequence[str], seeds: Sequence[int], guidance_weight: float) -> torch.Tensor:
        return torch.full((len(prompts), 3, 2, 2), 128, dtype=torch.uint8)


@pytest.fixture
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generators, "_items", {})
    generators.register("grey")(lambda name, options: Grey(options))
    generators.register("nothing")(lambda name, options: None)  # type: ignore[arg-type,return-value]


@pytest.mark.usefixtures("registered")
def test_factory_gets_the_options_without_the_batch_size() -> None:
    opened = open_generator(ModelSection(name="m", generator="grey", options={"steps": 3, "batch_size": 5}))
    assert isinstance(opened, Generator)
    assert not isinstance(opened, SuperResolver)
    assert opened.describe() == {"options": {"steps": 3}}


@pytest.mark.usefixtures("registered")
def test_factory_that_returns_no_generator_is_refused() -> None:
    with pytest.raises(ModelError, match="generator 'nothing' returned NoneType"):
        open_generator(ModelSection(name="m", generator="nothing"))


def test_unknown_generator_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match="did you mean 'callable'"):
        open_generator(ModelSection(name="m", generator="calable"))


@pytest.mark.parametrize("size", [0, -1, 2.5, "8", True])
def test_batch_size_is_a_positive_whole_number(size: object) -> None:
    with pytest.raises(ConfigError, match=r"model.options.batch_size is"):
        batch_size_of(ModelSection(name="m", options={"batch_size": size}))


def test_batch_size_has_a_default() -> None:
    assert batch_size_of(ModelSection(name="m")) == 16
    assert batch_size_of(ModelSection(name="m", options={"batch_size": "auto"})) == 16


@pytest.mark.parametrize(
    ("images", "said"),
    [
        (None, "returned NoneType"),
        (torch.zeros(2, 3, 4, 4), "torch.float32 2 x 3 x 4 x 4 on cpu"),
        (torch.zeros(3, 3, 4, 4, dtype=torch.uint8), "3 x 3 x 4 x 4"),
        (torch.zeros(2, 4, 4, 3, dtype=torch.uint8), "2 x 4 x 4 x 3"),
        (torch.zeros(2, 3, 0, 4, dtype=torch.uint8), "2 x 3 x 0 x 4"),
        (torch.zeros(2, 3, 4, 4, dtype=torch.uint8, device="meta"), "on meta"),
    ],
)
def test_wrong_images_are_refused(images: object, said: str) -> None:
    with pytest.raises(ModelError, match="toy returned") as caught:
        check_images(images, 2, "toy")
    assert said in str(caught.value)
    assert "expected a uint8 CPU tensor 2 x 3 x H x W" in str(caught.value)
