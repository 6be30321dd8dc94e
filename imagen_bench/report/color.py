"""Contrast of colours, and colours dark enough to read as text (WCAG 2.2, success criterion 1.4.3)."""

from __future__ import annotations

from matplotlib.colors import to_hex, to_rgb

READABLE = 4.5
Rgb = tuple[float, float, float]


def contrast_ratio(a: Rgb, b: Rgb) -> float:
    """Contrast of two sRGB colours in 0-1, from 1 to 21 (WCAG 2.2, definition of contrast ratio)."""
    high, low = sorted((_luminance(a), _luminance(b)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def _luminance(color: Rgb) -> float:
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in color)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def readable(color: str, background: str) -> str:
    """The colour, moved towards black or white until it contrasts with the background by at least 4.5.

    Args:
        color: Any matplotlib colour.
        background: Colour it is written on.

    Returns:
        Hex colour of the same hue.
    """
    start, ground = to_rgb(color), to_rgb(background)
    end = 0.0 if _luminance(ground) > 0.18 else 1.0
    for step in range(101):
        red, green, blue = (part + (end - part) * step / 100 for part in start)
        mixed = (red, green, blue)
        if contrast_ratio(mixed, ground) >= READABLE:
            return to_hex(mixed)
    return to_hex((end, end, end))
