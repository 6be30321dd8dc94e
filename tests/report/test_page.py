"""The page: complete, offline, accessible, safe with hostile text, honest about what is missing."""

from __future__ import annotations

import base64
import hashlib
import itertools
import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from imagen_bench.errors import ProtocolError, RunFolderError
from imagen_bench.report import style
from imagen_bench.report.page import ReportOptions, write_report

HOSTILE = "\"><script>alert('x')</script><img src=http://evil.example/x onerror=alert(1)> {{7*7}} $x$"
VOID = {"meta", "img", "br", "link", "input", "hr"}


class Page(HTMLParser):
    """What a page consists of: its tags with attributes, in order, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.source = text
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.text: list[str] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)

    def named(self, *names: str) -> list[dict[str, str]]:
        return [attributes for tag, attributes in self.tags if tag in names]


def read(index: Path) -> Page:
    return Page(index.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def report(hostile_report: Path) -> Path:
    return hostile_report


@pytest.fixture(scope="module")
def page(report: Path) -> Page:
    return read(report)


def test_every_tag_is_closed(page: Page) -> None:
    assert page.open == []


def test_hostile_text_stays_text(page: Page) -> None:
    assert [script.get("type") for script in page.named("script")] == ["application/json", None]
    assert not any(name.startswith("on") for _, attributes in page.tags for name in attributes)
    assert not page.named("i", "script src")
    assert any(HOSTILE in text for text in page.text)
    assert any(HOSTILE in image["alt"] for image in page.named("img"))
    assert "49" not in {text.strip() for text in page.text}


def test_nothing_is_fetched(page: Page) -> None:
    assert not page.named("link", "iframe", "object", "embed", "base", "form")
    sources = [a[key] for _, a in page.tags for key in ("src", "srcset", "data", "poster", "action") if key in a]
    assert sources
    assert all(source.startswith("data:image/") for source in sources)
    outside_scripts = re.sub(r"<script.*?</script>", "", page.source, flags=re.DOTALL)
    assert not re.search(r"@import|url\(\s*['\"]?(?!#)", outside_scripts)
    index = re.search(r'<script type="application/json"[^>]*>(.*?)</script>', page.source, re.DOTALL)
    assert index is not None
    sheets = json.loads(index.group(1))["sheets"]
    assert sheets
    assert all(sheet.startswith("data:image/jpeg;base64,") for sheet in sheets)
    hosts = [a["href"] for a in page.named("a", "use", "image") if re.match(r"[a-z]+:", a.get("href", ""))]
    assert all(host.startswith("data:text/csv") for host in hosts)


def test_policy_forbids_the_network_and_names_our_script(page: Page) -> None:
    policy = next(m["content"] for m in page.named("meta") if m.get("http-equiv") == "Content-Security-Policy")
    script = re.search(r"<script>(.*?)</script>", page.source, re.DOTALL)
    assert script is not None
    digest = base64.b64encode(hashlib.sha256(script.group(1).encode()).digest()).decode()
    assert "default-src 'none'" in policy
    assert f"script-src 'sha256-{digest}'" in policy
    assert "http:" not in policy
    assert "https:" not in policy


def test_images_and_charts_have_text(page: Page) -> None:
    assert page.named("img")
    assert all(image.get("alt", "").strip() for image in page.named("img"))
    assert all(svg["role"] == "img" and svg["aria-labelledby"] for svg in page.named("svg"))
    labelled = {name for svg in page.named("svg") for name in svg["aria-labelledby"].split()}
    assert labelled <= {attributes["id"] for _, attributes in page.tags if "id" in attributes}


def test_headings_are_in_order(page: Page) -> None:
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))


def test_ids_are_unique_and_links_inside_the_page_arrive(page: Page) -> None:
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    inside = [a["href"][1:] for a in page.named("a") if a.get("href", "").startswith("#")]
    assert inside
    assert set(inside) <= set(ids)


def test_table_heads_have_a_scope_and_scrolling_parts_a_key(page: Page) -> None:
    assert all(head.get("scope") in ("col", "row") for head in page.named("th"))
    regions = [a for a in page.named("div") if a.get("class") == "scroll"]
    assert regions
    assert all(a["tabindex"] == "0" and a["aria-label"] for a in regions)


def test_linked_files_are_there(report: Path, page: Page) -> None:
    links = [a["href"] for a in page.named("a") if not re.match(r"#|data:", a["href"])]
    assert {"scores.csv", "tables/headline.tex", "figures/pareto.pdf", "../sheets/public/"} <= set(links)
    assert all((report.parent / link).exists() for link in links)


def test_scores_travel_inside_the_page(report: Path, page: Page) -> None:
    inside = next(a["href"] for a in page.named("a") if a.get("download") == "scores.csv")
    assert base64.b64decode(inside.partition(",")[2]) == (report.parent.parent / "scores.csv").read_bytes()
    assert (report.parent / "scores.csv").read_bytes() == (report.parent.parent / "scores.csv").read_bytes()


def test_protocol_numbers_and_findings_are_said(page: Page) -> None:
    text = re.sub(r"\s+", " ", " ".join(page.text))
    for said in (
        "against 2,048 held-out images",
        "fd-emoji-bench-240x1-77ab01c2",
        "biased upward",
        "is not FID",
        "Not dominated: w = 2 and 5",
        "1.77 images a second, 0.564 seconds an image",
        "2 prompts were cut to what the text encoder takes.",
        "imagen-bench 0.1.0",
        "How to cite these numbers",
    ):
        assert said in text
    assert "FID" not in re.sub(r"is not FID", "", text)


def test_figures_are_written_in_all_formats(report: Path) -> None:
    names = {path.name for path in (report.parent / "figures").iterdir()}
    for stem in ("pareto", "pareto_column", "weights", "categories", "timing", "strips", "gallery", "contact_random"):
        assert {f"{stem}.{suffix}" for suffix in ("png", "svg", "pdf", "csv")} <= names


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Write SVG figures only: enough for the page."""
    monkeypatch.setattr(style, "SUFFIXES", ("svg",))


