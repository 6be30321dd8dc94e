"""docs/sampling.md names only options that exist, with their defaults."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from imagen_bench.generators.bundled_options import BaseOptions, SuperResolutionOptions, read_options

TEXT = (Path(__file__).resolve().parents[1] / "docs" / "sampling.md").read_text(encoding="utf-8")


def test_the_table_of_options_is_complete() -> None:
    table = TEXT.split("## Options of a stage")[1].split("##")[0]
    named = {
        name for row in re.findall(r"^\| (`.+?) \|", table, flags=re.MULTILINE) for name in re.findall(r"`(\w+)`", row)
    }
    assert named == BaseOptions.model_fields.keys() | SuperResolutionOptions.model_fields.keys()


def test_the_example_is_valid() -> None:
    (example,) = re.findall(r"^```toml\n(.*?)^```", TEXT, flags=re.MULTILINE | re.DOTALL)
    options = tomllib.loads(example)["model"]["options"]
    settings = read_options(options, ["base", "sr256"])
    assert settings.of("sr256").guidance_weight == 8.0
    assert settings.of("sr256").steps == 20
