"""Contrast against values that WCAG's own tools give."""

from __future__ import annotations

import pytest
from matplotlib.colors import to_rgb

from imagen_bench.report.color import contrast_ratio, readable
from imagen_bench.report.style import MUTED, PALETTE, PAPER
from imagen_bench.report.svg import DARK_PAPER, theme_variables


@pytest.mark.parametrize(
    ("a", "b", "ratio"),
    [("#000000", "#ffffff", 21.0), ("#777777", "#ffffff", 4.48), ("#ff0000", "#ffffff", 4.0)],
)
def test_known_ratios(a: str, b: str, ratio: float) -> None:
    assert contrast_ratio(to_rgb(a), to_rgb(b)) == pytest.approx(ratio, abs=0.005)


@pytest.mark.parametrize("ground", [PAPER, DARK_PAPER])
@pytest.mark.parametrize("color", PALETTE)
def test_text_colours_are_readable(color: str, ground: str) -> None:
    assert contrast_ratio(to_rgb(readable(color, ground)), to_rgb(ground)) >= 4.5


def test_page_text_is_readable_in_both_themes() -> None:
    light, dark = theme_variables()
    assert light["muted"] == MUTED
    for theme in (light, dark):
        for name in ("ink", "muted"):
            assert contrast_ratio(to_rgb(theme[name]), to_rgb(theme["paper"])) >= 4.5
