"""The style leaves no trace behind, ignores the user's, and takes any text."""

from __future__ import annotations

import itertools
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from imagen_bench.report.style import PALETTE, Series, drawable, paper_style, series_style


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


# Deuteranopia and protanopia as matrices on linear sRGB (Machado, Oliveira and Fernandes 2009, severity 1).
VISION = {
    "full": np.eye(3),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    "protanopia": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
}
SRGB_TO_XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)
WHITE = np.array([0.95047, 1.0, 1.08883])


def lab(color: str, vision: str) -> Any:
    """CIELAB of a colour as somebody sees it, D65."""
    encoded = np.array(to_rgb(color))
    linear = np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
    share = SRGB_TO_XYZ @ np.clip(VISION[vision] @ linear, 0, 1) / WHITE
    f = np.where(share > 216 / 24389, np.cbrt(share), (24389 / 27 * share + 16) / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize("vision", VISION)
def test_colours_stay_apart_for_colour_blind_readers(vision: str) -> None:
    # A just noticeable difference is about 2.3 (CIE 1976); 15 is a plain one at the size of a marker.
    seen = [lab(color, vision) for color in PALETTE]
    assert min(np.linalg.norm(a - b) for a, b in itertools.combinations(seen, 2)) > 15


def test_series_of_one_grey_differ_in_marker_and_line() -> None:
    looks = [series_style(place) for place in range(6)]
    for a, b in itertools.combinations(looks, 2):
        if abs(lab(a.color, "full")[0] - lab(b.color, "full")[0]) < 10:
            assert a.marker != b.marker
            assert a.line != b.line


def test_long_text_ends_in_an_ellipsis() -> None:
    assert drawable("abcdefghij", 5) == "abcd…"
