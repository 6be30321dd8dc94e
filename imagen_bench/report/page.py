"""The report of one or several runs: one page that opens offline, figures, tables, scores."""

from __future__ import annotations

import base64
import hashlib
import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd
from markupsafe import Markup

from imagen_bench.assets import asset
from imagen_bench.errors import InputError, RunFolderError
from imagen_bench.files import atomic_write_text
from imagen_bench.report.browser import EMBEDDED_BYTES, MOST_IMAGES, Browser, build_browser, write_sheets
from imagen_bench.report.cost import cost_table
from imagen_bench.report.data import RunData, check_protocols, load_runs
from imagen_bench.report.differences import differences_table
from imagen_bench.report.figures import draw_figures
from imagen_bench.report.metric_words import metrics_of
from imagen_bench.report.page_images import browser_words
from imagen_bench.report.published import ALIKE, UNLIKE, is_published_protocol, published_table
from imagen_bench.report.sections import Shown, page_context, run_link, sheets_link
from imagen_bench.report.style import save_drawing
from imagen_bench.report.svg import theme_variables
from imagen_bench.report.sweep_tables import sweep_tables
from imagen_bench.report.tables import Table, category_table, headline_table, save_table

PAGE = "index.html"
TEMPLATES = "reports/templates"
SINGLE_FILE_BYTES = 10_000_000
_TYPES = {
    ".csv": "text/csv;charset=utf-8",
    ".md": "text/markdown;charset=utf-8",
    ".tex": "application/x-tex;charset=utf-8",
    ".pdf": "application/pdf",
}
_LARGEST_FILE = 100_000


@dataclass(frozen=True)
class ReportOptions:
    """What a report shows.

    Attributes:
        force: Show scores of different protocols together, with a warning on the page.
        published: Show published values although the protocols differ, with a warning on the page.
        images: Images in the samples browser at most.
    """

    force: bool = False
    published: bool = False
    images: int = MOST_IMAGES


def write_report(runs: Sequence[Path], out: Path, options: ReportOptions | None = None) -> Path:
    """Write a report from run folders alone.

    What a run does not have yet is left out, and the page says so.

    Args:
        runs: Run folders, at least one.
        out: Folder of the report; made if it is missing. It gets `index.html`, which opens without the other
            files, `figures/` (PNG, SVG, PDF, and CSV of the plotted numbers), `tables/` (CSV, Markdown, LaTeX),
            `scores.csv`, and `samples/` with thumbnails that have no room in the page.
        options: What to show.

    Returns:
        The path of `index.html`.

    Raises:
        ProtocolError: scores were made by different protocols and `force` is not set.
        RunFolderError: a folder is no run folder or is broken, or `out` is a file.
    """
    options = options or ReportOptions()
    if out.exists() and not out.is_dir():
        raise RunFolderError(f"{out} is a file, expected a folder for the report: give another --out")
    data = load_runs(runs)
    shown = _write_parts(data, out, options)
    context = page_context(data, shown, out) | {"scores_uri": _csv_uri(out / "scores.csv"), "single": False}
    browsers = []
    for run, view in zip(data, context["runs"], strict=True):
        inside = EMBEDDED_BYTES // len(data)
        browser = build_browser(
            run, view["key"], metrics_of(data), most_images=options.images, inside_bytes=inside, link=run_link(run, out)
        )
        browsers.append(browser)
        view["sheets"] = sheets_link(run, out)
    write_sheets([browser for browser in browsers if browser is not None], out)
    page = out / PAGE
    atomic_write_text(page, render_page(context, browsers))
    return page


def write_single_file(
    runs: Sequence[Path], out: Path, options: ReportOptions | None = None, most_bytes: int = SINGLE_FILE_BYTES
) -> Path:
    """Write a report as one HTML file that holds its tables, figures and thumbnails, such as for an e-mail.

    Args:
        runs: Run folders, at least one.
        out: The file.
        options: What to show.
        most_bytes: Size of the file at most: the samples browser gets the room that the rest leaves.

    Returns:
        `out`.

    Raises:
        InputError: the page without its samples browser is larger than `most_bytes`.
        ProtocolError: scores were made by different protocols and `force` is not set.
        RunFolderError: a folder is no run folder or is broken, or `out` is a folder.
    """
    options = options or ReportOptions()
    if out.is_dir():
        raise RunFolderError(f"{out} is a folder, expected a file for the report: give an --out that ends in .html")
    data = load_runs(runs)
    metrics = metrics_of(data)
    with tempfile.TemporaryDirectory() as folder:
        parts = Path(folder)
        shown = _write_parts(data, parts, options)
        context = page_context(data, shown, parts, lambda path: _embedded(parts / path))
        context |= {"scores_uri": _csv_uri(parts / "scores.csv"), "single": True}
    context["runs"] = [view | {"sheets": ""} for view in context["runs"]]
    taken = len(render_page(context, [None] * len(data)).encode())
    if taken > most_bytes:
        raise InputError(
            f"the page takes {taken / 1e6:.1f} MB without its samples browser, expected at most "
            f"{most_bytes / 1e6:g} MB: give a larger --max-size, or fewer runs"
        )
    # Thumbnails get that share of the room: prompts and scores need the rest.
    for share in (0.9, 0.7, 0.4, 0.1, 0.0):
        inside = int(share * (most_bytes - taken)) // len(data)
        browsers = [
            build_browser(run, view["key"], metrics, most_images=options.images, inside_bytes=inside, beside=False)
            for run, view in zip(data, context["runs"], strict=True)
        ]
        page = render_page(context, browsers)
        if len(page.encode()) <= most_bytes:
            break
    atomic_write_text(out, page)
    return out


