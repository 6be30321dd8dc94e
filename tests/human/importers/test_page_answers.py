"""What the rater page's own code writes, run in a browser, is what an import reads."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import pytest

from imagen_bench.human.importing import import_files

pytestmark = pytest.mark.browser
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
ARGUMENTS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
ANSWERS = ["left", "tie", "right", "unable"]
FILL = """async (values) => {
  state.rater = "=Zoë 7";
  let number = 0;
  for (const item of sheet.items) {
    for (const question of sheet.questions) {
      setAnswer(item, question, values[number++ % values.length]);
      put("milliseconds", item, question, 1000 + number);
    }
  }
  state.comments[sheet.items[0].item_id] = '=1+1 "schön",\\nzwei';
  const given = sheet.items.map((item) => [item.item_id, state.answers[item.item_id]]);
  return [Object.fromEntries(given), toCsv(), await toJson()];
}"""


def test_the_pages_csv_and_json(study: Path, tmp_path: Path) -> None:
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    executable = next(filter(None, map(shutil.which, NAMES)), None)
    if executable is None:
        pytest.skip(f"no Chromium found (looked for {', '.join(NAMES)})")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=ARGUMENTS)
        page = browser.new_page()
        page.goto((study / "public" / "sheet_S01.html").as_uri())
        given, table, record = page.evaluate(FILL, ANSWERS)
        browser.close()
    (tmp_path / "a.csv").write_bytes(table.encode("utf-8"))
    (tmp_path / "a.json").write_bytes(record.encode("utf-8"))
    result = import_files(study, [tmp_path / "a.csv", tmp_path / "a.json"])
    assert (result.problems, result.warnings) == ((), ())
    assert (result.counts.new, result.counts.unchanged, len(result.raters)) == (10, 10, 1)
    with (study / "private/answers.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert {(row["item_id"], row["question"], row["answer"]) for row in rows} == {
        (item, question, answer) for item, row in given.items() for question, answer in row.items()
    }
    assert sorted(float(row["seconds"]) for row in rows) == [1 + number / 1000 for number in range(1, 11)]
    comments = (study / "private/comments.csv").read_text(encoding="utf-8")
    assert '"\'=1+1 ""schön"",\nzwei"' in comments
    (tmp_path / "b.json").write_bytes(record.replace('"left"', '"tie"').encode("utf-8"))
    assert "was changed after its download" in import_files(study, [tmp_path / "b.json"], dry_run=True).warnings[0]
