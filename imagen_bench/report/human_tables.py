"""Tables of a human evaluation, from the content of a study's `results.json`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pandas as pd

from imagen_bench.report.human_figures import ALL, CATEGORY_AVERAGE, Results, Row
from imagen_bench.report.tables import Cell, Table

_Column = tuple[str, Callable[[Row], Cell]]


def human_tables(results: Results) -> list[Table]:
    """Return every table that the results allow, the main one first."""
    makers = (_preference_tables, _score_tables, _coco_table, _strength_table, _majority_table, _metric_table,
              _agreement_table, _rater_table)  # fmt: skip
    return [table for maker in makers for table in maker(results) if table.rows]


def overall_words(results: Results) -> list[str]:
    """State the overall results, one sentence a pair and question or an arm and question."""
    told = []
    for row in results.get("preference") or []:
        if row["category"] == ALL:
            verdict = "the two differ" if row["different"] else "the two are not shown to differ"
            told.append(
                f"{row['question']}: {row['arm_a']} preferred {_percent(row['share_a'])}, indifferent "
                f"{_percent(row['share_tie'])}, {row['arm_b']} preferred {_percent(row['share_b'])}; net preference "
                f"{row['net']:+.3f} {_between(row, 'net', 3, sign=True)}".rstrip()
                + f" ({row['method']}); {verdict}."
            )
    for row in results.get("scores") or []:
        if row["category"] == ALL:
            interval = _between(row, "mean", 2)
            told.append(
                f"{row['question']}: {row['arm']} scores {row['mean']:.2f} {interval}".rstrip() + f" ({row['method']})."
            )
    return told


def p_value(p: float | None) -> str:
    """Return a p-value in at most four decimals, a smaller one as a power of ten; a dash where there is none."""
    if p is None:
        return "–"
    return f"{p:.0e}" if p < 0.0001 else f"{p:.4f}" if p < 0.01 else f"{p:.3f}"


def _preference_tables(results: Results) -> list[Table]:
    rows = results.get("preference") or []
    whole = [row for row in rows if row["category"] in (ALL, CATEGORY_AVERAGE)]
    parts = [row for row in rows if row["category"] not in (ALL, CATEGORY_AVERAGE)]
    method = results["method"]
    p: _Column = ("p", lambda row: Cell(p_value(row["p"])))
    flips: _Column = ("p sign flips", lambda row: Cell(p_value(row["p_sign_flip"])))
    corrected: _Column = ("p Holm", lambda row: Cell(p_value(row["p_holm"])))
    caption = f"Preference over all prompts, 95 % intervals; pairs that differ are marked; {method['test']}."
    by_category = (
        "Preference by category, 95 % intervals; categories that differ are marked, † fewer than 10 prompts; "
        f"{method['family']}."
    )
    weighting: _Column = ("Weighting", _weighting)
    tables = [
        _table("preference", caption, whole, [*_PAIR, weighting, *_SHARES, p, flips, *_COUNTS], 3),
        _table(
            "categories", by_category, parts, [*_PAIR, ("Category", _category), *_SHARES, p, corrected, *_COUNTS], 3
        ),
    ]
    everybody = (results.get("all_raters") or {}).get("preference") or []
    if everybody:
        again = [row for row in everybody if row["category"] in (ALL, CATEGORY_AVERAGE)]
        caption = f"The same with all raters, with the {results['counts']['raters_excluded']} excluded."
        columns = [*_PAIR, weighting, *_SHARES, p, *_COUNTS]
        tables.append(_table("preference_all_raters", caption, again, columns, 3))
    return tables


def _score_tables(results: Results) -> list[Table]:
    scale = "0 to 100" if results["mode"] == "alignment" else "1 to 5"
    columns: list[_Column] = [
        ("Question", lambda row: Cell(row["question"])),
        ("Arm", lambda row: Cell(row["arm"])),
        ("Category", _category),
        ("Mean", lambda row: Cell(f"{row['mean']:.2f}", _between(row, "mean", 2))),
        *_COUNTS,
    ]
    differences: list[_Column] = [
        *_PAIR,
        ("Difference", lambda row: Cell(f"{row['difference']:+.2f}", _edges(row["low"], row["high"], 2, True))),
        ("p", lambda row: Cell(p_value(row["p"]))),
        ("p Holm", lambda row: Cell(p_value(row["p_holm"]))),
        ("Prompts", lambda row: Cell(f"{row['n_prompts']:,}")),
    ]
    tables = [
        _table("scores", f"Mean score, {scale}, 95 % intervals.", results.get("scores") or [], columns, 3),
        _table("differences", "Difference of two arms on the prompts that both have; cluster-t, Holm over the pairs of "
               "a question.", results.get("differences") or [], differences, 2),
    ]  # fmt: skip
    everybody = (results.get("all_raters") or {}).get("scores") or []
    caption = f"The same with all raters, with the {results['counts']['raters_excluded']} excluded."
    again = [row for row in everybody if row["category"] in (ALL, CATEGORY_AVERAGE)]
    return [*tables, _table("scores_all_raters", caption, again, columns, 3)]


def _coco_table(results: Results) -> list[Table]:
    columns: list[_Column] = [
        ("Measure", lambda row: Cell(row["measure"])),
        ("Arm", lambda row: Cell(row["arm"])),
        ("Prompts", lambda row: Cell(row["category"])),
        ("Per cent", lambda row: Cell(f"{row['mean']:.1f}", _between(row, "mean", 1))),
        *_COUNTS,
    ]
    caption = (
        "Photorealism rate (preference over the reference image, 50 is indistinguishable) or alignment score, with and "
        "without prompts that hold a word of Imagen's list of people (arXiv 2205.11487, table 2)."
    )
    return [_table("coco", caption, results.get("coco") or [], columns, 3)]


def _strength_table(results: Results) -> list[Table]:
    fits = results.get("bradley_terry") or []
    rows = [
        {
            "question": fit["question"],
            "arm": arm,
            "theta": fit["theta"][place],
            "theta_low": fit["theta_low"][place] if fit["theta_low"] else None,
            "theta_high": fit["theta_high"][place] if fit["theta_high"] else None,
            "elo": fit["elo"][place],
            "n_prompts": fit["n_prompts"],
        }
        for fit in fits
        if not fit["refused"]
        for place, arm in enumerate(fit["arms"])
    ]
    columns: list[_Column] = [
        ("Question", lambda row: Cell(row["question"])),
        ("Arm", lambda row: Cell(row["arm"])),
        ("Log-odds", lambda row: Cell(f"{row['theta']:+.3f}", _between(row, "theta", 3, sign=True))),
        ("Elo scale", lambda row: Cell(f"{row['elo']:.0f}")),
        ("Prompts", lambda row: Cell(f"{row['n_prompts']:,}")),
    ]
    caption = f"Bradley-Terry strengths, mean 0 (Elo 1000); {results['method']['bradley_terry']}."
    return [_table("strengths", caption, rows, columns, 2)]


def _majority_table(results: Results) -> list[Table]:
    columns: list[_Column] = [
        *_PAIR,
        ("Category", _category),
        ("First", lambda row: Cell(str(row["prompts_a"]))),
        ("Indifferent", lambda row: Cell(str(row["prompts_tie"]))),
        ("Second", lambda row: Cell(str(row["prompts_b"]))),
        ("Split", lambda row: Cell(str(row["prompts_split"]))),
    ]
    caption = "Number of prompts on which most ratings chose the outcome; split where two outcomes have equally many."
    return [_table("majority", caption, results.get("majority") or [], columns, 3)]


def _metric_table(results: Results) -> list[Table]:
    columns: list[_Column] = [
        *_PAIR,
        ("Metric", lambda row: Cell(row["metric"])),
        ("Kendall tau-b", lambda row: _optional(row, "tau_b", 3)),
        ("Pairwise accuracy", lambda row: _optional(row, "accuracy", 3)),
        ("Prompts", lambda row: Cell(f"{row['n_prompts']:,}")),
        ("Decided", lambda row: Cell(f"{row['n_decided']:,}")),
    ]
    caption = (
        "Agreement of automatic metrics with the raters, prompt by prompt; accuracy on the prompts where raters prefer "
        "one arm. 95 % intervals by bootstrap over prompts."
    )
    return [_table("metrics", caption, results["metrics"]["rows"], columns, 3)]


def _agreement_table(results: Results) -> list[Table]:
    columns: list[_Column] = [
        ("Question", lambda row: Cell(row["question"])),
        ("Scale", lambda row: Cell(row["scale"])),
        ("Krippendorff's alpha", _alpha),
        ("Agreeing pairs", lambda row: Cell("–" if row["percent"] is None else _percent(row["percent"]))),
        ("Comparisons", lambda row: Cell(f"{row['n_units']:,}")),
        ("Ratings", lambda row: Cell(f"{row['n_ratings']:,}")),
    ]
    return [
        _table(
            "agreement",
            f"Agreement between raters: {results['method']['agreement']}.",
            results["agreement"],
            columns,
            2,
        )
    ]


def _rater_table(results: Results) -> list[Table]:
    columns: list[_Column] = [
        ("Rater", lambda row: Cell(row["rater"])),
        ("Answered", lambda row: Cell(f"{row['answered']} of {row['assigned']}")),
        ("Controls", lambda row: Cell(_count(row["controls_passed"], row["controls"]))),
        ("Repeats alike", lambda row: Cell(_count(row["repeats_same"], row["repeats"]))),
        ("Left", lambda row: Cell("–" if row["left_share"] is None else _percent(row["left_share"]))),
        ("Median s", lambda row: Cell("–" if row["seconds"] is None else f"{row['seconds']:.1f}")),
        ("Flags", lambda row: Cell(", ".join(row["flags"]) or "–")),
        ("Excluded", lambda row: Cell(", ".join(row["excluded"]) or "no")),
    ]
    return [
        _table("raters", f"Quality of raters; {results['quality']['rule']}.", results["quality"]["raters"], columns, 1)
    ]


def _weighting(row: Row) -> Cell:
    return Cell("prompts alike" if row["category"] == ALL else "categories alike")


def _category(row: Row) -> Cell:
    name = {ALL: "all prompts", CATEGORY_AVERAGE: "mean of categories"}.get(row["category"], row["category"])
    return Cell(str(name) + ("†" if row["n_prompts"] < 10 else ""))


def _share(name: str) -> Callable[[Row], Cell]:
    return lambda row: Cell(f"{100 * row[name]:.1f}", _edges_percent(row, name))


_PAIR: list[_Column] = [
    ("Pair", lambda row: Cell(f"{row['arm_a']} – {row['arm_b']}")),
    ("Question", lambda row: Cell(row["question"])),
]
_SHARES: list[_Column] = [
    ("First %", _share("share_a")),
    ("Indifferent %", _share("share_tie")),
    ("Second %", _share("share_b")),
    ("Net", lambda row: Cell(f"{row['net']:+.3f}", _between(row, "net", 3, sign=True), row["different"])),
    ("Win rate %", _share("win_rate")),
]
_COUNTS: list[_Column] = [
    ("Prompts", lambda row: Cell(f"{row['n_prompts']:,}")),
    ("Ratings", lambda row: Cell(f"{row['n_ratings']:,}")),
    ("Interval", lambda row: Cell(row["method"])),
]


def _table(name: str, caption: str, rows: Sequence[Row], columns: Sequence[_Column], headers: int) -> Table:
    cells = tuple(tuple(make(row) for _, make in columns) for row in rows)
    data = pd.DataFrame(rows)
    for column in data.columns:
        if data[column].map(lambda value: isinstance(value, list)).any():
            data[column] = [", ".join(value) for value in data[column]]
    return Table(name, caption, tuple(head for head, _ in columns), cells, headers, data)


def _alpha(row: Row) -> Cell:
    if row["alpha"] is None:
        return Cell("undefined")
    return Cell(f"{row['alpha']:.3f}", _edges(row["low"], row["high"], 3))


def _optional(row: Row, name: str, decimals: int) -> Cell:
    value: Any = row[name]
    return Cell("–") if value is None else Cell(f"{value:.{decimals}f}", _between(row, name, decimals))


def _between(row: Row, name: str, decimals: int, sign: bool = False) -> str:
    return _edges(row[f"{name}_low"], row[f"{name}_high"], decimals, sign)


def _edges(low: float | None, high: float | None, decimals: int, sign: bool = False) -> str:
    if low is None or high is None:
        return ""
    mark = "+" if sign else ""
    return f"[{low:{mark}.{decimals}f}, {high:{mark}.{decimals}f}]"


def _edges_percent(row: Row, name: str) -> str:
    low, high = row[f"{name}_low"], row[f"{name}_high"]
    return "" if low is None or high is None else _edges(100 * low, 100 * high, 1)


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _count(part: int, whole: int) -> str:
    return f"{part} of {whole}" if whole else "–"
