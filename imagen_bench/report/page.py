"""The report of one or several runs: one page that opens offline, figures, tables, scores."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import jinja2
import pandas as pd
from markupsafe import Markup

from imagen_bench.assets import asset
from imagen_bench.errors import RunFolderError
from imagen_bench.files import atomic_write_text
from imagen_bench.report.data import RunData, check_protocols, load_runs
from imagen_bench.report.figures import Figures, draw_figures
from imagen_bench.report.metric_words import metrics_of
from imagen_bench.report.sections import page_context
from imagen_bench.report.style import save_drawing
from imagen_bench.report.svg import theme_variables
from imagen_bench.report.tables import Table, category_table, headline_table, save_table

PAGE = "index.html"
TEMPLATES = "reports/templates"


def write_report(runs: Sequence[Path], out: Path, force: bool = False) -> Path:
    """Write a report from run folders alone.

    What a run does not have yet is left out, and the page says so.

    Args:
        runs: Run folders, at least one.
        out: Folder of the report; made if it is missing. It gets `index.html`, which needs none of the other
            files, `figures/` (PNG, SVG, PDF, and CSV of the plotted numbers), `tables/` (CSV, Markdown,
            LaTeX) and `scores.csv`.
        force: Show scores of different protocols together, with a warning on the page.

    Returns:
        The path of `index.html`.

    Raises:
        ProtocolError: scores were made by different protocols and `force` is not set.
        RunFolderError: a folder is no run folder or is broken, or `out` is a file.
    """
    if out.exists() and not out.is_dir():
        raise RunFolderError(f"{out} is a file, expected a folder for the report: give another --out")
    data = load_runs(runs)
    conflicts = check_protocols(data, force)
    figures = draw_figures(data)
    tables = _tables(data)
    for drawing in figures.all:
        save_drawing(drawing, out / "figures")
    for table in tables:
        save_table(table, out / "tables")
    scores = _scores_csv(data)
    if scores:
        atomic_write_text(out / "scores.csv", scores)
    page = out / PAGE
    atomic_write_text(page, render_page(data, out, conflicts, figures, tables, scores))
    return page


def render_page(
    runs: Sequence[RunData],
    out: Path,
    conflicts: dict[str, tuple[str, ...]],
    figures: Figures,
    tables: Sequence[Table],
    scores: str,
) -> str:
    """The whole page as HTML; the same inputs give the same text.

    Args:
        runs: The runs shown.
        out: Folder of the report; its figures are written already.
        conflicts: Metrics shown in spite of different protocols.
        figures: What was drawn.
        tables: What was tabulated.
        scores: Content of scores.csv, empty if there are no scores.

    Returns:
        HTML without outside addresses.
    """
    environment = template_environment()
    environment.filters["pretty"] = lambda value: json.dumps(value, indent=2, ensure_ascii=False)
    light, dark = theme_variables()
    script = environment.get_template("report.js.j2").render()
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")
    context = page_context(runs, out, conflicts, figures, tables)
    return environment.get_template("report.html.j2").render(
        **context,
        light=light,
        dark=dark,
        script=Markup(script),
        script_digest=digest,
        scores_uri=_csv_uri(scores),
    )


def template_environment() -> jinja2.Environment:
    """Return the environment of the shipped templates: escaping on, an unknown variable is an error."""
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(asset(TEMPLATES)),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def _tables(runs: Sequence[RunData]) -> list[Table]:
    metrics = metrics_of(runs)
    found = [headline_table(runs, metrics), *(category_table(runs, metric) for metric in metrics)]
    return [table for table in found if table is not None]


def _scores_csv(runs: Sequence[RunData]) -> str:
    """The scores as they are for one run; with a column `run` in front for several."""
    filled = [run for run in runs if len(run.scores)]
    if len(runs) == 1 and filled:
        return (filled[0].path / "scores.csv").read_text(encoding="utf-8")
    frames = [run.scores.assign(n=run.scores["n"].astype("Int64")) for run in filled]
    for run, frame in zip(filled, frames, strict=True):
        frame.insert(0, "run", run.label)
    return pd.concat(frames).to_csv(index=False, lineterminator="\n") if frames else ""


def _csv_uri(text: str) -> str:
    if not text:
        return ""
    return "data:text/csv;charset=utf-8;base64," + base64.b64encode(text.encode()).decode("ascii")
