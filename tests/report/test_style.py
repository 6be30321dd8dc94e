"""The style leaves no trace behind, ignores the user's, and takes any text."""

from __future__ import annotations

import matplotlib as mpl
import pytest
from matplotlib.figure import Figure

from imagen_bench.report.style import Series, drawable, paper_style, series_style


def test_global_settings_are_restored_and_not_used() -> None:
    with mpl.rc_context({"font.size": 31.0}):
        with paper_style():
            assert mpl.rcParams["font.size"] == 8.0
        assert mpl.rcParams["font.size"] == 31.0


def test_twelve_series_can_be_told_apart_without_colour() -> None:
    looks: list[Series] = [series_style(place) for place in range(12)]
    assert len({(look.marker, str(look.line)) for look in looks}) == 12
    assert len({(look.color, look.marker) for look in looks}) == 12


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a $x^2$ cat", r"a \$x^2\$ cat"),
        ("_hidden", " _hidden"),
        ("two\nlines", "two lines"),
        ("猫 cat", "□ cat"),
    ],
)
def test_any_text_can_be_drawn(text: str, shown: str) -> None:
    assert drawable(text) == shown
    with paper_style():
        figure = Figure(figsize=(2, 1))
        figure.text(0, 0, drawable(text))
        figure.draw_without_rendering()


def test_long_text_ends_in_an_ellipsis() -> None:
    assert drawable("abcdefghij", 5) == "abcd…"
