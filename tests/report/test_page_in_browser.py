"""The page in a real browser: nothing refused or fetched, nothing overflows, readable text, filters."""

from __future__ import annotations

import base64
import hashlib
import io
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image

from imagen_bench.report.browser import Browser as SamplesBrowser
from imagen_bench.report.browser import write_sheets
from imagen_bench.report.page import template_environment

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def address(hostile_report: Path) -> str:
    return hostile_report.as_uri()


@pytest.fixture(scope="module")
def beside(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page with the samples browser alone, all of whose thumbnails lie beside it: 70 samples of one weight."""
    out = tmp_path_factory.mktemp("beside")
    rows = [
        {
            "c": 0,
            "p": f"prompt {n}",
            "d": f"id-{n}",
            "f": "",
            "s": [n // 60, n % 60, (60, 10)[n // 60]],
            "m": "1",
            "v": [],
        }
        for n in range(70)
    ]
    index = {"weights": ["2"], "categories": ["all"], "score": "", "rows": rows, "link": ""}
    files = {f"samples/run1-{n:04d}.jpg": jpeg(96, 96 * lines) for n, lines in enumerate((60, 10))}
    shown = SamplesBrowser("run1", index | {"sheets": list(files)}, files, 70, 0, 70)
    write_sheets([shown], out)
    environment = template_environment()
    script = environment.get_template("report.js.j2").render()
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = f"default-src 'none'; img-src data: 'self' file:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"
    page = out / "index.html"
    page.write_text(
        f'<!doctype html><html lang="en"><meta http-equiv="Content-Security-Policy" content="{policy}">'
        "<style>.thumb { display: block; width: 96px; height: 96px; }</style>"
        f'<div data-browser="run1"></div><script type="application/json" id="run1-samples">{shown.json}</script>'
        f"<script>{script}</script></html>",
        encoding="utf-8",
    )
    return page


def jpeg(width: int, height: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (width, height), "teal").save(buffer, format="JPEG")
    return buffer.getvalue()


def visit(browser: Browser, address: str, width: int, scheme: Any = "light") -> tuple[Page, list[str]]:
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    told: list[str] = []
    page.on("console", lambda message: told.append(message.text))
    page.on("pageerror", lambda error: told.append(str(error)))
    page.on(
        "request",
        lambda request: None if request.url.startswith(("file:", "data:")) else told.append(request.url),
    )
    page.goto(address)
    return page, told


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_page_is_quiet_fits_and_is_readable(
    browser: Browser, address: str, poor_contrast: Callable[[Page], list[str]], width: int, scheme: str
) -> None:
    page, told = visit(browser, address, width, scheme)
    page.evaluate("document.querySelectorAll('details').forEach((part) => { part.open = true; })")
    assert page.locator(".thumb").count() > 0
    assert told == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert poor_contrast(page) == []
    shown = [chart.is_visible() for chart in page.locator(".wide svg, .narrow svg").all()]
    assert sum(shown) * 2 == len(shown)
    page.close()


def test_filters_narrow_the_samples(browser: Browser, address: str) -> None:
    page, told = visit(browser, address, 1280)
    category, weight = page.locator(".bar select").all()
    category.select_option(label="counting")
    weight.select_option(label="2")
    words = [item.get_attribute("aria-label") for item in page.locator(".thumb").all()]
    assert words == ["two apples (w = 2)", "three cats (w = 2)"]
    drawn = page.locator(".thumb").first.evaluate("(node) => getComputedStyle(node).backgroundImage")
    assert drawn.startswith('url("data:image/jpeg;base64,')
    page.locator(".bar input").fill("TWO")
    assert page.locator(".bar output").inner_text() == "1 sample"
    page.keyboard.press("Tab")
    assert page.locator(".sample a").first.evaluate("(node) => node === document.activeElement")
    link = page.locator(".sample a").first
    assert (Path(address.removeprefix("file://")).parent / str(link.get_attribute("href"))).is_file()
    assert told == []
    page.close()


def test_thumbnails_beside_the_page_load_when_they_are_shown(browser: Browser, beside: Path) -> None:
    page, told = visit(browser, beside.as_uri(), 1280)
    loaded = """(node) => new Promise((done) => {
      const image = new Image();
      image.onload = () => done(image.naturalWidth);
      image.onerror = () => done(0);
      image.src = getComputedStyle(node).backgroundImage.slice(5, -2);
    })"""
    assert page.locator(".pages span").inner_text() == "page 1 of 2"
    rules = "[...document.styleSheets[0].cssRules].map((rule) => rule.selectorText)"
    assert ".run1-sheet-1" not in page.evaluate(rules)
    page.get_by_role("button", name="Later").click()
    assert page.locator(".pages span").inner_text() == "page 2 of 2"
    assert page.locator(".thumb").first.evaluate(loaded) == 96
    assert ".run1-sheet-1" in page.evaluate(rules)
    assert told == []
    page.close()


def test_missing_thumbnails_say_so(browser: Browser, beside: Path, tmp_path: Path) -> None:
    alone = tmp_path / "mailed.html"
    alone.write_bytes(beside.read_bytes())
    page, _ = visit(browser, alone.as_uri(), 1280)
    page.wait_for_function(
        """() => getComputedStyle(document.querySelector(".thumb"), "::after").content.includes("not beside")"""
    )
    page.close()


def test_without_script_strips_and_a_hint_remain(browser: Browser, address: str) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(address)
    assert page.locator(".bar").count() == 0
    assert page.get_by_text("The samples browser needs JavaScript").is_visible()
    assert page.locator(".strips img").first.is_visible()
    context.close()
