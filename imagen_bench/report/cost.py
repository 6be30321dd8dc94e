"""What a run cost: speed, memory, totals, and the time that scores of other sizes would take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from imagen_bench.errors import InputError
from imagen_bench.report.data import RunData
from imagen_bench.report.metric_words import decimals_for, format_value
from imagen_bench.report.style import (
    WIDTH_INCHES,
    Drawing,
    Width,
    drawable,
    drawing_name,
    freeze_layout,
    paper_style,
    series_style,
)
from imagen_bench.report.tables import Cell, Table

GIB = 1024**3
_MEMORY_NAMES = {"process": "main memory", "gpu": "GPU memory"}


def seconds_per_image(run: RunData) -> float | None:
    """Mean seconds of the generator an image: what run.json says, else the mean of the samples; None if unknown."""
    for section in ("generation", "timing"):
        seconds = run.section(section).get("seconds_per_image")
        if isinstance(seconds, int | float) and seconds > 0:
            return float(seconds)
    timed = run.samples.loc[run.samples["seconds"] > 0, "seconds"]
    return float(timed.mean()) if len(timed) else None


def peak_bytes(run: RunData) -> dict[str, int]:
    """Highest memory use of the generation in bytes, by "process" and "gpu"; empty if it was not recorded."""
    stated = run.section("generation").get("peak_bytes")
    if not isinstance(stated, Mapping):
        return {}
    return {name: int(stated[name]) for name in _MEMORY_NAMES if isinstance(stated.get(name), int) and stated[name] > 0}


def cost_facts(run: RunData) -> list[tuple[str, str]]:
    """Names and words of what is known of a run's cost."""
    facts: list[tuple[str, str]] = []
    seconds = seconds_per_image(run)
    if seconds is not None:
        speed = f"{_number(1 / seconds)} images a second, {_number(seconds)} seconds an image"
        facts.append(("Speed", speed))
        several = [f"{duration(seconds * count)} for {count:,} images" for count in (10_000, 30_000)]
        facts.append(("Estimated time", f"{' and '.join(several)} at one guidance weight, on this machine"))
    memory = [f"{format_value(size / GIB, 2)} GiB of {_MEMORY_NAMES[name]}" for name, size in peak_bytes(run).items()]
    if memory:
        batch = run.section("generation").get("largest_batch")
        where = f", in batches of up to {batch} images" if isinstance(batch, int) and batch > 0 else ""
        facts.append(("Peak memory", " and ".join(memory) + where))
    timing = run.section("timing")
    for name, key in (("Generation", "generate_seconds"), ("Scoring", "score_seconds")):
        if isinstance(timing.get(key), int | float):
            facts.append((name, f"{duration(float(timing[key]))} in all"))
    usage = run.section("generation").get("usage")
    if isinstance(usage, Mapping) and usage:
        facts.append(("Used", ", ".join(f"{value:g} {name}" for name, value in usage.items())))
    return facts


def cost_table(runs: Sequence[RunData]) -> Table | None:
    """One row a run: machine, seconds an image, peak memory and the estimated hours of 10,000 images."""
    rows, data = [], []
    for run in runs:
        seconds, memory = seconds_per_image(run), peak_bytes(run)
        if seconds is None:
            continue
        device = str(run.section("host").get("device") or "?")
        hours = seconds * 10_000 / 3600
        sizes = [f"{memory[name] / GIB:.2f}" if name in memory else "–" for name in _MEMORY_NAMES]
        rows.append((Cell(run.label), Cell(device), Cell(_number(seconds)), Cell(_number(hours)), *map(Cell, sizes)))
        data.append([run.label, device, seconds, hours, *(memory.get(name) for name in _MEMORY_NAMES)])
    if not rows:
        return None
    head = ("Run", "Device", "Seconds an image", "Hours for 10,000 images", "Main memory, GiB", "GPU memory, GiB")
    columns = ["run", "device", "seconds_per_image", "hours_per_10000", "peak_process_bytes", "peak_gpu_bytes"]
    caption = "Cost of the generation; the times of different machines do not compare the models."
    return Table("cost", caption, head, tuple(rows), 2, pd.DataFrame(data, columns=columns))


def memory_figure(runs: Sequence[RunData], width: Width = "full") -> Drawing:
    """Highest memory use of each run's generation, one bar a run and kind of memory.

    Args:
        runs: The runs.
        width: Printed width.

    Returns:
        The figure `memory`; numbers have columns model, memory, bytes.

    Raises:
        InputError: no run recorded its memory.
    """
    rows = [(run.label, _MEMORY_NAMES[name], size) for run in runs for name, size in peak_bytes(run).items()]
    if not rows:
        raise InputError("no run recorded its peak memory")
    numbers = pd.DataFrame(rows, columns=["model", "memory", "bytes"])
    with paper_style():
        figure = Figure(figsize=(WIDTH_INCHES[width], 0.55 + 0.26 * len(rows)), layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.add_subplot()
        labels = [run.label for run in runs]
        sizes = [size / GIB for _, _, size in rows]
        colors = [series_style(labels.index(label)).color for label, _, _ in rows]
        axes.barh(range(len(rows)), sizes, color=colors, height=0.72)
        axes.invert_yaxis()
        longest = 24 if width == "column" else 60
        axes.set_yticks(range(len(rows)), [drawable(f"{label}, {kind}", longest) for label, kind, _ in rows])
        for place, size in enumerate(sizes):
            axes.annotate(f"{size:.2f}", (size, place), xytext=(3, 0), textcoords="offset points", va="center")
        axes.margins(x=0.14)
        axes.grid(False, axis="y")
        axes.set_xlabel("peak memory, GiB")
        freeze_layout(figure)
    told = "; ".join(f"{label}, {kind}: {size / GIB:.2f} GiB" for label, kind, size in rows)
    title = "Peak memory of the generation"
    return Drawing(drawing_name("memory", width), title, f"Bar chart. {told}.", figure, numbers)


def duration(seconds: float) -> str:
    """A time in words with about two digits: "45 s", "12 min", "3.4 h", "2.1 days"."""
    for unit, size, most in (("s", 1, 120), ("min", 60, 7200), ("h", 3600, 172_800)):
        if seconds < most:
            return f"{_number(seconds / size)} {unit}"
    return f"{_number(seconds / 86_400)} days"


def _number(value: float) -> str:
    return format_value(value, decimals_for([value]))
