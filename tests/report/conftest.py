"""Synthetic run folders by the layout of a run: U-shaped FD, CLIP score that rises and saturates."""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import pandas as pd
import pytest
from PIL import Image, ImageDraw

from imagen_bench.bench.run_folder import SAMPLE_SCORE_COLUMNS, SCORE_COLUMNS
from imagen_bench.report.page import write_report

WEIGHTS = (1.0, 1.5, 2.0, 3.0, 5.0, 8.0)
CATEGORIES = ("single object", "color", "counting", "position", "background")
PROTOCOLS = {"clip_score": "clip_score-emoji-bench-240x1-1f0c9a7e", "fd": "fd-emoji-bench-240x1-77ab01c2"}
HOSTILE = "\"><script>alert('x')</script><img src=http://evil.example/x onerror=alert(1)> {{7*7}} $x$"
MakeRun = Callable[..., Path]
WriteSamples = Callable[[Path, Sequence[tuple[object, ...]]], None]


def clip_at(weight: float, shift: float = 0.0) -> float:
    """Rises from about 0.21 and saturates near 0.285."""
    return 0.285 - 0.075 * math.exp(-(weight - 1) / 1.1) + shift


def fd_at(weight: float, shift: float = 0.0) -> float:
    """U-shaped in log w, lowest near w = 2."""
    return 0.118 + 0.055 * (math.log(weight) - math.log(2.1)) ** 2 * (1.5 if weight < 2.1 else 1.0) + shift


