"""A rater's session in a real browser, from disk: answers given are the answers in the files."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from imagen_bench.human.arms import Arm
from imagen_bench.human.export import export_study

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

pytestmark = pytest.mark.browser
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
ARGUMENTS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]


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
def public(shared_arms: Sequence[Arm], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export_study(shared_arms, tmp_path_factory.mktemp("out") / "study", sheets=2).folder / "public"


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    context = browser.new_context(viewport={"width": 1200, "height": 800})
    yield context
    context.close()


def open_page(context: BrowserContext, file: Path, query: str = "") -> tuple[Page, list[str]]:
    """Open a page; the list collects errors, blocked content and requests that leave the disk."""
    page, problems = context.new_page(), []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("console", lambda message: problems.append(message.text))
    page.on("requestfailed", lambda request: problems.append(request.url))
    page.on(
        "request",
        lambda request: None if request.url.startswith(("file:", "blob:")) else problems.append(request.url),
    )
    page.goto(file.as_uri() + query)
    return page, problems


def start(page: Page, rater: str = "rater 7") -> None:
    page.fill("#rater", rater)
    page.click("#go")
    page.wait_for_selector("#rate:not([hidden])")


def saved(page: Page, button: str) -> bytes:
    with page.expect_download() as download:
        page.click(button)
    return Path(download.value.path()).read_bytes()


def rows_of(data: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(data.decode("utf-8-sig"), newline="")))


def test_an_untouched_sheet_downloads_as_the_exported_csv(context: BrowserContext, public: Path) -> None:
    page, problems = open_page(context, public / "sheet_S01.html")
    page.evaluate("showReview()")
    assert saved(page, "#save-csv") == (public / "sheet_S01.csv").read_bytes()
    assert problems == []


EXPECTED = [("left", "tie"), ("right", "unable"), ("left", "right"), ("tie", "left"), ("right", "tie")]


def begin_session(page: Page, prompt: str) -> None:
    """Answer the first four questions with keys and mouse, the first with a comment."""
    assert page.input_value("#rater") == "from-address"
    start(page, "=rater, 7")
    assert page.locator("q.caption").count() == 0
    page.keyboard.press("1")
    page.keyboard.press("Enter")
    assert page.locator("q.caption").text_content() == prompt
    page.keyboard.press("0")
    page.click("#remark summary")
    page.fill("#comment", '+both, "fine" 1 2 u')
    page.click("#next")
    page.get_by_label("I prefer the right set").check()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("u")


def resume_session(page: Page) -> None:
    """Check that a reloaded page kept everything, and go on to the last question but one."""
    assert page.input_value("#rater") == "=rater, 7"
    assert "2 of 5 comparisons are complete" in (page.text_content("#resume") or "")
    page.click("#go")
    assert page.text_content("#progress") == "Comparison 2 of 5, question 2 of 2"
    assert page.is_checked("input[value=unable]")
    page.keyboard.press("ArrowLeft")
    assert page.is_checked("input[value=right]")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    for key in "12012":
        page.keyboard.press(key)
        page.keyboard.press("Enter")


def finish_session(page: Page) -> None:
    """Skip the last question, find it in the overview, answer it."""
    assert page.text_content("#next") == "Finish"
    page.keyboard.press("Enter")
    assert page.is_hidden("#done")
    page.check("#only-open")
    assert page.locator("#list button").all_text_contents() == ["Comparison 5 1 of 2"]
    page.click("#list button")
    assert page.text_content("#progress") == "Comparison 5 of 5, question 2 of 2"
    page.keyboard.press("0")
    page.keyboard.press("Enter")
    assert page.is_visible("#done")


def check_csv(rows: list[dict[str, str]], untouched: list[dict[str, str]]) -> None:
    assert [(row["q_fidelity"], row["q_alignment"]) for row in rows] == EXPECTED
    assert [row["comment"] for row in rows] == ['\'+both, "fine" 1 2 u', "", "", "", ""]
    assert {row["rater_id"] for row in rows} == {"'=rater, 7"}
    emptied = [{**row, "q_fidelity": "", "q_alignment": "", "comment": "", "rater_id": ""} for row in rows]
    assert emptied == untouched


def check_json(record: dict[str, Any], rows: list[dict[str, str]]) -> None:
    digest = record.pop("sha256")
    text = json.dumps(record, ensure_ascii=False, separators=(",", ":"))
    assert hashlib.sha256(text.encode()).hexdigest() == digest
    given = {(row["item_id"], row["question"]): row["answer"] for row in record["answers"]}
    questions = ("fidelity", "alignment")
    assert given == {(row["item_id"], question): row[f"q_{question}"] for row in rows for question in questions}
    assert all(row["milliseconds"] >= 0 and row["answered_at"].endswith("Z") for row in record["answers"])
    assert record["rater_id"] == "=rater, 7"


def test_a_session_with_keys_mouse_and_a_reload(context: BrowserContext, public: Path) -> None:
    untouched = rows_of((public / "sheet_S02.csv").read_bytes())
    page, problems = open_page(context, public / "sheet_S02.html", "?PROLIFIC_PID=from-address")
    begin_session(page, untouched[0]["prompt"].removeprefix("'"))
    page.reload()
    resume_session(page)
    finish_session(page)
    rows = rows_of(saved(page, "#save-csv"))
    check_csv(rows, untouched)
    record = json.loads(saved(page, "#save-json"))
    check_json(record, rows)
    study = json.loads((public.parent / "private" / "study.json").read_text(encoding="utf-8"))
    entry = study["sheets"][1]
    assert record["completion_code"] == page.text_content("#code") == entry["completion_code"]
    assert record["sheet_hash"] == entry["hash"]
    assert problems == []


def test_pictures_load_fit_the_window_and_zoom_together(context: BrowserContext, public: Path) -> None:
    page, problems = open_page(context, public / "sheet_S01.html")
    start(page)
    sizes = page.evaluate("['left', 'right'].map(id => document.getElementById(id).naturalWidth)")
    assert sizes == [26, 26]
    assert page.evaluate("document.documentElement.scrollHeight <= innerHeight")
    before = page.locator("#left").bounding_box()
    page.keyboard.press("z")
    after = page.locator("#left").bounding_box()
    assert before
    assert after
    assert after["width"] > 2 * before["width"]
    page.evaluate("document.querySelectorAll('.pane')[0].scrollTo(40, 30)")
    # Two frames: the browser reports scrolling once a frame. (The policy forbids playwright's own polling.)
    page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    assert page.evaluate("document.querySelectorAll('.pane')[1].scrollLeft") == 40
    page.keyboard.press("z")
    assert page.get_attribute("#zoom", "aria-pressed") == "false"
    assert problems == []


def test_keys_can_be_switched_off_and_can_go_on_by_themselves(context: BrowserContext, public: Path) -> None:
    page, _ = open_page(context, public / "sheet_S01.html")
    page.click("text=Keyboard and settings")
    page.uncheck("#hotkeys")
    start(page)
    page.keyboard.press("1")
    assert page.locator("input[name=answer]:checked").count() == 0
    page.click("#help")
    page.check("#hotkeys")
    page.check("#advance")
    page.click("#go")
    page.keyboard.press("2")
    assert page.text_content("#progress") == "Comparison 1 of 5, question 2 of 2"
    # Arrows up and down still choose within the group, as in any form, and never move on.
    page.focus("input[value=left]")
    page.keyboard.press("ArrowDown")
    assert page.is_checked("input[value=tie]")
    assert page.text_content("#progress") == "Comparison 1 of 5, question 2 of 2"


def test_sheets_do_not_share_answers_and_a_download_can_be_loaded(
    context: BrowserContext, public: Path, tmp_path: Path
) -> None:
    page, _ = open_page(context, public / "sheet_S01.html")
    start(page)
    page.keyboard.press("2")
    page.click("#overview")
    file = tmp_path / "earlier.json"
    file.write_bytes(saved(page, "#save-json"))

    other, _ = open_page(context, public / "sheet_S02.html")
    assert other.is_hidden("#resume")
    other.click("text=Load answers from an earlier download")
    other.set_input_files("#earlier", file)
    other.wait_for_selector("#notice:not([hidden])")
    assert other.text_content("#notice") == "This file was downloaded from another sheet."

    page.reload()
    page.on("dialog", lambda dialog: dialog.accept())
    page.click("#restart")
    assert page.is_hidden("#resume")
    page.click("text=Load answers from an earlier download")
    page.set_input_files("#earlier", file)
    page.wait_for_selector("#resume:not([hidden])")
    page.click("#go")
    assert page.text_content("#progress") == "Comparison 1 of 5, question 2 of 2"
    page.keyboard.press("ArrowLeft")
    assert page.is_checked("input[value=right]")


def test_a_browser_that_keeps_nothing_says_so(browser: Browser, public: Path) -> None:
    context = browser.new_context()
    context.add_init_script(
        "Object.defineProperty(window, 'localStorage', {get() { throw new DOMException('denied'); }})"
    )
    page, _ = open_page(context, public / "sheet_S01.html")
    start(page)
    page.keyboard.press("1")
    assert "does not keep your answers" in (page.text_content("#notice") or "")
    page.click("#overview")
    assert rows_of(saved(page, "#save-csv"))[0]["q_fidelity"] == "left"
    context.close()


def test_a_missing_picture_is_explained(context: BrowserContext, public: Path, tmp_path: Path) -> None:
    shutil.copy(public / "sheet_S01.html", tmp_path)
    page, _ = open_page(context, tmp_path / "sheet_S01.html")
    start(page)
    page.wait_for_selector("#notice:not([hidden])")
    assert "unpack the whole zip file" in (page.text_content("#notice") or "")


@pytest.mark.parametrize("size", [(390, 780), (640, 400)], ids=["phone", "zoomed to 200 percent"])
def test_small_windows_scroll_in_one_direction_only(browser: Browser, public: Path, size: tuple[int, int]) -> None:
    context = browser.new_context(viewport={"width": size[0], "height": size[1]})
    page, _ = open_page(context, public / "sheet_S01.html")
    start(page)
    for press in ("1", "Enter"):
        page.keyboard.press(press)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.locator("#next").scroll_into_view_if_needed()
    assert page.is_visible("#next")
    context.close()
