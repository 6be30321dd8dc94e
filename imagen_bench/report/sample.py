"""The small figures of a run that a README shows, with a manifest that tells when they are stale."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from imagen_bench.assets import asset
from imagen_bench.bench.same_run import flatten
from imagen_bench.config import dump_config, load_config, read_toml
from imagen_bench.errors import InputError
from imagen_bench.files import atomic_write_bytes, atomic_write_text, digest_json, sha256_file
from imagen_bench.report.contact import strip_grid
from imagen_bench.report.data import RunData, load_runs
from imagen_bench.report.figures import figure_strips
from imagen_bench.report.image_figures import grid_figure
from imagen_bench.report.page import PAGE, TEMPLATES, ReportOptions, write_single_file
from imagen_bench.report.pareto_figure import draw_pareto
from imagen_bench.report.style import Drawing, drawing_to_bytes

MANIFEST = "manifest.json"
FIGURES = ("pareto", "guidance")
MOST_BYTES = 250_000
PAGE_BYTES = 1_500_000
COLORS = 128
_PIXELS_WIDE = (1400, 1200, 1000, 840)
_COPIED = ("run.json", "scores.csv")
_SAME = 2.0


def write_sample(run: Path, out: Path) -> list[Path]:
    """Write the sample: two PNG figures, the report as one file, the run's scores, and a manifest.

    Args:
        run: A finished run with images and scores.
        out: Folder that gets `pareto.png`, `guidance.png`, `index.html`, `run.json`, `scores.csv` and
            `manifest.json`.

    Returns:
        The paths.

    Raises:
        InputError: the run lacks images or scores, or a figure does not get small enough.
        RunFolderError: `run` is no run folder.
    """
    (data,) = load_runs([run])
    drawings = {"pareto": draw_pareto([data]), "guidance": grid_figure(strip_grid(figure_strips(data)), "guidance")}
    paths = []
    for name in FIGURES:
        paths.append(out / f"{name}.png")
        atomic_write_bytes(paths[-1], small_png(drawings[name]))
    paths.append(write_single_file([run], out / PAGE, ReportOptions(), PAGE_BYTES))
    for name in _COPIED:
        paths.append(out / name)
        atomic_write_bytes(paths[-1], (data.path / name).read_bytes())
    paths.append(out / MANIFEST)
    atomic_write_text(paths[-1], json.dumps(manifest_of(data), indent=2) + "\n")
    return paths


def manifest_of(run: RunData) -> dict[str, Any]:
    """What the sample was made from: everything that makes it stale when it changes."""
    return {"run": run_identity(run.record), "templates": templates_digest()}


def run_identity(record: Mapping[str, Any]) -> dict[str, Any]:
    """Config, weights and prompts of a run by their digests; times, hosts and versions are left out."""
    model, prompts = record.get("model") or {}, record.get("prompts") or {}
    return {
        "config": digest_json(record.get("config")),
        "weights": model.get("weights_sha256", {}),
        "prompts": str(prompts.get("digest", "")),
    }


def templates_digest() -> str:
    """Digest of the templates of the report page."""
    folder = asset(TEMPLATES)
    return digest_json({path.name: sha256_file(path) for path in sorted(folder.iterdir()) if path.is_file()})


def stale_reasons(sample: Path, model: str, config: Path) -> list[str]:
    """Say why a sample no longer shows what the package would draw; empty for a fresh one.

    Args:
        sample: Folder that `write_sample` wrote.
        model: Folder of a bundled model, such as "models/imagen-emoji": its weights must be those of the sample.
        config: Configuration of the run that the sample shows.

    Raises:
        RunFolderError: the sample's run.json or scores.csv is missing or broken.
    """
    (data,) = load_runs([sample])
    told = json.loads((sample / MANIFEST).read_text(encoding="utf-8"))
    reasons = []
    if told["run"] != run_identity(data.record):
        reasons.append("its manifest is not that of its run.json")
    now = flatten(json.loads(json.dumps(dump_config(load_config(config)))))
    changed = [key for key, value in flatten(data.section("config")).items() if now.get(key) != value]
    if changed:
        reasons.append(f"{config.name} has changed in {', '.join(changed)}")
    if told["templates"] != templates_digest():
        reasons.append("the templates of the page have changed")
    for part, digest in sorted(told["run"]["weights"].items()):
        if digest not in _weights_digests(asset(model)):
            reasons.append(f"the weights of {part} have changed")
    reasons += _other_scores(data, read_toml(asset(f"{model}/config.toml")))
    if _difference(small_png(draw_pareto([data])), (sample / "pareto.png").read_bytes()) > _SAME:
        reasons.append("the Pareto figure is drawn differently")
    return reasons


def small_png(drawing: Drawing) -> bytes:
    """A figure as a PNG of 128 colours, as wide as its size in bytes allows; equal figures give equal bytes.

    Raises:
        InputError: it is too large even at the smallest width.
    """
    with Image.open(io.BytesIO(drawing_to_bytes(drawing, "png"))) as opened:
        image = opened.convert("RGB")
    for width in _PIXELS_WIDE:
        size = (width, round(image.height * width / image.width))
        scaled = image.resize(size, Image.Resampling.LANCZOS) if width < image.width else image
        palette = scaled.quantize(COLORS, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
        buffer = io.BytesIO()
        palette.save(buffer, format="PNG", optimize=True)
        if buffer.tell() <= MOST_BYTES:
            return buffer.getvalue()
    raise InputError(
        f"{drawing.name}.png takes {buffer.tell():,} bytes at a width of {width} pixels, expected at most "
        f"{MOST_BYTES:,}: give a run of fewer categories or weights"
    )


def _weights_digests(folder: Path) -> set[str]:
    return {sha256_file(path) for path in folder.rglob("*.safetensors")}


def _other_scores(run: RunData, model: Mapping[str, Any]) -> list[str]:
    """Compare with the scores that the model's config.toml promises for its demo, to their printed digits."""
    expected = (model.get("expected") or {}).get("demo") or {}
    reasons = []
    for metric in sorted(set(expected) - {"guidance_weights"}):
        own = run.overall(metric).set_index("guidance_weight")["value"]
        for weight, value in zip(expected["guidance_weights"], expected[metric], strict=True):
            if weight not in own.index or abs(own[weight] - value) > 1e-3 * max(1.0, abs(value)):
                reasons.append(f"config.toml expects {metric} = {value} at w = {weight}")
    return reasons


def _difference(a: bytes, b: bytes) -> float:
    """Mean difference of two pictures in levels of 255; infinite where their sizes differ."""
    first, second = (np.asarray(Image.open(io.BytesIO(png)).convert("RGB"), dtype=np.float64) for png in (a, b))
    return float(np.abs(first - second).mean()) if first.shape == second.shape else float("inf")
