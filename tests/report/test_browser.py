"""The samples browser: every thumbnail is the image that its index says, within the budget of the page."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from imagen_bench.report.browser import CELL, Browser, build_browser, write_sheets
from imagen_bench.report.data import load_runs
from imagen_bench.report.metric_words import metrics_of

WEIGHTS = (1.0, 2.0, 5.0)


def built(path: Path, **options: Any) -> Browser:
    (run,) = load_runs([path])
    browser = build_browser(run, "run1", metrics_of([run]), **options)
    assert browser is not None
    return browser


def opened(browser: Browser, number: int) -> Any:
    source = browser.index["sheets"][number]
    content = browser.files.get(source) or base64.b64decode(source.partition(",")[2])
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB"), dtype=float)


def shown(browser: Browser, row: dict[str, Any], column: int) -> Any:
    sheet, line, lines = row["s"]
    pixels = opened(browser, sheet)
    assert pixels.shape[:2] == (CELL * lines, CELL * len(WEIGHTS))
    return pixels[CELL * line : CELL * (line + 1), CELL * column : CELL * (column + 1)]


@pytest.mark.parametrize("inside_bytes", [10_000_000, 0])
def test_each_thumbnail_is_its_image(make_run: Any, inside_bytes: int) -> None:
    path = make_run(weights=WEIGHTS)
    browser = built(path, inside_bytes=inside_bytes)
    assert bool(browser.files) == (inside_bytes == 0)
    assert (browser.shown, browser.inside, browser.total) == (30, 0 if inside_bytes == 0 else 30, 30)
    samples = pd.read_parquet(path / "samples.parquet")
    for row in browser.index["rows"]:
        for column, weight in enumerate(WEIGHTS):
            file = path / f"images/w={weight:g}" / row["f"]
            picture = np.asarray(Image.open(file).resize((CELL, CELL), Image.Resampling.LANCZOS), dtype=float)
            assert np.abs(shown(browser, row, column) - picture).mean() < 8  # JPEG
    order = samples.drop_duplicates("prompt_id")["prompt"].tolist()
    assert [row["p"] for row in browser.index["rows"]] == order


def test_few_images_are_taken_from_all_categories_in_turn(make_run: Any) -> None:
    browser = built(make_run(weights=WEIGHTS, per_category=4), most_images=21)
    assert browser.shown == 21
    assert [row["c"] for row in browser.index["rows"]] == [0, 0, 1, 1, 2, 3, 4]


def test_a_page_for_the_mail_keeps_to_its_bytes(make_run: Any) -> None:
    path = make_run(weights=WEIGHTS, per_category=12)
    whole = built(path, inside_bytes=10**9)
    first = len(whole.index["sheets"][0])
    browser = built(path, inside_bytes=first + 1, beside=False)
    assert len(browser.index["sheets"]) == 1
    assert browser.files == {}
    assert 0 < browser.shown == browser.inside < browser.total
    (run,) = load_runs([path])
    assert build_browser(run, "run1", [], inside_bytes=0, beside=False) is None


def test_an_image_that_is_not_there_is_marked(make_run: Any) -> None:
    path = make_run(weights=WEIGHTS)
    (path / "images/w=2/0000/col-01_0.png").unlink()
    browser = built(path)
    masks = {row["f"]: row["m"] for row in browser.index["rows"]}
    assert masks["0000/col-01_0.png"] == "101"
    assert set(masks.values()) == {"111", "101"}
    assert browser.shown == 29


def test_scores_stand_beside_their_weight(make_run: Any) -> None:
    browser = built(make_run(weights=WEIGHTS, sample_scores={("sin-01", 2.0): 0.87654}))
    (row,) = [row for row in browser.index["rows"] if row["f"] == "0000/sin-01_0.png"]
    assert browser.index["score"] == "CLIP score"
    assert row["v"][1] == 0.8765


def test_prompts_cannot_close_the_script(make_run: Any) -> None:
    hostile = "</script><script>alert(1)</script><!-- & --> \u2028"
    browser = built(make_run(weights=(2.0,), categories=("color",), prompts_of={"color": hostile}))
    assert "<" not in browser.json
    assert "&" not in browser.json
    assert json.loads(str(browser.json))["rows"][0]["p"] == hostile


def test_sheets_of_an_earlier_report_go_and_foreign_files_stay(tmp_path: Path) -> None:
    folder = tmp_path / "samples"
    folder.mkdir()
    for name in ("run1-0000.jpg", "run1-0007.jpg", "holiday.jpg"):
        (folder / name).write_bytes(b"old")
    write_sheets([Browser("run1", {}, {"samples/run1-0000.jpg": b"new"}, 1, 0, 1)], tmp_path)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {
        "run1-0000.jpg": b"new",
        "holiday.jpg": b"old",
    }


def test_a_run_without_images_has_no_browser(make_run: Any) -> None:
    (run,) = load_runs([make_run(with_samples=False)])
    assert build_browser(run, "run1", []) is None
