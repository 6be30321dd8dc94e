"""Published values that a report may draw beside its own: the COCO table of the Imagen paper, each with its source.

They are drawn by themselves where the protocol is the same in name (FID of 30,000 images for coco-30k), and on
request elsewhere. They are never mixed with the runs' scores: not in their tables, not in their CSV files.
"""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import pandas as pd

from imagen_bench.assets import asset
from imagen_bench.report.data import RunData
from imagen_bench.report.metric_words import decimals_for, format_interval, format_value
from imagen_bench.report.tables import Cell, Table

FILE = "reports/templates/published.toml"
ALIKE = (
    "Published values are as their papers print them: prompts, reference crop, resizing and Inception weights are not "
    "stated there or differ, so small differences mean nothing."
)
UNLIKE = (
    "Published values were asked for, but the protocols differ: they are FID of 30,000 images for COCO captions. No "
    "value of this report may be compared with them."
)


@dataclass(frozen=True)
class Published:
    """A value that a paper printed.

    Attributes:
        model: Name of the model.
        fid: FID-30K on COCO.
        zero_shot: Whether the model was not trained on COCO.
        guidance_weight: Guidance weight of the base model; None where the paper uses none or states none.
        source: Paper.
        note: What else there is to know.
    """

    model: str
    fid: float
    zero_shot: bool
    guidance_weight: float | None
    source: str
    note: str


@cache
def published_values() -> tuple[Published, ...]:
    """The shipped values, zero-shot models first."""
    table = tomllib.loads(asset(FILE).read_text(encoding="utf-8"))
    return tuple(
        Published(
            row["model"],
            float(row["fid"]),
            bool(row["zero_shot"]),
            row.get("guidance_weight"),
            table["sources"][row["source"]],
            row["note"],
        )
        for row in table["values"]
    )


def is_published_protocol(run: RunData) -> bool:
    """Whether a run's FID is of 30,000 images for the prompt set coco-30k."""
    table = tomllib.loads(asset(FILE).read_text(encoding="utf-8"))
    rows = run.overall(table["metric"])
    alike = str(run.section("prompts").get("id")) == table["prompts"]
    return alike and len(rows) > 0 and bool((rows["n"] == table["images"]).all())


def drawn_values(runs: Sequence[RunData], asked: bool) -> tuple[Published, ...]:
    """Values for figures of FID: those of zero-shot models, where protocols match or the user asked."""
    if not (asked or all(is_published_protocol(run) for run in runs)):
        return ()
    return tuple(value for value in published_values() if value.zero_shot)


def published_table(runs: Sequence[RunData], asked: bool) -> Table | None:
    """Published FID-30K values and each run's own best FID; None where nobody asked and the protocol is another."""
    alike = all(is_published_protocol(run) for run in runs)
    if not (asked or alike):
        return None
    rows, data = [], []
    for run in runs if alike else ():
        own = run.overall("fid").dropna(subset=["value"])
        if own.empty:
            continue
        best = own.iloc[int(own["value"].to_numpy(dtype=float).argmin())]
        decimals = decimals_for(own["value"])
        value = Cell(
            format_value(best["value"], decimals), format_interval(best["low"], best["high"], decimals), best=True
        )
        where = f"w = {best['guidance_weight']:g}"
        rows.append((Cell(run.label), value, Cell("–"), Cell(where), Cell("this report")))
        data.append([run.label, best["value"], None, best["guidance_weight"], "this report", ""])
    for known in published_values():
        weight = f"w = {known.guidance_weight:g}" if known.guidance_weight is not None else "–"
        zero_shot = "yes" if known.zero_shot else "no"
        source = f"{known.source}. {known.note}"
        rows.append((Cell(known.model), Cell(f"{known.fid:.2f}"), Cell(zero_shot), Cell(weight), Cell(source)))
        data.append([known.model, known.fid, known.zero_shot, known.guidance_weight, known.source, known.note])
    columns = ["model", "fid", "zero_shot", "guidance_weight", "source", "note"]
    head = ("Model", "FID-30K ↓", "Zero-shot", "Guidance", "Source")
    caption = f"FID of 30,000 images for COCO captions, as published. {ALIKE if alike else UNLIKE}"
    return Table("published", caption, head, tuple(rows), 1, pd.DataFrame(data, columns=columns), prose=1)
