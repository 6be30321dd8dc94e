"""The text encoder of the bundled generator: each prompt embedded once, by all workers, then out of memory."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from imagen_bench.bench.run import run_benchmark
from imagen_bench.config import RunConfig, validate
from imagen_bench.errors import ModelError
from imagen_bench.generators.base import EmbedsPrompts, Generator, open_generator
from imagen_bench.generators.prompts_ahead import embed_ahead, usable_text_cache
from imagen_bench.home import text_cache_folder
from imagen_bench.imagen.text import TextEncoder
from imagen_bench.workers import Workers

TEXTS = [f"a red apple and {number} pears" for number in range(150)]


@pytest.fixture
def embedded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every text that an encoder was asked to embed, in order."""
    seen: list[str] = []
    encode = TextEncoder._encode

    def counted(self: TextEncoder, texts: list[str]) -> None:
        seen.extend(texts)
        encode(self, texts)

    monkeypatch.setattr(TextEncoder, "_encode", counted)
    return seen


@pytest.fixture
def emoji(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunConfig:
    """A run of the bundled model: four prompts of two samples at two weights, two steps."""
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "toys"))
    import toy_bench

    monkeypatch.setattr("imagen_bench.bench.evaluate.open_extractor", toy_bench.StubExtractor)
    (tmp_path / "prompts.txt").write_text("a red apple\nthree pears\nan octopus\na blue crab\n")
    record = {
        "name": "emoji",
        "model": {"name": "imagen-emoji", "options": {"base": {"steps": 2}, "batch_size": 3}},
        "prompts": {"set": str(tmp_path / "prompts.txt"), "samples_per_prompt": 2},
        "sweep": {"guidance_weights": [1.0, 3.0]},
        "scores": {"extractor": "stub", "metrics": ["clip_score"]},
    }
    return validate(RunConfig, record, "test")


def test_a_run_embeds_each_prompt_once_and_draws_without_the_encoder(
    emoji: RunConfig, tmp_path: Path, embedded: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from imagen_bench.generators.bundled import BundledImagen

    loaded: list[bool] = []
    generate = BundledImagen.generate

    def watched(self: BundledImagen, *args: Any) -> torch.Tensor:
        images = generate(self, *args)
        loaded.append(self._encoder.loaded)
        return images

    monkeypatch.setattr(BundledImagen, "generate", watched)
    run_benchmark(emoji, tmp_path / "run")
    assert sorted(embedded) == ["a blue crab", "a red apple", "an octopus", "three pears"]
    assert loaded == [False] * 6
    embedded.clear()
    run_benchmark(emoji, tmp_path / "again")
    assert embedded == []
    images = sorted((tmp_path / "run").glob("images/**/*.png"))
    assert len(images) == 16
    for image in images:
        assert image.read_bytes() == (tmp_path / "again" / image.relative_to(tmp_path / "run")).read_bytes()


def test_without_a_place_for_the_cache_the_encoder_stays_and_draws_the_same(
    emoji: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = opened(emoji)
    kept.embed_prompts(["a red apple"], Workers(), lambda _: None)
    monkeypatch.setenv("IMAGEN_BENCH_HOME", "/proc/no-such-folder")
    assert usable_text_cache() is None
    alone = opened(emoji)
    alone.embed_prompts(["a red apple"], Workers(), lambda _: None)
    one, other = (generator.generate(["a red apple"], [3], 2.0) for generator in (kept, alone))
    assert torch.equal(one, other)


def opened(config: RunConfig) -> Any:
    generator: Generator = open_generator(config.model)
    assert isinstance(generator, EmbedsPrompts)
    return generator


class _Threads:
    """What workers share, where they are threads of one process: claims and a meeting."""

    def __init__(self, count: int) -> None:
        self.count, self._lock, self._barrier = count, threading.Lock(), threading.Barrier(count)
        self._sums: dict[str, int] = {}

    def add(self, key: str, more: int) -> int:
        with self._lock:
            self._sums[key] = self._sums.get(key, 0) + more
            return self._sums[key]

    def worker(self, rank: int) -> Workers:
        barrier = self._barrier

        class Worker(Workers):
            def wait(self) -> None:
                barrier.wait(60)

        return Worker(rank, self.count, self)


def loaded_encoder(source: Path, cache: Path) -> TextEncoder:
    """An encoder with its weights, which threads must not load at once."""
    encoder = TextEncoder(source, cache=cache)
    encoder._load()
    return encoder


def in_threads(work: Callable[[int], None], count: int) -> None:
    failed: list[BaseException] = []

    def caught(rank: int) -> None:
        try:
            work(rank)
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=caught, args=(rank,)) for rank in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []


def test_workers_share_the_texts(t5_folder: Path, embedded: list[str]) -> None:
    folder, shared = text_cache_folder(), _Threads(3)
    told: list[int] = []
    encoders = [loaded_encoder(t5_folder, folder) for _ in range(3)]
    in_threads(lambda rank: embed_ahead(encoders[rank], TEXTS, shared.worker(rank), told.append), 3)
    assert sorted(embedded) == sorted(TEXTS)
    assert sum(told) == len(TEXTS)
    assert not any(encoder.loaded for encoder in encoders)
    direct, kept = TextEncoder(t5_folder)(TEXTS[:5]), encoders[1](TEXTS[:5])
    torch.testing.assert_close(kept.tokens, direct.tokens)
    assert not encoders[1].loaded


def test_workers_with_disks_of_their_own_have_all_texts_too(t5_folder: Path, tmp_path: Path) -> None:
    shared = _Threads(2)
    encoders = [loaded_encoder(t5_folder, tmp_path / str(rank)) for rank in range(2)]
    in_threads(lambda rank: embed_ahead(encoders[rank], TEXTS, shared.worker(rank), lambda _: None), 2)
    for encoder in encoders:
        encoder(TEXTS)
        assert not encoder.loaded


def test_a_damaged_embedding_is_made_anew(t5_folder: Path) -> None:
    encoder = TextEncoder(t5_folder, cache=text_cache_folder())
    encoder.keep(["a red apple"])
    (file,) = text_cache_folder().rglob("*.safetensors")
    before = file.read_bytes()
    file.write_bytes(before[:-7])
    encoder.free()
    torch.testing.assert_close(encoder(["a red apple"]).tokens, TextEncoder(t5_folder)(["a red apple"]).tokens)
    assert len(file.read_bytes()) == len(before)
    again = TextEncoder(t5_folder, cache=text_cache_folder())
    again.free()
    torch.testing.assert_close(again(["a red apple"]).tokens, encoder(["a red apple"]).tokens, rtol=0, atol=0)
    assert not again.loaded


def test_a_broken_encoder_is_told_before_the_first_image(emoji: RunConfig, tmp_path: Path) -> None:
    from imagen_bench.assets import asset

    folder = tmp_path / "model"
    shutil.copytree(asset("models/imagen-emoji"), folder)
    (weights,) = (folder / "text_encoder").glob("*.safetensors")
    os.truncate(weights, weights.stat().st_size // 2)
    broken = emoji.model_copy(update={"model": emoji.model.model_copy(update={"name": str(folder)})})
    with pytest.raises(ModelError, match="text_encoder"):
        run_benchmark(broken, tmp_path / "run")
    assert not list(tmp_path.glob("run/images/**/*.png"))


def test_keeping_needs_a_cache(t5_folder: Path) -> None:
    with pytest.raises(ModelError, match="without a cache"):
        TextEncoder(t5_folder).keep(["a"])
