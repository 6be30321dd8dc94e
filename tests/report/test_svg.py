"""Figures in the page: accessible, self-contained, with ids of their own."""

from __future__ import annotations

import re

from matplotlib.figure import Figure

from imagen_bench.report.style import Drawing, drawing_to_bytes, paper_style
from imagen_bench.report.svg import inline_svg


def figure_with(text: str) -> bytes:
    import pandas as pd

    with paper_style():
        figure = Figure(figsize=(2, 1))
        axes = figure.add_subplot()
        axes.plot([0, 1], [0, 1], "o-", color="#0072B2")
        axes.set_title(text)
    return drawing_to_bytes(Drawing("f", "t", "d", figure, pd.DataFrame()), "svg")


def test_role_title_and_description_are_escaped() -> None:
    markup = inline_svg(figure_with("x"), "a", "<b>title", 'd"esc & more')
    assert markup.startswith('<svg class="chart" role="img" viewBox="0 0 144 72" aria-labelledby="a-title a-desc">')
    assert '<title id="a-title">&lt;b&gt;title</title>' in markup
    assert "d&#34;esc &amp; more</desc>" in markup


def test_nothing_outside_is_named() -> None:
    markup = inline_svg(figure_with("x"), "a", "t", "d")
    assert not re.search(r"https?:|<metadata|<style|<!--|xmlns", markup)


def test_every_reference_points_to_an_id_of_the_same_figure() -> None:
    markup = inline_svg(figure_with("x"), "one", "t", "d")
    ids = re.findall(r'\bid="([^"]+)"', markup)
    used = re.findall(r'href="#([^"]+)"', markup) + re.findall(r"url\(#([^)]+)\)", markup)
    assert used
    assert set(used) <= set(ids)
    assert all(name.startswith("one-") for name in ids)
    assert len(ids) == len(set(ids))


def test_palette_follows_the_page_theme() -> None:
    markup = inline_svg(figure_with("x"), "a", "t", "d")
    assert "var(--series-0)" in markup
    assert "var(--paper)" in markup
    assert "#0072b2" not in markup
