"""Logging a report to TensorBoard or Weights & Biases: overall scores, figures and the headline table.

The files of run and report stay the truth: a tracker gets a copy of numbers that scores.csv holds, under the same
names, and nothing is read back from it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from imagen_bench.errors import ConfigError
from imagen_bench.report.data import RunData, floats, load_runs
from imagen_bench.report.metric_words import metrics_of

STEPS_PER_UNIT = 100
"""A step of TensorBoard is a whole number: guidance weight 1.35 is step 135."""
PROJECT = "imagen-bench"


def track_report(runs: Sequence[Path], report: Path, backend: str) -> str:
    """Log a written report.

    Args:
        runs: The run folders that it was made from.
        report: Its folder: figures and tables are read from there; the tracker's own files go below it.
        backend: "tensorboard" or "wandb". The latter goes where its own settings say (WANDB_PROJECT, WANDB_MODE;
            `WANDB_MODE=offline` sends nothing).

    Returns:
        Where it was logged to: a folder.

    Raises:
        ConfigError: another backend, or one that is not installed.
    """
    if backend not in _BACKENDS:
        raise ConfigError(f"tracker '{backend}' is unknown, expected one of {', '.join(_BACKENDS)}")
    return _BACKENDS[backend](load_runs(runs), report)


def score_rows(run: RunData) -> Iterator[tuple[float, dict[str, float]]]:
    """Yield each guidance weight with its overall scores: "fid", "fid/low", "fid/high"; missing ones left out."""
    found: dict[float, dict[str, float]] = {}
    for metric in metrics_of([run]):
        rows = floats(run.overall(metric.name), "guidance_weight", "value", "low", "high")
        for weight, *values in rows:
            named = zip((metric.name, f"{metric.name}/low", f"{metric.name}/high"), values, strict=True)
            found.setdefault(weight, {}).update({name: value for name, value in named if math.isfinite(value)})
    yield from sorted(found.items())


def _to_tensorboard(runs: Sequence[RunData], report: Path) -> str:
    """One sub-folder a run, so that the runs share their charts; figures in a folder of their own."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise _missing("tensorboard") from error
    import numpy as np
    from PIL import Image

    folder = report / "tensorboard"
    for place, run in enumerate(runs, 1):
        with SummaryWriter(str(folder / f"{place}-{run.path.resolve().name}")) as writer:
            for weight, scores in score_rows(run):
                for name, value in scores.items():
                    writer.add_scalar(name, value, round(weight * STEPS_PER_UNIT))
            writer.add_text("run.json", f"```json\n{json.dumps(run.record, indent=2, ensure_ascii=False)}\n```")
    with SummaryWriter(str(folder / "report")) as writer:
        for figure in _figures(report):
            with Image.open(figure) as image:
                writer.add_image(figure.stem, np.asarray(image.convert("RGB")), dataformats="HWC")
        table = report / "tables" / "headline.md"
        if table.is_file():
            writer.add_text("scores", table.read_text(encoding="utf-8"))
    return str(folder)


def _to_wandb(runs: Sequence[RunData], report: Path) -> str:
    """One tracked run a run folder, with guidance weight as the axis of its scores; figures in the first."""
    try:
        import wandb
    except ImportError as error:
        raise _missing("wandb") from error
    tracker: Any = wandb
    report.mkdir(parents=True, exist_ok=True)
    for place, run in enumerate(runs):
        tracked = tracker.init(
            project=PROJECT,
            name=run.label,
            config=run.record,
            dir=str(report),
            job_type="report",
            reinit="finish_previous",
        )
        tracked.define_metric("guidance_weight")
        tracked.define_metric("*", step_metric="guidance_weight")
        for weight, scores in score_rows(run):
            tracked.log({"guidance_weight": weight, **scores})
        if place == 0:
            tracked.log({f"figures/{figure.stem}": tracker.Image(str(figure)) for figure in _figures(report)})
        tracked.finish()
    return str(report / "wandb")


def _figures(report: Path) -> list[Path]:
    """Figures as PNG at full width."""
    return sorted(path for path in (report / "figures").glob("*.png") if not path.stem.endswith("_column"))


def _missing(package: str) -> ConfigError:
    return ConfigError(f"{package} is not installed, expected for --track {package}: pip install 'imagen-bench[track]'")


_BACKENDS: dict[str, Callable[[Sequence[RunData], Path], str]] = {
    "tensorboard": _to_tensorboard,
    "wandb": _to_wandb,
}
