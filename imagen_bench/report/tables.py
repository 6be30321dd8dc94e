"""Tables of a report: scores by weight and by category, as CSV, Markdown and LaTeX (booktabs)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from imagen_bench.bench.pareto import best_index
from imagen_bench.errors import InputError
from imagen_bench.files import atomic_write_text
from imagen_bench.report.data import OVERALL, RunData, floats
from imagen_bench.report.metric_words import (
    Metric,
    decimals_for,
    format_interval,
    format_value,
    pareto_axes,
    pareto_points,
)

FORMATS = {"csv": "CSV", "md": "Markdown", "tex": "LaTeX"}
"""Suffix and name of the formats that a table is written in."""
_LATEX = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "↑": r"$\uparrow$",
    "↓": r"$\downarrow$",
    "–": "--",
    "é": r"\'e",
}


@dataclass(frozen=True)
class Cell:
    """A table cell: the text, a quieter addition (an interval), and whether it is the best of its kind."""

    text: str
    note: str = ""
    best: bool = False


@dataclass(frozen=True)
class Table:
    """A table for people, and the numbers behind it.

    Attributes:
        name: File stem.
        caption: What the table shows.
        head: Column heads.
        rows: Cells; the first `headers` of each row name the row.
        headers: Number of naming columns.
        data: The same as raw numbers.
        prose: Number of columns at the end that hold sentences.
    """

    name: str
    caption: str
    head: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    headers: int
    data: pd.DataFrame
    prose: int = 0


def headline_table(runs: Sequence[RunData], metrics: Sequence[Metric]) -> Table | None:
    """One row a model and guidance weight: every overall score, n, and the front; None without scores."""
    frames = [run.overall(metric.name).assign(model=run.label) for run in runs for metric in metrics]
    data = pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()
    if data.empty:
        return None
    front = _front(runs, metrics)
    several = len(runs) > 1
    head = [*(["Model"] if several else []), "w", *(f"{m.label} {m.arrow}" for m in metrics), "n"]
    rows = []
    for run in runs:
        by_metric = [_column(run, metric) for metric in metrics]
        for weight in sorted(set(data.loc[data["model"] == run.label, "guidance_weight"])):
            naming = [Cell(run.label)] if several else []
            counts = data.loc[(data["model"] == run.label) & (data["guidance_weight"] == weight), "n"]
            scores = [column.get(weight, Cell("–")) for column in by_metric]
            row = [*naming, Cell(f"{weight:g}"), *scores, Cell(_count(counts))]
            if front:
                row.append(Cell("no" if (run.label, weight) not in front else "yes"))
            rows.append(tuple(row))
    if front:
        head.append("Pareto front")
    columns = ["model", "guidance_weight", "metric", "value", "low", "high", "n", "protocol"]
    whose = "each model's best value" if several else "the best value"
    caption = f"Scores by guidance weight, with 95 % intervals; {whose} of each score is marked."
    return Table("headline", caption, tuple(head), tuple(rows), 2 if several else 1, data[columns])


def category_table(runs: Sequence[RunData], metric: Metric) -> Table | None:
    """One row a category (and model), one column a guidance weight; None if the metric has no categories."""
    frames = [
        pd.concat([parts, run.overall(metric.name)]).assign(model=run.label)
        for run in runs
        if len(parts := run.per_category(metric.name))
    ]
    if not frames:
        return None
    data = pd.concat(frames, ignore_index=True)
    weights = sorted(set(data["guidance_weight"]))
    decimals, several = decimals_for(data["value"]), len(runs) > 1
    rows = []
    for (model, category), group in data.groupby(["model", "category"], sort=False):
        values = group.set_index("guidance_weight")["value"].reindex(weights)
        best = _best(values.to_numpy(), metric)
        cells = [Cell(format_value(value, decimals), best=place == best) for place, value in enumerate(values)]
        name = "all prompts" if category == OVERALL else str(category)
        rows.append((*([Cell(str(model))] if several else []), Cell(name), Cell(_count(group["n"])), *cells))
    head = [*(["Model"] if several else []), "Category", "n", *(f"w = {weight:g}" for weight in weights)]
    columns = ["model", "category", "guidance_weight", "metric", "value", "low", "high", "n", "protocol"]
    caption = f"{metric.label} ({metric.direction}) by prompt category; the best weight of each row is marked."
    return Table(f"categories_{metric.name}", caption, tuple(head), tuple(rows), 2 if several else 1, data[columns])


def save_table(table: Table, folder: Path) -> list[Path]:
    """Write a table as CSV (raw numbers), Markdown and LaTeX into `folder`; returns the paths."""
    contents = {"csv": to_csv(table), "md": to_markdown(table), "tex": to_latex(table)}
    for suffix, text in contents.items():
        atomic_write_text(folder / f"{table.name}.{suffix}", text)
    return [folder / f"{table.name}.{suffix}" for suffix in contents]


def to_csv(table: Table) -> str:
    """The raw numbers for a spreadsheet: with a byte order mark, and no text cell that runs as a formula."""
    data = table.data.copy()
    for column in data.columns:
        if not pd.api.types.is_numeric_dtype(data[column]):
            data[column] = [_no_formula(str(value)) for value in data[column]]
    return "\ufeff" + data.to_csv(index=False, lineterminator="\n")


def to_markdown(table: Table) -> str:
    """A GitHub Markdown table with its caption."""
    lines = [_markdown_row(table.head), _markdown_row(["---"] * len(table.head))]
    for row in table.rows:
        texts = [f"**{_markdown(cell.text)}**" if cell.best else _markdown(cell.text) for cell in row]
        lines.append(_markdown_row([f"{text} {cell.note}".strip() for text, cell in zip(texts, row, strict=True)]))
    return f"{table.caption}\n\n" + "\n".join(lines) + "\n"


def to_latex(table: Table) -> str:
    r"""A booktabs table without a float, ready for \\input; needs the package booktabs."""
    naming, numbers = "l" * table.headers, "r" * (len(table.head) - table.headers - table.prose)
    lines = [
        f"% {' '.join(table.caption.split())}",
        rf"\begin{{tabular}}{{{naming}{numbers}{'l' * table.prose}}}",
        r"\toprule",
        " & ".join(map(_latex, table.head)) + r" \\",
        r"\midrule",
    ]
    for row in table.rows:
        texts = [rf"\textbf{{{_latex(cell.text)}}}" if cell.best else _latex(cell.text) for cell in row]
        notes = [rf" {{\footnotesize {_latex(cell.note)}}}" if cell.note else "" for cell in row]
        lines.append(" & ".join(a + b for a, b in zip(texts, notes, strict=True)) + r" \\")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}"]) + "\n"


def _column(run: RunData, metric: Metric) -> dict[float, Cell]:
    rows = run.overall(metric.name)
    values = rows["value"].to_numpy()
    best, decimals = _best(values, metric), decimals_for(values)
    return {
        weight: Cell(format_value(value, decimals), format_interval(low, high, decimals), place == best)
        for place, (weight, value, low, high) in enumerate(floats(rows, "guidance_weight", "value", "low", "high"))
    }


def _front(runs: Sequence[RunData], metrics: Sequence[Metric]) -> set[tuple[str, float]]:
    axes = pareto_axes(metrics)
    if axes is None:
        return set()
    points = pareto_points(runs, *axes)
    kept = points[points["non_dominated"]]
    return set(zip(kept["model"], kept["guidance_weight"], strict=True))


def _best(values: np.ndarray, metric: Metric) -> int | None:
    try:
        return best_index(values, metric.higher_is_better)
    except InputError:
        return None


def _count(counts: pd.Series) -> str:
    return " / ".join(f"{int(count):,}" for count in sorted(set(counts.dropna()))) or "–"


def _no_formula(text: str) -> str:
    """A leading apostrophe keeps spreadsheets from running the cell (OWASP, CSV injection)."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text


def _markdown_row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _markdown(text: str) -> str:
    plain = " ".join(text.split()).replace("\\", "\\\\")
    for char in "|*_`<>[]":
        plain = plain.replace(char, f"\\{char}")
    return plain


def _latex(text: str) -> str:
    return "".join(_LATEX.get(char, char) for char in " ".join(text.split()))
