"""The page in a real browser: nothing refused or fetched, nothing overflows, readable text, filters."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.browser
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
ARGUMENTS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]

# Contrast of each piece of text with the nearest opaque background behind it, by WCAG's formula.
CONTRAST = """() => {
  const parse = (css) => (css.match(/[\\d.]+/g) || []).map(Number);
  const light = (c) => c.slice(0, 3).map((v) => v / 255)
    .map((v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const ground = (node) => {
    for (let at = node; at; at = at.parentElement) {
      const c = parse(getComputedStyle(at).backgroundColor);
      if (c.length === 3 || c[3] > 0) return c;
    }
    return [255, 255, 255];
  };
  const poor = [];
  for (const node of document.querySelectorAll("body *:not(svg *):not(script)")) {
    const own = [...node.childNodes].some((child) => child.nodeType === 3 && child.textContent.trim());
    if (!own || !node.getClientRects().length) continue;
    const [a, b] = [light(parse(getComputedStyle(node).color)), light(ground(node))].sort((x, y) => y - x);
    if ((a + 0.05) / (b + 0.05) < 4.5) poor.push(node.textContent.trim().slice(0, 40));
  }
  return poor;
}"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    executable = next(filter(None, map(shutil.which, NAMES)), None)
    if executable is None:
        pytest.skip(f"no Chromium found (looked for {', '.join(NAMES)})")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def address(hostile_report: Path) -> str:
    return hostile_report.as_uri()


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
def test_page_is_quiet_fits_and_is_readable(browser: Browser, address: str, width: int, scheme: str) -> None:
    page, told = visit(browser, address, width, scheme)
    page.evaluate("document.querySelectorAll('details').forEach((part) => { part.open = true; })")
    assert told == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate(CONTRAST) == []
    shown = [chart.is_visible() for chart in page.locator(".wide svg, .narrow svg").all()]
    assert sum(shown) * 2 == len(shown)
    page.close()


def test_filters_narrow_the_samples(browser: Browser, address: str) -> None:
    page, _ = visit(browser, address, 1280)
    category, weight = page.locator(".bar select").all()
    category.select_option("counting")
    weight.select_option("2")
    visible = [item for item in page.locator(".sample img").all() if item.is_visible()]
    assert [item.get_attribute("alt") for item in visible] == ["two apples (w = 2)", "three cats (w = 2)"]
    page.locator(".bar input").fill("TWO")
    assert page.locator(".bar output").inner_text() == "1 prompt"
    page.close()


def test_without_script_the_samples_open_and_close(browser: Browser, address: str) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(address)
    first = page.locator(".browser details").first
    assert page.locator(".bar").count() == 0
    assert not first.locator("img").first.is_visible()
    first.locator("summary").click()
    assert first.locator("img").first.is_visible()
    context.close()
