"""A rater's session in a real browser, from disk: answers given are the answers in the files."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from imagen_bench.human.arms import Arm, ReferenceArm
from imagen_bench.human.export import export_study
from imagen_bench.human.questions import MODES, Mode, load_questions

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

pytestmark = pytest.mark.browser
TIMES = ("seconds_fidelity", "answered_at_fidelity", "seconds_alignment", "answered_at_alignment")


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
    page.click("#skip")


def saved(page: Page, button: str) -> bytes:
    with page.expect_download() as download:
        page.click(button)
    return Path(download.value.path()).read_bytes()


def rows_of(data: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(data.decode("utf-8-sig"), newline="")))


def test_an_untouched_sheet_downloads_as_the_exported_csv(context: BrowserContext, public: Path) -> None:
    page, problems = open_page(context, public / "sheet_S01.html")
    page.evaluate("showReview()")
    rows = rows_of(saved(page, "#save-csv"))
    assert {row.pop(name) for row in rows for name in TIMES} == {""}
    assert rows == rows_of((public / "sheet_S01.csv").read_bytes())
    assert problems == []


EXPECTED = [("left", "tie"), ("right", "unable"), ("left", "right"), ("tie", "left"), ("right", "tie")]


def begin_session(page: Page, prompt: str) -> None:
    """Answer the first four questions with keys and mouse, the first with a comment."""
    assert page.input_value("#rater") == "from-address"
    start(page, "=rater, 7")
    assert page.locator("legend q.caption").count() == 0
    page.keyboard.press("1")
    page.keyboard.press("Enter")
    assert page.locator("legend q.caption").text_content() == prompt
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
    for row in rows:
        seconds, moment, *others = (row.pop(name) for name in TIMES)
        assert float(seconds) > 0
        assert moment.endswith("Z")
        assert all(others)
    emptied = [{**row, "q_fidelity": "", "q_alignment": "", "comment": "", "rater_id": ""} for row in rows]
    assert emptied == untouched


def check_json(record: dict[str, Any], rows: list[dict[str, str]], timed: list[dict[str, str]]) -> None:
    digest = record.pop("sha256")
    text = json.dumps(record, ensure_ascii=False, separators=(",", ":"))
    assert hashlib.sha256(text.encode()).hexdigest() == digest
    given = {(row["item_id"], row["question"]): row["answer"] for row in record["answers"]}
    questions = ("fidelity", "alignment")
    assert given == {(row["item_id"], question): row[f"q_{question}"] for row in rows for question in questions}
    times = {(row["item_id"], row["question"]): row["seconds"] for row in record["answers"]}
    assert all(times[row["item_id"], name] == float(row[f"seconds_{name}"]) for row in timed for name in questions)
    assert all(row["seconds"] >= 0 and row["answered_at"].endswith("Z") for row in record["answers"])
    assert record["rater_id"] == "=rater, 7"


def test_a_session_with_keys_mouse_and_a_reload(context: BrowserContext, public: Path) -> None:
    untouched = rows_of((public / "sheet_S02.csv").read_bytes())
    page, problems = open_page(context, public / "sheet_S02.html", "?PROLIFIC_PID=from-address")
    begin_session(page, untouched[0]["prompt"].removeprefix("'"))
    page.reload()
    resume_session(page)
    finish_session(page)
    rows = rows_of(saved(page, "#save-csv"))
    timed = [dict(row) for row in rows]
    check_csv(rows, untouched)
    record = json.loads(saved(page, "#save-json"))
    check_json(record, rows, timed)
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


def test_practice_explains_each_answer_and_is_not_part_of_the_sheet(context: BrowserContext, public: Path) -> None:
    page, problems = open_page(context, public / "sheet_S01.html")
    assert page.locator("#example-pictures img").count() == 2
    assert "I prefer the right set" in (page.text_content("#example-answers") or "")
    page.fill("#rater", "r")
    page.click("#go")
    assert page.text_content("#progress") == "Practice 1 of 2, question 1 of 2"
    assert page.is_hidden("#overview")
    page.keyboard.press("1")
    assert (page.text_content("#feedback") or "").startswith("We would answer: I prefer the right set.")
    page.keyboard.press("2")
    assert (page.text_content("#feedback") or "").startswith("That is what we would answer too.")
    for _ in range(4):
        page.keyboard.press("Enter")
    assert page.is_visible("#ready")
    page.click("#begin")
    assert page.text_content("#progress") == "Comparison 1 of 5, question 1 of 2"
    assert page.is_hidden("#feedback")
    page.click("#overview")
    assert {row["q_fidelity"] for row in rows_of(saved(page, "#save-csv"))} == {""}
    page.reload()
    page.click("#go")
    assert page.text_content("#progress") == "Comparison 1 of 5, question 1 of 2"
    assert problems == []


@pytest.fixture(scope="module")
def studies(
    shared_arms: Sequence[Arm], photos: ReferenceArm, tmp_path_factory: pytest.TempPathFactory
) -> dict[Mode, Path]:
    """The public folder of a small study of each mode."""
    folder = tmp_path_factory.mktemp("studies")
    made = {}
    for mode in MODES:
        arms = [*shared_arms, photos][0 if mode == "sxs" else 1 :][:2]
        made[mode] = export_study(arms, folder / mode, mode=mode, prompts=3, sheets=1, controls=0.3).folder / "public"
    return made


@pytest.mark.parametrize("mode", [mode for mode in MODES if mode != "sxs"])
def test_a_whole_sheet_of_the_other_modes(context: BrowserContext, studies: dict[Mode, Path], mode: Mode) -> None:
    """Each answer in turn by its key or by clicking its label; a reload in the middle; then both files."""
    file = studies[mode] / "sheet_S01.html"
    instrument = load_questions(mode=mode)
    page, problems = open_page(context, file)
    start(page)
    untouched = rows_of((studies[mode] / "sheet_S01.csv").read_bytes())
    given: list[dict[str, str]] = []
    for number, row in enumerate(untouched):
        given.append({})
        for question in instrument.questions:
            answers = instrument.answers_of(question)
            answer = answers[(number + len(given[-1])) % len(answers)]
            caption = page.locator("legend q.caption").all_text_contents()
            assert caption == ([row["prompt"].removeprefix("'")] if question.shows_caption else [])
            if number % 2:
                page.keyboard.press(answer.key)
            else:
                page.locator("#choices").get_by_text(answer.label, exact=True).click()
            given[-1][f"q_{question.name}"] = answer.value
            if number == len(untouched) // 2:
                page.reload()
                page.click("#go")
            page.click("#next")
    assert page.is_visible("#done")
    rows = rows_of(saved(page, "#save-csv"))
    assert [{name: row[name] for name in given[0]} for row in rows] == given
    record = json.loads(saved(page, "#save-json"))
    assert {(row["item_id"], f"q_{row['question']}"): row["answer"] for row in record["answers"]} == {
        (row["item_id"], name): row[name] for row in rows for name in given[0]
    }
    assert record["completion_code"] == page.text_content("#code")
    assert problems == []


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    ("size", "scheme"), [((390, 780), "light"), ((640, 400), "dark")], ids=["phone", "zoomed to 200 percent, dark"]
)
def test_every_screen_fits_and_is_readable(
    browser: Browser,
    studies: dict[Mode, Path],
    poor_contrast: Callable[[Page], list[str]],
    mode: Mode,
    size: tuple[int, int],
    scheme: Any,
) -> None:
    context = browser.new_context(viewport={"width": size[0], "height": size[1]}, color_scheme=scheme)
    page, problems = open_page(context, studies[mode] / "sheet_S01.html")

    def check() -> None:
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert poor_contrast(page) == []

    page.evaluate("document.querySelectorAll('details').forEach((part) => { part.open = true; })")
    check()
    page.fill("#rater", "r")
    page.click("#go")
    page.keyboard.press("u")
    assert page.is_visible("#feedback")
    check()
    page.evaluate("showReady()")
    check()
    page.click("#begin")
    page.keyboard.press("1")
    check()
    page.locator("#next").scroll_into_view_if_needed()
    assert page.is_visible("#next")
    page.click("#overview")
    check()
    assert problems == []
    context.close()


def test_a_screen_reader_finds_one_named_group_of_choices(context: BrowserContext, studies: dict[Mode, Path]) -> None:
    page, _ = open_page(context, studies["likert5"] / "sheet_S01.html")
    start(page)
    group = page.get_by_role("group", name="Does the image look like an AI-generated photo or a real photo?")
    assert group.get_by_role("radio").count() == 6
    assert page.get_by_role("radio", name="Neutral", exact=True).count() == 1
    assert page.get_by_role("img", name="Image").count() == 1
    assert page.get_attribute("#progress", "aria-live") == "polite"
    assert page.get_by_role("progressbar", name="Image 1 of").count() == 1
    assert page.get_by_role("main").count() == 1
    assert page.evaluate("document.activeElement.id") == "question"
