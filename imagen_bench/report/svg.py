"""Putting matplotlib's SVG into a page: accessible, without outside addresses, in the page's own colours."""

from __future__ import annotations

import re

from markupsafe import Markup

from imagen_bench.report.color import readable
from imagen_bench.report.style import GRID, INK, MUTED, PALETTE, PAPER, TEXT_COLORS

DARK_PAPER = "#15191e"
_DARK = {"ink": "#e8ebee", "muted": "#a7b0ba", "grid": "#323a43", "paper": DARK_PAPER}


def theme_variables() -> tuple[dict[str, str], dict[str, str]]:
    """CSS variables of the colours in figures, for a light and for a dark page.

    Returns:
        Two mappings from variable name (without dashes) to hex colour.
    """
    light = {"ink": INK, "muted": MUTED, "grid": GRID, "paper": PAPER}
    dark = dict(_DARK)
    for place, (line, text) in enumerate(zip(PALETTE, TEXT_COLORS, strict=True)):
        light[f"series-{place}"], light[f"series-text-{place}"] = line, text
        dark[f"series-{place}"] = dark[f"series-text-{place}"] = readable(line, DARK_PAPER)
    return light, dark


def inline_svg(svg: bytes, prefix: str, title: str, desc: str) -> Markup:
    """Turn an SVG file of matplotlib into markup for an HTML page.

    Ids get a prefix, since several figures share one page; the XML prolog, metadata, comments, style sheet
    and name spaces go; colours of our palette become CSS variables, so that a dark page recolours the figure.

    Args:
        svg: The file.
        prefix: Unique on the page; letters, digits and dashes.
        title: Short title.
        desc: What the figure shows, in words.

    Returns:
        An `<svg role="img">` element.
    """
    text = svg.decode("utf-8")
    for pattern in (r"<!--.*?-->", r"<metadata>.*?</metadata>", r"<style\b.*?</style>"):
        text = re.sub(pattern, "", text, flags=re.DOTALL)
    opening = re.search(r"<svg\b[^>]*>", text)
    if opening is None:
        return Markup("")
    box = re.search(r'viewBox="([-0-9. ]+)"', opening.group())
    body = text[opening.end() :]
    body = re.sub(r'\bid="', f'id="{prefix}-', body)
    body = re.sub(r'href="#', f'href="#{prefix}-', body)
    body = body.replace("url(#", f"url(#{prefix}-")
    body = re.sub(r"#[0-9a-f]{6}\b", _to_variable, body)
    head = Markup(
        '<svg class="chart" role="img" viewBox="{box}" aria-labelledby="{p}-title {p}-desc">'
        '<title id="{p}-title">{title}</title><desc id="{p}-desc">{desc}</desc>'
    ).format(box=box.group(1) if box else "0 0 1 1", p=prefix, title=title, desc=desc)
    return head + Markup(body.strip())


def _to_variable(found: re.Match[str]) -> str:
    return _VARIABLES.get(found.group(), found.group())


def _to_variables() -> dict[str, str]:
    light, _ = theme_variables()
    found: dict[str, str] = {}
    for name, color in light.items():
        found.setdefault(color.lower(), f"var(--{name})")
    return found


_VARIABLES = _to_variables()