@pytest.mark.usefixtures("quick")
def test_equal_runs_give_equal_pages(report: Path, tmp_path: Path) -> None:
    run = tmp_path / "elsewhere"
    shutil.copytree(report.parent.parent, run, ignore=shutil.ignore_patterns("report"))
    again = write_report([run], run / "report")
    assert again.read_bytes() == report.read_bytes()


@pytest.mark.usefixtures("quick")
def test_mixed_protocols_are_refused_or_said(make_run: Any, tmp_path: Path) -> None:
    other = {"clip_score": "clip_score-emoji-bench-240x1-1f0c9a7e", "fd": "fd-emoji-bench-9x1-00000000"}
    options = {"weights": (1.0, 2.0), "per_category": 1, "with_samples": False}
    runs = [make_run("a", **options), make_run("b", model="second", protocols=other, **options)]
    with pytest.raises(ProtocolError, match="fd was scored by 2 protocols"):
        write_report(runs, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    page = read(write_report(runs, tmp_path / "out", ReportOptions(force=True)))
    text = " ".join(page.text)
    assert "Different protocols are shown together" in text
    assert "fd-emoji-bench-9x1-00000000" in text
    assert (tmp_path / "out" / "figures" / "categories_2.svg").is_file()
    header, first = (tmp_path / "out" / "scores.csv").read_text().splitlines()[:2]
    assert header.startswith("run,model,")
    assert first.startswith("imagen-emoji,imagen-emoji,emoji-bench,1.0,all,clip_score,")
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch(r"h[1-6]", tag)]
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))


def test_a_run_that_just_started_has_a_report(make_run: Any, tmp_path: Path) -> None:
    run = make_run(with_scores=False, with_samples=False)
    page = read(write_report([run], tmp_path / "out"))
    text = " ".join(page.text)
    assert "No images are generated yet." in text
    assert "No scores yet" in text
    assert page.open == []
    assert not (tmp_path / "out" / "scores.csv").exists()


@pytest.mark.usefixtures("quick")
def test_a_run_without_details_has_a_report(make_run: Any, tmp_path: Path) -> None:
    run = make_run(weights=(2.0,), per_category=1, gallery=0, with_scores=False)
    record = json.loads((run / "run.json").read_text())
    kept = {key: record[key] for key in ("schema", "name", "config")}
    (run / "run.json").write_text(json.dumps(kept))
    for image in (run / "images").rglob("*.png"):
        image.unlink()
    text = " ".join(read(write_report([run], tmp_path / "out")).text)
    assert "not there" in text
    assert "No gallery of enlarged images." in text
    assert "Nothing is scored yet." in text


def test_out_that_is_a_file_is_refused(make_run: Any, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("")
    with pytest.raises(RunFolderError, match="is a file"):
        write_report([make_run()], tmp_path / "out")
