"""`imagen-bench drawbench plan`: how many prompts and raters a study needs, and what they cost."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from imagen_bench.human.statistics.plan import Assumptions, PlanRow

_PROMPTS = (50, 100, 200, 400)
_RATERS = (1, 3, 5, 9, 25)
_SD = click.FloatRange(0, 10)


@click.command("plan")
@click.option("--prompts", default=200, show_default=True, type=click.IntRange(min=2), help="Prompts of the study.")
@click.option("--samples", default=1, show_default=True, type=click.IntRange(min=1), help="Images a side.")
@click.option(
    "--raters", default=5, show_default=True, type=click.IntRange(min=1), help="Raters; each rates all prompts."
)
@click.option("--price", type=click.FloatRange(min=0), help="Pay for one item: all questions on one prompt.")
@click.option(
    "--items-per-hour", type=click.FloatRange(min=0, min_open=True), help="Items that a rater does in an hour."
)
@click.option("--prompt-sd", default=1.5, show_default=True, type=_SD, help="Assumed spread over prompts, in logits.")
@click.option("--rater-sd", default=0.3, show_default=True, type=_SD, help="Assumed spread over raters, in logits.")
@click.option(
    "--sample-sd",
    default=0.0,
    show_default=True,
    type=_SD,
    help="Assumed spread that one image a side adds to a prompt, in logits; it shrinks with --samples.",
)
@click.option(
    "--tie-share",
    default=0.2,
    show_default=True,
    type=click.FloatRange(0, 1, max_open=True),
    help='Assumed share of "indifferent".',
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")
def command(
    prompts: int,
    samples: int,
    raters: int,
    price: float | None,
    items_per_hour: float | None,
    prompt_sd: float,
    rater_sd: float,
    sample_sd: float,
    tie_share: float,
    as_json: bool,
) -> None:
    """Say how wide the 95 % interval of the net preference will be, for these and other numbers.

    Net preference runs from -1 to 1. The assumptions are stated and can be changed; the model of an answer is
    that of the project's coverage tests.
    """
    from imagen_bench.human.statistics.plan import Assumptions, plan_row, variance_components

    assumptions = Assumptions(prompt_sd, rater_sd, sample_sd, tie_share)
    chosen = plan_row(prompts, raters, samples, assumptions, price, items_per_hour)
    grid = [
        plan_row(p, r, samples, assumptions, price, items_per_hour)
        for p in sorted({*_PROMPTS, prompts})
        for r in sorted({*_RATERS, raters})
    ]
    if as_json:
        record = {
            "assumptions": {**asdict(assumptions), "samples": samples, "net": 0.0},
            "variance_components": asdict(variance_components(assumptions, samples)),
            "plan": asdict(chosen),
            "table": [asdict(row) for row in grid],
        }
        click.echo(json.dumps(record, indent=2))
    else:
        click.echo(_as_text(chosen, grid, assumptions))


def _as_text(chosen: PlanRow, grid: list[PlanRow], assumptions: Assumptions) -> str:
    lines = [
        f"{chosen.prompts} prompts x {_raters(chosen.raters).strip()}: net preference -+ {chosen.half_width:.3f} "
        f"for these raters, -+ {chosen.half_width_new_raters:.3f} for any raters",
        f"{chosen.items:,} items to rate, {chosen.images:,} images to generate" + _money(chosen),
        f"assumed: prompts sd {assumptions.prompt_sd:g}, raters sd {assumptions.rater_sd:g}, "
        f"samples sd {assumptions.sample_sd:g} logit, {assumptions.tie_share:.0%} ties, no true difference",
        "",
        "half-width for these raters (for any raters), 95 %:",
    ]
    raters = sorted({row.raters for row in grid})
    cells = {(row.prompts, row.raters): row for row in grid}
    lines.append("prompts".rjust(9) + "".join(f"{_raters(count):>18}" for count in raters))
    for prompts in sorted({row.prompts for row in grid}):
        shown = [_cell(cells[prompts, count], chosen) for count in raters]
        lines.append(f"{prompts:>9}" + "".join(f"{text:>18}" for text in shown).rstrip())
    return "\n".join(lines)


def _raters(count: int) -> str:
    return "1 rater " if count == 1 else f"{count} raters "


def _cell(row: PlanRow, chosen: PlanRow) -> str:
    mark = "*" if (row.prompts, row.raters) == (chosen.prompts, chosen.raters) else " "
    return f"{row.half_width:.3f} ({row.half_width_new_raters:.3f}){mark}"


def _money(row: PlanRow) -> str:
    parts = []
    if row.hours is not None:
        parts.append(f"{row.hours:,.1f} hours of rating")
    if row.cost is not None:
        parts.append(f"pay {row.cost:,.2f} in all")
    if row.pay_per_hour is not None:
        parts.append(f"{row.pay_per_hour:,.2f} an hour")
    return "".join(f", {part}" for part in parts)
