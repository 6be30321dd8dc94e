"""A user's function as a generator: what it may return and which mistakes are told."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from imagen_bench.config import ModelSection
from imagen_bench.errors import ConfigError, ModelError
from imagen_bench.generators.base import Generator, open_generator

MODULE = """
import numpy as np, torch
from PIL import Image

def _pixels(seeds):
    return np.stack([np.full((3, 4, 6), seed % 256, dtype=np.uint8) for seed in seeds])

def array(prompts, seeds, guidance_weight):
    return _pixels(seeds)

def read_only(prompts, seeds, guidance_weight):
    pixels = _pixels(seeds)
    pixels.flags.writeable = False
    return pixels

def tensor(prompts, seeds, guidance_weight):
    return torch.from_numpy(_pixels(seeds))

def pictures(prompts, seeds, guidance_weight):
    return [Image.fromarray(image.transpose(1, 2, 0)) for image in _pixels(seeds)]

def sizes(prompts, seeds, guidance_weight):
    return [Image.new("RGB", (4, 4 + place)) for place in range(len(seeds))]

def floats(prompts, seeds, guidance_weight):
    return _pixels(seeds) / 255

def too_few(prompts, seeds, guidance_weight):
    return _pixels(seeds)[:-1]

def words(prompts, seeds, guidance_weight):
    return prompts

def broken(prompts, seeds, guidance_weight):
    raise ZeroDivisionError("w")

def two_arguments(prompts, seeds):
    pass

number = 3
"""


@pytest.fixture(autouse=True)
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "users_model.py").write_text(MODULE)
    (tmp_path / "broken_module.py").write_text("import no_such_package_at_all")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(__import__("sys").modules, "users_model", raising=False)


def opened(function: str) -> Generator:
    options = {"target": f"users_model:{function}"}
    return open_generator(ModelSection(name="mine", generator="callable", options=options))


@pytest.mark.parametrize("function", ["array", "read_only", "tensor", "pictures"])
def test_all_kinds_of_return_give_the_same_images(function: str) -> None:
    images = opened(function).generate(["a", "b"], [7, 300], 1.0)
    expected = torch.stack([torch.full((3, 4, 6), value, dtype=torch.uint8) for value in (7, 44)])
    assert torch.equal(images, expected)


@pytest.mark.parametrize(
    ("function", "said"),
    [
        ("sizes", "images of sizes"),
        ("floats", "float64 array, expected uint8"),
        ("too_few", "torch.uint8 1 x 3 x 4 x 6"),
        ("words", "a list that is not of PIL images"),
        ("broken", "failed: ZeroDivisionError: w; --debug shows where"),
    ],
)
def test_wrong_returns_are_told(function: str, said: str) -> None:
    with pytest.raises(ModelError, match=r"callable 'users_model:\w+' (returned|failed)") as caught:
        opened(function).generate(["a", "b"], [1, 2], 1.0)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("users_model:nothing", "has no function 'nothing'"),
        ("users_model:number", "has no function 'number'"),
        ("users_model:two_arguments", "does not take (prompts, seeds, guidance_weight)"),
        ("no_such_module_here:f", "module 'no_such_module_here' does not import"),
        ("broken_module:f", "No module named 'no_such_package_at_all'"),
    ],
)
def test_wrong_targets_are_told(target: str, said: str) -> None:
    with pytest.raises(ModelError) as caught:
        open_generator(ModelSection(name="m", generator="callable", options={"target": target}))
    assert said in str(caught.value)


@pytest.mark.parametrize("options", [{}, {"target": "users_model"}, {"target": ":f"}, {"target": "m:"}, {"target": 3}])
def test_target_is_required(options: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match=r"expected \"package.module:function\""):
        open_generator(ModelSection(name="m", generator="callable", options=options))


def test_unknown_option_is_refused() -> None:
    with pytest.raises(ConfigError, match="has no option 'traget'"):
        open_generator(ModelSection(name="m", generator="callable", options={"traget": "a:b"}))


def test_description_changes_with_the_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = opened("array").describe()
    assert before["target"] == "users_model:array"
    assert before["source"].startswith("sha256:")
    (tmp_path / "users_model.py").write_text(MODULE + "# edited\n")
    monkeypatch.delitem(__import__("sys").modules, "users_model")
    assert opened("array").describe()["source"] != before["source"]
