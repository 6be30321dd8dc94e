"""Tables, figures and page of a human evaluation, drawn from results alone."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from imagen_bench.report.human_figures import category_bars, overall_bars
from imagen_bench.report.human_figures_forest import net_forest, score_forest, strength_figure
from imagen_bench.report.human_figures_quality import quality_figure
from imagen_bench.report.human_report import draw_human_figures, write_human_report
from imagen_bench.report.human_tables import human_tables, overall_words, p_value
from imagen_bench.report.style import drawing_to_bytes

ARMS = ("imagen", "=evil_<b>$x$")
HOSTILE = ARMS[1]


def estimate(name: str, value: float, half: float) -> dict[str, float]:
    return {name: value, f"{name}_low": value - half, f"{name}_high": value + half}


def preference(arm_a: str, arm_b: str, question: str, category: str, net: float, prompts: int) -> dict[str, Any]:
    return {
        "arm_a": arm_a, "arm_b": arm_b, "question": question, "category": category, "n_prompts": prompts,
        "n_ratings": 5 * prompts, "n_raters": 5, **estimate("share_a", 0.4 + net / 2, 0.05),
        **estimate("share_tie", 0.2, 0.04), **estimate("share_b", 0.4 - net / 2, 0.05), **estimate("net", net, 0.1),
        **estimate("win_rate", (1 + net) / 2, 0.05), "p": 0.00001 if net > 0.1 else 0.4, "p_sign_flip": 0.5,
        "p_holm": None if category == "all" else 0.03 if net > 0.1 else 0.8, "method": "two-way bootstrap",
        "different": net > 0.1, "few_prompts": prompts < 10,
    }  # fmt: skip


def rater(number: int, **more: Any) -> dict[str, Any]:
    return {
        "rater": f"r_{number:06x}", "assigned": 40, "answered": 40, "unable": 0, "controls": 5, "controls_passed": 5,
        "repeats": 4, "repeats_same": 3, "sided": 30, "left": 15, "seconds": 8.0, "straight": 0.5, "flags": [],
        "excluded": [], "answered_share": 1.0, "control_share": 1.0, "repeat_share": 0.75, "left_share": 0.5, **more,
    }  # fmt: skip


def fit(refused: str = "", arms: tuple[str, ...] = ARMS) -> dict[str, Any]:
    rates = [[None, 0.6], [0.4, None]]
    row = {"question": "fidelity", "arms": list(arms), "win_rates": rates, "refused": refused}
    known = {
        "theta": [0.2, -0.2],
        "theta_low": [0.1, -0.3],
        "theta_high": [0.3, -0.1],
        "elo": [1035, 965],
        "n_prompts": 200,
    }
    return row if refused else {**row, **known}


@pytest.fixture
def results() -> dict[str, Any]:
    sizes = {"all": 32, "Colors": 25, "Rare Words": 7}
    leads = {"all": 0.2, "Colors": 0.3, "Rare Words": 0.0}
    rows = [
        preference(*ARMS, question, category, leads[category], size)
        for question in ("fidelity", "alignment")
        for category, size in sizes.items()
    ]
    return {
        "schema": 1, "tool": "imagen-bench", "seed": 0, "study_id": "s", "mode": "sxs", "arms": list(ARMS),
        "references": [], "questions": [{"name": "fidelity", "text": "?"}, {"name": "alignment", "text": "?"}],
        "categories": ["Colors", "Rare Words"], "preference": rows, "majority": [], "coco": [],
        "bradley_terry": [fit()],
        "agreement": [{"question": "fidelity", "scale": "nominal", "n_units": 32, "n_ratings": 160, "alpha": 0.2,
                       "low": 0.1, "high": 0.3, "percent": 0.5}],
        "all_raters": None, "metrics": {"rows": [], "points": [], "missing": ["No metric scores of imagen."]},
        "counts": {"raters": 2, "raters_excluded": 1, "answers_used": 160, "prompts": 32},
        "quality": {"rule": "a rater is excluded if ...", "min_control_pass": 0.8, "min_answered": 0.5,
                    "speed_fraction": 0.3, "controls": 10, "controls_passed": 7, "repeats": 8, "repeats_same": 6,
                    "sides": {"left_share": 0.5, "left_share_low": 0.45, "left_share_high": 0.55, "sided": 60,
                              "method": "t"},
                    "raters": [rater(0), rater(1, control_share=0.4, excluded=["controls 2 of 5"], flags=["speeder"])]},
        "method": dict.fromkeys(("test", "family", "agreement", "bradley_terry"), "made so"),
    }  # fmt: skip


def test_bars_add_up_and_hold_their_numbers(results: dict[str, Any]) -> None:
    drawing = category_bars(results, ARMS, "categories")
    numbers = drawing.numbers
    assert numbers["category"].tolist() == ["all", "Colors", "Rare Words"] * 2
    assert np.allclose(numbers[["share_a", "share_tie", "share_b"]].sum(axis=1), 1)
    for axis in drawing.figure.axes:
        bars = [patch for patch in axis.patches if patch.get_width() > 0]  # type: ignore[attr-defined]
        assert sum(bar.get_width() for bar in bars) == pytest.approx(3.0)  # type: ignore[attr-defined]
    labels = [text.get_text() for text in drawing.figure.axes[0].get_yticklabels()]
    assert labels == ["all prompts (32)", "Colors (25)", "Rare Words (7†)"]


def test_holm_marks_are_filled(results: dict[str, Any]) -> None:
    axis = net_forest(results, ARMS, "net").figure.axes[0]
    marks = [line for line in axis.lines if line.get_marker() not in ("None", "none", None, "")]
    filled = [line.get_markerfacecolor() == line.get_color() for line in marks]
    assert filled == [True, True, False]


def test_arms_differ_in_grey_and_in_hatch(results: dict[str, Any]) -> None:
    figure = overall_bars(results).figure
    hatches = {patch.get_hatch() or "" for axis in figure.axes for patch in axis.patches}
    assert len(hatches) == 2


@pytest.mark.parametrize("suffix", ["png", "svg", "pdf"])
def test_equal_results_give_equal_bytes(results: dict[str, Any], suffix: str) -> None:
    once, again = (drawing_to_bytes(overall_bars(results, "column"), suffix) for _ in range(2))
    assert once == again


def test_no_text_leaves_the_figure(results: dict[str, Any]) -> None:
    for width in ("full", "column"):
        for drawing in (category_bars(results, ARMS, "c", width), net_forest(results, ARMS, "n", width),
                        strength_figure(results, width)):  # fmt: skip
            box = drawing.figure.get_tightbbox()
            assert box.x0 >= -0.02
            assert box.x1 <= drawing.figure.get_figwidth() + 0.02, (drawing.name, width)


def test_a_refused_fit_is_said_and_not_drawn(results: dict[str, Any]) -> None:
    results["bradley_terry"] = [fit("no strengths: best never lost")]
    drawn, missing = draw_human_figures(results)
    assert "strengths" not in drawn
    assert missing[0] == "no strengths: best never lost."


def test_scores_of_single_images(results: dict[str, Any]) -> None:
    rows = [
        {"arm": arm, "question": "fidelity", "category": category, "n_prompts": 25, "n_ratings": 125, "n_raters": 5,
         **estimate("mean", 3.5, 0.2), "method": "cluster-t"}
        for arm in ARMS for category in ("all", "Colors")
    ]  # fmt: skip
    results.update(mode="likert5", preference=[], scores=rows, differences=[])
    assert score_forest(results).numbers["mean"].tolist() == [3.5] * 4
    assert "imagen scores 3.50 [3.30, 3.70]" in overall_words(results)[0]
    assert "scores" in {table.name for table in human_tables(results)}


def test_many_raters_fit_on_a_page(results: dict[str, Any]) -> None:
    results["quality"]["raters"] = [rater(number) for number in range(275)]
    assert quality_figure(results).figure.get_figheight() < 9
    results["quality"]["raters"] = [rater(0, seconds=None, control_share=None, repeat_share=None)]
    assert len(quality_figure(results).figure.axes) == 3


def test_words_and_tables(results: dict[str, Any]) -> None:
    assert overall_words(results)[0].endswith("+0.200 [+0.100, +0.300] (two-way bootstrap); the two differ.")
    tables = {table.name: table for table in human_tables(results)}
    assert list(tables)[:2] == ["preference", "categories"]
    nets = [row[6] for row in tables["categories"].rows]
    assert [cell.best for cell in nets] == [True, False, True, False]
    assert tables["categories"].rows[1][2].text == "Rare Words†"
    assert [p_value(p) for p in (None, 0.5, 0.0042, 0.00001)] == ["–", "0.500", "0.0042", "1e-05"]


class Ids(HTMLParser):
    """Collects ids, addresses and scripts of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.tags: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            if name == "id":
                self.ids.append(str(value))
            if name in ("href", "src"):
                self.links.append(str(value))


def test_page_is_whole_and_harmless(results: dict[str, Any], tmp_path: Path) -> None:
    results["preference"] = [row for row in results["preference"] if row["question"] == "fidelity"]
    results["bradley_terry"] = []
    page = write_human_report(results, {"Study": [("Arms", HOSTILE)]}, tmp_path)
    text = page.read_text(encoding="utf-8")
    parser = Ids()
    parser.feed(text)
    assert len(parser.ids) == len(set(parser.ids))
    assert not {"script", "b", "iframe", "link"} & set(parser.tags)
    assert "No metric scores of imagen." in text
    outside = [link for link in parser.links if not link.startswith("#")]
    assert outside
    for link in set(outside) - {"results.json", "study_card.md"}:
        assert (tmp_path / link).is_file(), link
    assert not re.search(r'(?:href|src)="?https?:', text)
    assert "=evil" not in [cell[:5] for cell in pd.read_csv(tmp_path / "tables" / "preference.csv")["arm_b"]]
    with Image.open(tmp_path / "figures" / "preference.png") as picture:
        assert picture.width == 2100
