"""Studies in miniature: answers of simulated raters, in the files that scoring reads.

Model of one answer: "tie" with the tie share, else A with probability sigma(advantage + prompt effect + rater
effect); prompt effects have sd 1.5 and rater effects sd 0.3, in logits.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

PROMPT_SD, RATER_SD, TIE_SHARE = 1.5, 0.3, 0.2
KEY = (
    "study_id", "sheet_id", "item_id", "order", "prompt_id", "cluster_id", "category", "prompt", "kind", "model_left",
    "model_right", "samples_left", "samples_right", "expected", "control_question", "repeat_of",
)  # fmt: skip
ANSWERS = (
    "study_id", "sheet_id", "item_id", "rater", "question", "answer", "seconds", "answered_at", "source", "line",
)  # fmt: skip
DRAWBENCH = {
    "Colors": 25, "Conflicting": 10, "Counting": 19, "DALL-E": 20, "Descriptions": 20, "Gary Marcus et al.": 10,
    "Misspellings": 10, "Positional": 20, "Rare Words": 7, "Reddit": 38, "Text": 21,
}  # fmt: skip


def draw_votes(
    rng: np.random.Generator,
    studies: int,
    prompts: int,
    raters: int,
    advantage: float = 0.0,
    tie_share: float = TIE_SHARE,
    prompt_sd: float = PROMPT_SD,
    rater_sd: float = RATER_SD,
) -> np.ndarray[Any, Any]:
    """Votes in {1, 0, -1} for A, tie, B; studies x prompts x raters."""
    effect = advantage + prompt_sd * rng.standard_normal((studies, prompts, 1))
    effect = effect + rater_sd * rng.standard_normal((studies, 1, raters))
    sign = np.where(rng.random(effect.shape) < 1 / (1 + np.exp(-effect)), 1, -1)
    return np.where(rng.random(effect.shape) < tie_share, 0, sign)


def write_study(
    path: Path,
    *,
    mode: str = "sxs",
    arms: Sequence[str] = ("imagen", "other"),
    references: Sequence[str] = (),
    strengths: Sequence[float] | None = None,
    categories: Mapping[str, int] = DRAWBENCH,
    raters: int = 5,
    controls: int = 10,
    repeats: int = 6,
    careless: Sequence[int] = (),
    questions: Sequence[str] = ("fidelity", "alignment"),
    runs: Mapping[str, str] | None = None,
    exclusion: Mapping[str, float] | None = None,
    prompt_texts: Mapping[str, str] | None = None,
    seed: int = 0,
) -> Path:
    """Write a study with its key and answers: one sheet a rater, every sheet holds every prompt of every pair.

    `careless` raters answer at random and five times as fast.
    """
    rng = np.random.default_rng(seed)
    levels = dict(zip(arms, strengths if strengths is not None else np.zeros(len(arms)), strict=True))
    prompts = [
        (f"p{sum(list(categories.values())[:place]) + number:03d}", category)
        for place, (category, count) in enumerate(categories.items())
        for number in range(count)
    ]
    texts = {p: (prompt_texts or {}).get(p, f"a {c} prompt, number {p}") for p, c in prompts}
    values = {"sxs": ("left", "tie", "right"), "photorealism": ("left", "right")}
    pairs = [(a, b) for n, a in enumerate(arms) for b in arms[n + 1 :]] if mode in values else [(a, "") for a in arms]
    effects = {(a, b, p, q): PROMPT_SD * rng.standard_normal() for a, b in pairs for p, _ in prompts for q in questions}
    key, answers = [], []
    for number in range(raters):
        sheet, rater = f"S{number + 1:02d}", f"r_{number:06x}"
        leaning = {q: RATER_SD * rng.standard_normal() for q in questions}
        shown = [(a, b, p, c) for a, b in pairs for p, c in prompts]
        items = [(f"i{sheet.lower()}x{place}", "real", *item, "") for place, item in enumerate(shown)]
        first = rng.choice(len(shown), size=min(len(shown), controls + repeats), replace=False)
        items += [(f"c{sheet.lower()}x{k}", "control", *shown[k], "") for k in first[:controls]]
        items += [(f"e{sheet.lower()}x{k}", "repeat", *shown[k], items[k][0]) for k in first[controls:]]
        for order, (item, kind, a, b, prompt, category, repeat_of) in enumerate(items, start=1):
            swap = bool(order % 2)
            expected = "" if kind != "control" else ("right" if swap else "left") if mode in values else _top(mode)
            sides = (b, a) if swap and b else (a, b)
            key.append(
                ("study", sheet, item, order, prompt, prompt, category, texts[prompt], kind, *sides, "0",
                 "0" if b else "", expected, questions[-1] if kind == "control" else "", repeat_of)
            )  # fmt: skip
            for question in questions:
                effect = levels[a] - levels.get(b, 0.0) + effects[a, b, prompt, question] + leaning[question]
                answer = _answer(rng, mode, effect, swap, expected if question == questions[-1] else "",
                                 number in careless)  # fmt: skip
                seconds = rng.lognormal(2.0, 0.4) / (5 if number in careless else 1)
                answers.append(
                    ("study", sheet, item, rater, question, answer, f"{seconds:.1f}", "2026-11-20T10:00:00Z",
                     f"sheet_{sheet}.csv", order)
                )  # fmt: skip
    record = {
        "schema": 1, "created": "2026-11-19T10:00:00+00:00", "tool": "imagen-bench 0", "secret": "00" * 32,
        "config_digest": "d" * 64, "study_id": "study", "runs": dict(runs or {}),
        "sheets": [{"sheet_id": f"S{n + 1:02d}", "hash": "ab" * 32} for n in range(raters)],
        "config": {
            "mode": mode, "prompts": len(prompts), "samples_per_side": 1, "sheets": raters, "seed": 0, "crossed": True,
            "arms": [
                {"label": arm, "run": arm, "guidance_weight": 2.0, **({"reference": True} if arm in references else {})}
                for arm in arms
            ],
            "instrument": {
                "questions": [
                    {"name": q, "text": f"Which set wins on {q}?", "shows_caption": False} for q in questions
                ],
                "answers": [],
            },
            "exclusion": dict({"min_control_pass": 0.8, "min_answered": 0.5, "speed_fraction": 0.333}
                              if exclusion is None else exclusion),
        },
    }  # fmt: skip
    private = path / "private"
    private.mkdir(parents=True)
    (private / "study.json").write_text(json.dumps(record), encoding="utf-8")
    for name, head, rows in (("key", KEY, key), ("answers", ANSWERS, answers)):
        with (private / f"{name}.csv").open("w", encoding="utf-8", newline="") as stream:
            csv.writer(stream, lineterminator="\n").writerows([head, *rows])
    return path


def _top(mode: str) -> str:
    return "yes" if mode == "alignment" else "5"


def _answer(rng: np.random.Generator, mode: str, effect: float, swap: bool, expected: str, careless: bool) -> str:
    """One answer; a careful rater answers a control right 19 times of 20."""
    if careless:
        effect = 0.0
    elif expected and rng.random() < 0.95:
        return expected
    if mode in ("alignment", "likert5"):
        scale = ("no", "somewhat", "yes") if mode == "alignment" else ("1", "2", "3", "4", "5")
        level = 1 / (1 + np.exp(-(effect + 0.5 * rng.standard_normal())))
        return scale[min(int(level * len(scale)), len(scale) - 1)]
    if mode == "sxs" and rng.random() < TIE_SHARE:
        return "tie"
    prefers_a = rng.random() < 1 / (1 + np.exp(-effect))
    return "left" if prefers_a != swap else "right"
