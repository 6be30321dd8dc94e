"""The toy benchmark of tests/toys, for runs with other generators."""

from __future__ import annotations

from pathlib import Path

import pytest

from imagen_bench.config import RunConfig


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunConfig:
    """Config of a small run in tmp_path (prompts, reference images), scored by a stub extractor."""
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "toys"))
    import toy_bench

    monkeypatch.setattr("imagen_bench.bench.evaluate.open_extractor", toy_bench.StubExtractor)
    config: RunConfig = toy_bench.write_world(tmp_path)
    return config
