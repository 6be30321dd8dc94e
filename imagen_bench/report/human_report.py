"""The report of a human evaluation: tables, figures, and one page that opens offline."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from imagen_bench.errors import InputError
from imagen_bench.files import atomic_write_text
from imagen_bench.report.human_figures import Results, category_bars, overall_bars
from imagen_bench.report.human_figures_forest import net_forest, score_forest, strength_figure
from imagen_bench.report.human_figures_quality import quality_figure
from imagen_bench.report.human_tables import human_tables, overall_words
from imagen_bench.report.page import PAGE, template_environment
from imagen_bench.report.sections import Chart, make_chart
from imagen_bench.report.style import Drawing, Width, save_drawing
from imagen_bench.report.svg import theme_variables
from imagen_bench.report.tables import Table, save_table

_WIDTHS: tuple[Width, ...] = ("full", "column")
_BAR_WORDS = (
    "Diamonds with thin bars: the two cuts between the answers, with their 95 % intervals. Dashed: 50 %. In brackets: "
    "number of prompts; † fewer than 10."
)
_CAPTIONS = {
    "preference": "Share of prompts' ratings for each arm, over all prompts. " + _BAR_WORDS,
    "categories": "The same in each category. " + _BAR_WORDS,
    "net": "Net preference with 95 % intervals. Filled: the arms differ, by a test (in categories after Holm's "
    "correction) and by an interval without 0.",
    "scores": "Mean score with 95 % intervals.",
    "strengths": "Bradley-Terry strengths with 95 % intervals, and the win rates they are fitted to, ties as half.",
    "quality": "One row a rater. Dashed: the study's limits, or half for sides. The shaded band is the interval of the "
    "left share of all. Below: Krippendorff's alpha with its 95 % interval.",
}

CardFields = Mapping[str, Sequence[tuple[str, str]]]


def write_human_report(results: Results, card: CardFields, out: Path) -> Path:
    """Write tables, figures and the page of a scored study.

    Args:
        results: Content of results.json.
        card: Sections of the study card: names and texts.
        out: Folder that gets `index.html`, which needs none of the other files, `figures/` (PNG, SVG, PDF, CSV) and
            `tables/` (CSV, Markdown, LaTeX).

    Returns:
        The path of the page.
    """
    tables = human_tables(results)
    for table in tables:
        save_table(table, out / "tables")
    charts, missing = _charts(results, out)
    page = out / PAGE
    atomic_write_text(page, _render(results, card, tables, charts, [*missing, *results["metrics"]["missing"]]))
    return page


def draw_human_figures(results: Results) -> tuple[dict[str, tuple[Drawing, ...]], list[str]]:
    """Draw every figure that the results allow.

    Returns:
        Drawings by file stem, full width first and column width second (of the second pair of arms on, full width
        alone), and sentences about what is missing.
    """
    plans: dict[str, Callable[[Width], Drawing]] = {}
    pairs = list(dict.fromkeys((row["arm_a"], row["arm_b"]) for row in results.get("preference") or []))
    if pairs:
        plans["preference"] = lambda width: overall_bars(results, width)
    for number, pair in enumerate(pairs, start=1):
        suffix = "" if number == 1 else f"_{number}"
        plans[f"categories{suffix}"] = _of_pair(category_bars, results, pair, f"categories{suffix}")
        plans[f"net{suffix}"] = _of_pair(net_forest, results, pair, f"net{suffix}")
    if results.get("scores"):
        plans["scores"] = lambda width: score_forest(results, width)
    missing = [fit["refused"] + "." for fit in results.get("bradley_terry") or [] if fit["refused"]]
    if results.get("bradley_terry"):
        plans["strengths"] = lambda width: strength_figure(results, width)
    drawn = {}
    for key, draw in plans.items():
        try:
            drawn[key] = tuple(draw(width) for width in (_WIDTHS if "_" not in key else _WIDTHS[:1]))
        except InputError as error:
            missing.append(f"Figure not drawn: {error}.")
    drawn["quality"] = (quality_figure(results),)
    return drawn, missing


def _of_pair(
    draw: Callable[[Results, tuple[str, str], str, Width], Drawing], results: Results, pair: tuple[str, str], name: str
) -> Callable[[Width], Drawing]:
    return lambda width: draw(results, pair, name, width)


def _charts(results: Results, out: Path) -> tuple[list[Chart], list[str]]:
    drawn, missing = draw_human_figures(results)
    charts = []
    for key, drawings in drawn.items():
        for drawing in drawings:
            save_drawing(drawing, out / "figures")
        caption = f"{drawings[0].title}. {_CAPTIONS[key.partition('_')[0]]}"
        charts.append(make_chart(key, (drawings[0], drawings[-1]), caption, out))
    return charts, missing


def _render(
    results: Results, card: CardFields, tables: Sequence[Table], charts: Sequence[Chart], missing: Sequence[str]
) -> str:
    light, dark = theme_variables()
    arms = results["arms"]
    title = (
        f"Human evaluation of {', '.join(arms[:-1])} and {arms[-1]}"
        if len(arms) > 1
        else f"Human evaluation of {arms[0]}"
    )
    return (
        template_environment()
        .get_template("human.html.j2")
        .render(
            results=results,
            title=title,
            findings=overall_words(results),
            card=card,
            tables=tables,
            charts=[chart for chart in charts if chart.key != "quality"],
            quality=next(chart for chart in charts if chart.key == "quality"),
            missing=list(dict.fromkeys(missing)),
            light=light,
            dark=dark,
        )
    )
