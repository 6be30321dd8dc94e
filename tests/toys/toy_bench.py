"""A benchmark in miniature: a deterministic generator, a stub extractor, prompts, reference images."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from imagen_bench.config import RunConfig, validate

SIZE = 8
PROMPTS = [(f"p{number:02d}", f"a toy of kind {number}", ("red", "blue", "Ünï")[number % 3]) for number in range(10)]
SECONDS_A_CALL = 0.0
"""Set by tests that need time to interfere."""


def sample(prompts: list[str], seeds: list[int], guidance_weight: float) -> np.ndarray[Any, Any]:
    """Noise of the seed, brighter in a channel that the prompt chooses, the more so the higher the weight."""
    time.sleep(SECONDS_A_CALL)
    return np.stack([_image(text, seed, guidance_weight) for text, seed in zip(prompts, seeds, strict=True)])


def brighter(prompts: list[str], seeds: list[int], guidance_weight: float) -> np.ndarray[Any, Any]:
    """The same, 9 levels brighter: what another version of a model might draw."""
    return sample(prompts, seeds, guidance_weight) + np.uint8(9)


def sample_until_stopped(prompts: list[str], seeds: list[int], guidance_weight: float) -> np.ndarray[Any, Any]:
    """The same for the first prompts; with the others, time passes until the process is ended."""
    while prompts[0] != PROMPTS[0][1]:
        time.sleep(0.05)
    return sample(prompts, seeds, guidance_weight)


class StubExtractor:
    """Channel means and one corner pixel as image features; a hash as text features."""

    id = "stub-8x8-none-0123456789abcdef"
    short_name = "stub"
    dim = 4
    truncated = 0

    def __init__(self, name: str = "stub", device: str = "auto") -> None:
        self.images_seen = 0

    def image_features(self, images: torch.Tensor | Sequence[torch.Tensor]) -> torch.Tensor:
        self.images_seen += len(images)
        rows = [[*image.double().mean(dim=(1, 2)).tolist(), float(image[0, 0, 0])] for image in images]
        return torch.tensor(rows, dtype=torch.float32) / 255 + 0.01

    def text_features(self, texts: Sequence[str]) -> torch.Tensor:
        rows = [[byte + 1 for byte in hashlib.sha256(text.encode()).digest()[:4]] for text in texts]
        return torch.tensor(rows, dtype=torch.float32)


def write_world(folder: Path) -> RunConfig:
    """Write prompts.csv and reference images into `folder` and return the config of a run on them."""
    lines = ["prompt_id,prompt,category", *(",".join(row) for row in PROMPTS)]
    (folder / "prompts.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    reference = folder / "reference"
    reference.mkdir()
    for number in range(12):
        pixels = sample(["real"], [10_000 + number], 1.5)[0]
        Image.fromarray(pixels.transpose(1, 2, 0)).save(reference / f"{number:02d}.png")
    return validate(RunConfig, config_data(folder), "toy")


def config_data(folder: Path) -> dict[str, Any]:
    return {
        "name": "toy",
        "seed": 3,
        "model": {
            "name": "toy-model",
            "generator": "callable",
            "options": {"target": "toy_bench:sample", "batch_size": 4},
        },
        "prompts": {"set": str(folder / "prompts.csv"), "samples_per_prompt": 2},
        "sweep": {"guidance_weights": [2.0, 1.0, 1.5]},
        "scores": {"extractor": "stub", "reference": str(folder / "reference")},
    }


def _image(text: str, seed: int, guidance_weight: float) -> np.ndarray[Any, Any]:
    digest = hashlib.sha256(f"{text}|{seed}".encode()).digest()
    pixels = np.random.default_rng(int.from_bytes(digest[:8], "big")).integers(0, 128, (3, SIZE, SIZE))
    pixels[digest[8] % 3] += int(guidance_weight * 30)
    return pixels.clip(0, 255).astype(np.uint8)


def raises(prompts: list[str], seeds: list[int], guidance_weight: float) -> Any:
    """A model that fails, with a message of several lines."""
    raise RuntimeError("the toy is\nbroken")


def one_short(prompts: list[str], seeds: list[int], guidance_weight: float) -> Any:
    """One image too few."""
    return sample(prompts, seeds, guidance_weight)[1:]


def floats(prompts: list[str], seeds: list[int], guidance_weight: float) -> Any:
    """Images in [0, 1] that do not say so."""
    return torch.rand(len(prompts), 3, SIZE, SIZE, 2)


def grey(prompts: list[str], seeds: list[int], guidance_weight: float) -> Any:
    """Images without colours."""
    return np.zeros((len(prompts), SIZE, SIZE), dtype=np.uint8)
