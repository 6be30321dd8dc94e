"""Finished run folders with made-up scores, features and images: prompts of different difficulty, two runs of noise."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image
from safetensors.numpy import save_file

from imagen_bench.bench.run_folder import SCORE_COLUMNS
from imagen_bench.files import digest_json, sha256_file
from imagen_bench.metrics.frechet import frechet_distance
from imagen_bench.metrics.intervals import mean_interval
from imagen_bench.metrics.statistics import GaussianStatistics, save_statistics

DIM = 4
CATEGORIES = ("red", "blue")
EXTRACTOR = "toy-8x8"


def write_run(
    path: Path,
    seed: int,
    *,
    name: str = "toy",
    weights: tuple[float, ...] = (1.0, 2.0, 4.0),
    prompts: int = 24,
    samples: int = 1,
    shift: float = 0.0,
    spread: float = 0.0,
    digest: str = "a" * 64,
    prefix: str = "p",
) -> Path:
    """Write a run folder.

    Args:
        path: The folder.
        seed: Seed of the samples; prompts are of the same difficulty under every seed.
        name: Name of the model.
        weights: The sweep.
        prompts: Number of prompts.
        samples: Samples a prompt.
        shift: Added to every CLIP score.
        spread: Added to the first feature, which moves the FD.
        digest: Digest of the prompt set.
        prefix: Start of the prompt ids.
    """
    rng = np.random.default_rng(seed)
    path.mkdir()
    difficulty = np.random.default_rng(99).normal(0, 0.05, prompts)
    rows, scores, per_sample = [], [], []
    for weight in weights:
        values, features = [], []
        for number in range(prompts):
            for index in range(samples):
                file = path / "images" / f"w={weight:g}" / f"{prefix}{number:02d}_{index}.png"
                file.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(rng.integers(0, 255, (8, 8, 3), dtype=np.uint8)).save(file)
                values.append(0.3 + difficulty[number] + 0.01 * weight + shift + rng.normal(0, 0.01))
                features.append(rng.normal(np.array([spread + 0.2 * weight, difficulty[number] * 10, 0, 0]), 1))
                key = (f"{prefix}{number:02d}", f"toy {number}", CATEGORIES[number % 2], index, number, weight)
                rows.append((*key, file.relative_to(path).as_posix(), sha256_file(file), 0.1))
                per_sample.append((key[0], index, weight, "clip_score", values[-1]))
        scores += _score_rows(name, weight, np.array(values), [row[0] for row in rows if row[5] == weight])
        value = _write_features(path, weight, np.array(features, dtype=np.float32), rows)
        scores.append((name, "toys", weight, "all", "fd", value, value - 0.5, value + 0.5, len(values), "fd-toys"))
    _write_tables(path, rows, scores, per_sample)
    _write_record(path, name, weights, prompts, samples, digest)
    return path


def reference() -> GaussianStatistics:
    return GaussianStatistics(np.zeros(DIM), np.eye(DIM), 1000, EXTRACTOR, "c" * 64, "normal")


def _score_rows(name: str, weight: float, values: Any, clusters: list[str]) -> list[tuple[Any, ...]]:
    low, high = mean_interval(values, clusters) or (None, None)
    head = (name, "toys", weight)
    return [(*head, "all", "clip_score", values.mean(), low, high, len(values), "clip_score-toys")]


def _write_features(path: Path, weight: float, features: Any, rows: list[tuple[Any, ...]]) -> float:
    folder = path / "features" / "toy-12345678"
    folder.mkdir(parents=True, exist_ok=True)
    digest = digest_json([row[7] for row in rows if row[5] == weight])
    save_file({"features": features}, folder / f"w={weight:g}.safetensors", {"digest": digest, "extractor": EXTRACTOR})
    save_statistics(folder / "reference.safetensors", reference())
    against = reference()
    double = features.astype(np.float64)
    return frechet_distance(double.mean(axis=0), np.cov(double, rowvar=False), against.mean, against.covariance)


def _write_tables(path: Path, rows: list[Any], scores: list[Any], per_sample: list[Any]) -> None:
    columns = ["prompt_id", "prompt", "category", "index", "seed", "guidance_weight", "path", "sha256", "seconds"]
    pd.DataFrame(rows, columns=columns).to_parquet(path / "samples.parquet", index=False)
    columns = ["prompt_id", "index", "guidance_weight", "metric", "value"]
    pd.DataFrame(per_sample, columns=columns).to_parquet(path / "samples_scores.parquet", index=False)
    pd.DataFrame(scores, columns=list(SCORE_COLUMNS)).to_csv(path / "scores.csv", index=False)


def _write_record(path: Path, name: str, weights: Any, prompts: int, samples: int, digest: str) -> None:
    protocols = {
        metric: {"id": f"{metric}-toys-{prompts}-{digest[:4]}", "label": label, "higher_is_better": up}
        for metric, label, up in (("clip_score", "CLIP score (toy)", True), ("fd", "FD (toy)", False))
    }
    record = {
        "schema": 1,
        "name": name,
        "config": {"seed": 0, "sweep": {"guidance_weights": list(weights)}},
        "model": {"name": name},
        "prompts": {"id": "toys", "digest": digest, "n": prompts, "samples_per_prompt": samples},
        "extractor": EXTRACTOR,
        "protocols": protocols,
    }
    (path / "run.json").write_text(json.dumps(record), encoding="utf-8")