def write_run(
    path: Path,
    write_samples: WriteSamples,
    *,
    name: str = "emoji-sweep",
    model: str = "imagen-emoji",
    weights: Sequence[float] = WEIGHTS,
    categories: Sequence[str] = CATEGORIES,
    per_category: int = 2,
    size: int = 16,
    shift: float = 0.0,
    gallery: int = 3,
    protocols: dict[str, str] = PROTOCOLS,
    prompts_of: Mapping[str, str] = MappingProxyType({}),
    sample_scores: Mapping[tuple[str, float], float] | None = None,
    with_scores: bool = True,
    with_samples: bool = True,
) -> Path:
    """Write a finished run folder; every part can be left out."""
    prompts = [
        (f"{category[:3]}-{number:02d}", prompts_of.get(category) or _prompt(category, number), category)
        for category in categories
        for number in range(per_category)
    ]
    n = len(prompts)
    path.mkdir(parents=True)
    _write_record(path, name, model, weights, n, protocols)
    if with_samples:
        rows = _sample_rows(path, prompts, weights, size)
        write_samples(path, rows)
        if sample_scores is not None:
            _write_sample_scores(path, rows, sample_scores)
        for prompt_id, text, _ in prompts[:gallery]:
            shown = weights[len(weights) // 2]
            _draw(path / f"gallery/w={shown:g}/{prompt_id}_0.png", text, shown, size * 4)
    if with_scores:
        _write_scores(path, model, weights, categories, n, per_category, shift, protocols)
    return path


def _prompt(category: str, number: int) -> str:
    colors = ("red", "blue", "green", "yellow", "purple", "orange")
    things = ("car", "cat", "apple", "star", "house", "fish")
    color, thing = colors[number % 6], things[(number * 5 + len(category)) % 6]
    return {
        "single object": f"a {thing}",
        "color": f"a {color} {thing}",
        "counting": f"{('two', 'three', 'four')[number % 3]} {thing}s",
        "position": f"a {thing} above a {color} circle",
    }.get(category, f"a {thing} on a {color} background")


def _write_record(
    path: Path, name: str, model: str, weights: Sequence[float], n: int, protocols: dict[str, str]
) -> None:
    words = {
        "clip_score": f"CLIP score of {n} images (1 sample a prompt of emoji-bench); features: imagen-emoji.",
        "fd": f"FD of {n} images (1 sample a prompt of emoji-bench), against 2,048 held-out images; "
        "features: imagen-emoji.",
    }
    labels = {"clip_score": "CLIP score", "fd": "FD (imagen-emoji CLIP)"}
    record = {
        "schema": 1,
        "name": name,
        "created": "2026-01-02T03:04:05Z",
        "config": {
            "name": name,
            "seed": 0,
            "model": {"name": model, "generator": "bundled", "options": {}},
            "prompts": {"set": "emoji-bench", "samples_per_prompt": 1},
            "sweep": {"guidance_weights": list(weights)},
            "scores": {"metrics": ["clip_score", "fd"], "extractor": "imagen-emoji", "bootstrap": 1000},
        },
        "model": {"name": model, "parameters": 9_500_000, "sampler": {"name": "ddim", "steps": 32}},
        "prompts": {
            "id": "emoji-bench",
            "version": "1",
            "digest": "ab" * 32,
            "n": n,
            "samples_per_prompt": 1,
        },
        "reference": {"id": "emoji-held-out", "digest": "cd" * 32, "n": 2048},
        "extractor": "imagen-emoji",
        "protocols": {
            key: {"id": value, "words": words[key], "label": labels[key]} for key, value in protocols.items()
        },
        "versions": {"imagen-bench": "0.1.0", "python": "3.12.1", "torch": "2.15.0"},
        "host": {"platform": "Linux x86_64", "cpu": "Example CPU", "cores": 4, "device": "cpu"},
        "notes": ["2 prompts were cut to what the text encoder takes"],
        "timing": {"generate_seconds": 812.0, "score_seconds": 41.5, "seconds_per_image": 0.564},
    }
    (path / "run.json").write_text(json.dumps(record))


def _sample_rows(
    path: Path, prompts: Sequence[tuple[str, str, str]], weights: Sequence[float], size: int
) -> list[tuple[object, ...]]:
    """Draw the images and return the table of samples."""
    rows: list[tuple[object, ...]] = []
    for weight in weights:
        for prompt_id, text, category in prompts:
            relative = f"images/w={weight:g}/0000/{prompt_id}_0.png"
            _draw(path / relative, text, weight, size)
            seconds = (0.31 if weight == 1 else 0.58) * (1 + 0.02 * (zlib.crc32(relative.encode()) % 7))
            rows.append(
                (
                    prompt_id,
                    text,
                    category,
                    0,
                    zlib.crc32(prompt_id.encode()),
                    weight,
                    relative,
                    "0" * 64,
                    seconds,
                )
            )
    return rows


def _write_sample_scores(
    path: Path, rows: Sequence[tuple[object, ...]], known: Mapping[tuple[str, float], float]
) -> None:
    """CLIP scores of single samples: the known ones by prompt id and weight, the sweep's own for the others."""
    scored = [
        (
            prompt_id,
            index,
            weight,
            "clip_score",
            known.get((str(prompt_id), float(str(weight))), clip_at(float(str(weight)))),
        )
        for prompt_id, _, _, index, _, weight, *_ in rows
    ]
    pd.DataFrame(scored, columns=list(SAMPLE_SCORE_COLUMNS)).to_parquet(path / "samples_scores.parquet", index=False)


def _draw(path: Path, text: str, weight: float, size: int) -> None:
    """A blob whose colours grow stronger with the weight."""
    path.parent.mkdir(parents=True, exist_ok=True)
    seed = zlib.crc32(text.encode())
    hue = (seed % 360, int(45 + 45 * min(1.0, weight / 5)), 55)
    image = Image.new("RGB", (size, size), f"hsl({(hue[0] + 150) % 360},{hue[1] // 2}%,93%)")
    draw = ImageDraw.Draw(image)
    edge = size // 8 + seed % (size // 8 + 1)
    draw.ellipse((edge, edge, size - edge, size - edge), fill="hsl({},{}%,{}%)".format(*hue))
    draw.rectangle(
        (size // 3, size // 2, size * 2 // 3, size * 3 // 4), fill=f"hsl({(hue[0] + 40) % 360},{hue[1]}%,40%)"
    )
    image.save(path)


def _write_scores(
    path: Path,
    model: str,
    weights: Sequence[float],
    categories: Sequence[str],
    n: int,
    per_category: int,
    shift: float,
    protocols: dict[str, str],
) -> None:
    rows = []
    for weight in weights:
        clip, fd = clip_at(weight, shift), fd_at(weight, shift)
        base = (model, "emoji-bench", weight)
        rows.append((*base, "all", "clip_score", clip, clip - 0.004, clip + 0.004, n, protocols["clip_score"]))
        rows.append((*base, "all", "fd", fd, fd * 0.93, fd * 1.08, n, protocols["fd"]))
        for place, category in enumerate(categories):
            value = clip + 0.02 - 0.011 * place - 0.0015 * place * weight
            low, high = value - 0.011, value + 0.011
            rows.append((*base, category, "clip_score", value, low, high, per_category, protocols["clip_score"]))
    pd.DataFrame(rows, columns=list(SCORE_COLUMNS)).to_csv(path / "scores.csv", index=False)


@pytest.fixture(scope="session")
def hostile_report(tmp_path_factory: pytest.TempPathFactory, write_samples: WriteSamples) -> Path:
    """A full report of a run whose model, categories and prompts attack the page; returns index.html."""
    run = write_run(
        tmp_path_factory.mktemp("full") / "run",
        write_samples,
        model="<b>m",
        categories=("<i>one", "counting"),
        prompts_of={"<i>one": HOSTILE},
        weights=(1.0, 2.0, 5.0),
    )
    (run / "sheets" / "public").mkdir(parents=True)
    return write_report([run], run / "report")


@pytest.fixture
def make_run(tmp_path: Path, write_samples: WriteSamples) -> MakeRun:
    """Write synthetic run folders below the test's own folder: `make_run("name", **options) -> path`."""

    def make(folder: str = "run", **options: object) -> Path:
        return write_run(tmp_path / folder, write_samples, **options)  # type: ignore[arg-type]

    return make
