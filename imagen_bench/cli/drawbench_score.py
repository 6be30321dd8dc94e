"""`imagen-bench drawbench score`: from imported answers to preference rates, tables, figures and a study card."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click


@click.command("score")
@click.argument("study", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), help="Folder for the results.  [default: STUDY/results]")
@click.option(
    "--seed", default=0, show_default=True, type=click.IntRange(min=0), help="Draws bootstraps and permutations."
)
@click.option("--json", "as_json", is_flag=True, help="Print the results as JSON.")
def command(study: Path, out: Path | None, seed: int, as_json: bool) -> None:
    """Score the imported answers of STUDY: who is preferred, by how much, and how sure that is.

    Writes results.json, tables (CSV, Markdown, LaTeX), figures (PDF, SVG, PNG), study_card.md and index.html.
    Which raters are excluded was fixed when the study was exported; both results are given.
    """
    from imagen_bench.errors import RunFolderError
    from imagen_bench.files import atomic_write_text
    from imagen_bench.human.score import RESULTS, score_study, write_results
    from imagen_bench.human.study import open_study
    from imagen_bench.human.study_card import card_fields, study_card
    from imagen_bench.report.human_report import write_human_report
    from imagen_bench.report.human_tables import overall_words

    folder = out if out is not None else study / RESULTS
    if folder.exists() and not folder.is_dir():
        raise RunFolderError(f"{folder} is a file, expected a folder for the results: give another --out")
    results = score_study(study, seed)
    card = card_fields(open_study(study), results)
    write_results(results, folder)
    atomic_write_text(folder / "study_card.md", study_card(card))
    page = write_human_report(results, card, folder)
    if as_json:
        click.echo(json.dumps(results, indent=1, ensure_ascii=False))
        return
    for sentence in results["metrics"]["missing"]:
        click.echo(f"note: {sentence}", err=True)
    click.echo("\n".join([*overall_words(results), *_more_words(results), str(page)]))


def _more_words(results: dict[str, Any]) -> list[str]:
    """Lines on categories, agreement and raters."""
    told = []
    categories = [row for row in results.get("preference") or [] if row["category"] in results["categories"]]
    if categories:
        different = [f"{row['category']} ({row['question']})" for row in categories if row["different"]]
        told.append(f"categories that differ after Holm: {', '.join(different) or 'none'}")
    told += [fit["refused"] for fit in results.get("bradley_terry") or [] if fit["refused"]]
    for row in results["agreement"]:
        alpha = "undefined" if row["alpha"] is None else f"{row['alpha']:.3f}"
        told.append(f"{row['question']}: Krippendorff's alpha {alpha}")
    counts = results["counts"]
    told.append(f"{counts['raters']} raters, {counts['raters_excluded']} excluded: {results['quality']['rule']}")
    return told
