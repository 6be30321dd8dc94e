"""The page in a real browser: nothing refused or fetched, nothing overflows, readable text, filters."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.browser


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
def test_page_is_quiet_fits_and_is_readable(
    browser: Browser, address: str, poor_contrast: Callable[[Page], list[str]], width: int, scheme: str
) -> None:
    page, told = visit(browser, address, width, scheme)
    page.evaluate("document.querySelectorAll('details').forEach((part) => { part.open = true; })")
    assert told == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert poor_contrast(page) == []
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
