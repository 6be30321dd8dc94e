"""The page of a comparison of two runs: differences, gates, and the prompts that changed most, side by side."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from imagen_bench.bench.compare import Comparison, PromptChange
from imagen_bench.bench.gates import GateResult
from imagen_bench.errors import RunFolderError
from imagen_bench.files import atomic_write_bytes, atomic_write_text, escape_formula
from imagen_bench.report.data import OVERALL
from imagen_bench.report.gallery import data_uri, read_picture
from imagen_bench.report.page import PAGE, template_environment
from imagen_bench.report.svg import theme_variables

TEMPLATE = "compare.html.j2"
_LONGEST = 256


@dataclass(frozen=True)
class Pair:
    """A prompt's images of both runs as data URIs; None where a file is missing or broken."""

    change: PromptChange
    a: str | None
    b: str | None


def write_comparison(
    comparison: Comparison,
    runs: tuple[Path, Path],
    gates: Sequence[GateResult],
    out: Path,
    top: int,
    settings: Sequence[tuple[str, Sequence[str]]] = (),
) -> Path:
    """Write a comparison into a folder: `index.html`, which needs no other file, and the tables.

    Args:
        comparison: What was found.
        runs: The two run folders, for their names.
        gates: Outcomes of gates.
        out: The folder; made if it is missing. It gets `index.html`, `differences.csv`, `prompts.csv` and
            `differences.json`.
        top: How many prompts of each kind the page shows; the tables have all.
        settings: What differs between the runs' settings: key, and its value in A and B.

    Returns:
        The path of `index.html`.

    Raises:
        RunFolderError: `out` is a file.
    """
    if out.exists() and not out.is_dir():
        raise RunFolderError(f"{out} is a file, expected a folder for the comparison; give another --out")
    rows = [difference.to_json() for difference in comparison.differences]
    atomic_write_bytes(out / "differences.csv", _csv(rows))
    atomic_write_text(out / "differences.json", json.dumps(rows, indent=2) + "\n")
    atomic_write_bytes(out / "prompts.csv", _csv([asdict(change) for change in comparison.changes]))
    light, dark = theme_variables()
    page = (
        template_environment()
        .get_template(TEMPLATE)
        .render(
            comparison=comparison,
            rows=rows,
            tables=_tables(rows),
            settings=settings,
            names=[run.resolve().name for run in runs],
            gates=gates,
            groups=[
                ("Most regressed", [_pair(change) for change in comparison.most_regressed(top)]),
                ("Most improved", [_pair(change) for change in comparison.most_improved(top)]),
            ],
            light=light,
            dark=dark,
        )
    )
    atomic_write_text(out / PAGE, page)
    return out / PAGE


def _tables(rows: Sequence[dict[str, Any]]) -> list[tuple[str, list[dict[str, Any]], list[dict[str, Any]]]]:
    """Label of each metric, its rows over all prompts, and those by category."""
    labels = dict.fromkeys(str(row["label"]) for row in rows)
    return [
        (
            label,
            [row for row in rows if row["label"] == label and row["category"] == OVERALL],
            [row for row in rows if row["label"] == label and row["category"] != OVERALL],
        )
        for label in labels
    ]


def _pair(change: PromptChange) -> Pair:
    pictures = [read_picture(Path(file)) for file in (change.image_a, change.image_b)]
    return Pair(change, *(data_uri(picture, _LONGEST) if picture is not None else None for picture in pictures))


def _csv(rows: Sequence[dict[str, object]]) -> bytes:
    """Rows as CSV for people: UTF-8 with a mark, and no text that a spreadsheet would run."""
    text = io.StringIO()
    if rows:
        writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        for row in rows:
            writer.writerow({k: escape_formula(v) if isinstance(v, str) else v for k, v in row.items()})
    return text.getvalue().encode("utf-8-sig")
