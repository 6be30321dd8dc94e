"""A protocol id changes with everything that moves a score, and with nothing else."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest

from imagen_bench.bench.protocol import prompt_set_key, protocol_id, protocol_words

COMMON: dict[str, Any] = {
    "metric": "fd",
    "prompt_set": "emoji-bench@1:00ff",
    "samples_per_prompt": 2,
    "extractor_id": "clip-x",
    "reference_digest": "abc",
    "n": 240,
}


def test_id_is_readable_words_and_a_digest() -> None:
    parts = {
        "metric": "fd",
        "prompt_set": "emoji-bench@1:00ff",
        "samples_per_prompt": 2,
        "extractor": "clip-x",
        "reference": "abc",
        "n": 240,
    }
    canonical = json.dumps(parts, sort_keys=True, separators=(",", ":"))
    digest = hashlib.sha256(canonical.encode()).hexdigest()[:8]
    assert protocol_id(**COMMON) == f"fd-emoji-bench-240x2-{digest}"


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("metric", "kid"),
        ("prompt_set", "emoji-bench@2:00ff"),
        ("samples_per_prompt", 1),
        ("extractor_id", "clip-y"),
        ("reference_digest", None),
        ("n", 239),
    ],
)
def test_every_part_counts(key: str, value: object) -> None:
    changed = protocol_id(**{**COMMON, key: value})
    assert changed[-8:] != protocol_id(**COMMON)[-8:]


def test_prompt_set_of_any_name_gives_a_plain_id() -> None:
    key = prompt_set_key("my prompts/ü", "file", "0123456789abcdef0123")
    assert key == "my prompts/ü@file:0123456789abcdef"
    assert protocol_id(**{**COMMON, "prompt_set": key}).startswith("fd-my-prompts-240x2-")
    assert protocol_id(**{**COMMON, "prompt_set": "@"}).startswith("fd-prompts-")


def test_words_say_how_the_number_was_made() -> None:
    words = protocol_words("FD (stub)", "emoji-bench@1:00ff", 2, "clip-x", "500 images of emoji", 2400)
    assert words == (
        "FD (stub) of 2,400 images (2 samples a prompt of emoji-bench), against 500 images of emoji; features: clip-x."
    )
    assert "against" not in protocol_words("CLIP score", "p", 1, "clip-x", None, 4)