def render_page(context: Mapping[str, Any], browsers: Sequence[Browser | None]) -> str:
    """The whole page as HTML; the same inputs give the same text.

    Args:
        context: What `page_context` says, the scores as a data URI, whether the page is a single file, and the
            address of each run's rating sheets.
        browsers: The samples browser of each run; None for none.

    Returns:
        HTML without outside addresses.
    """
    environment = template_environment()
    environment.filters["pretty"] = lambda value: json.dumps(value, indent=2, ensure_ascii=False)
    light, dark = theme_variables()
    script = environment.get_template("report.js.j2").render()
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")
    runs = [
        view | {"browser": browser, "browser_words": browser_words(browser) if browser is not None else ""}
        for view, browser in zip(context["runs"], browsers, strict=True)
    ]
    shown = {
        "light": light,
        "dark": dark,
        "script": Markup(script),
        "script_digest": digest,
        "beside": any(browser is not None and browser.files for browser in browsers),
    }
    return environment.get_template("report.html.j2").render({**context, "runs": runs, **shown})


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


def _write_parts(runs: Sequence[RunData], out: Path, options: ReportOptions) -> Shown:
    """Write figures, tables and scores into `out`."""
    conflicts = check_protocols(runs, options.force)
    figures = draw_figures(runs, options.published)
    tables, missing = _tables(runs, options.published)
    for drawing in figures.all:
        save_drawing(drawing, out / "figures")
    for table in tables:
        save_table(table, out / "tables")
    scores = _scores_csv(runs)
    if scores:
        atomic_write_text(out / "scores.csv", scores)
    alike = all(is_published_protocol(run) for run in runs)
    return Shown(conflicts, ALIKE if alike else UNLIKE if options.published else "", figures, tables, missing)


def _tables(runs: Sequence[RunData], published: bool) -> tuple[list[Table], list[str]]:
    """The tables, and sentences about those that are missing."""
    metrics = metrics_of(runs)
    sweeps, missing = sweep_tables(runs, metrics)
    found = [
        headline_table(runs, metrics),
        *sweeps,
        *(category_table(runs, metric) for metric in metrics),
        published_table(runs, published),
        differences_table(runs) if len(runs) > 1 else None,
        cost_table(runs) if len(runs) > 1 else None,
    ]
    return [table for table in found if table is not None], missing


def _scores_csv(runs: Sequence[RunData]) -> str:
    """The scores as they are for one run; with a column `run` in front for several."""
    filled = [run for run in runs if len(run.scores)]
    if len(runs) == 1 and filled:
        return (filled[0].path / "scores.csv").read_text(encoding="utf-8")
    frames = [run.scores.assign(n=run.scores["n"].astype("Int64")) for run in filled]
    for run, frame in zip(filled, frames, strict=True):
        frame.insert(0, "run", run.label)
    return pd.concat(frames).to_csv(index=False, lineterminator="\n") if frames else ""


def _csv_uri(file: Path) -> str:
    """A CSV file as a data URI; empty where there is none."""
    if not file.is_file():
        return ""
    return f"data:{_TYPES['.csv']};base64," + base64.b64encode(file.read_bytes()).decode("ascii")


def _embedded(file: Path) -> str:
    """A small file as a data URI; empty for images, which the page holds anyway, and for large files."""
    kind = _TYPES.get(file.suffix)
    content = file.read_bytes() if kind is not None and file.is_file() else b""
    if kind is None or not 0 < len(content) <= _LARGEST_FILE:
        return ""
    return f"data:{kind};base64," + base64.b64encode(content).decode("ascii")
