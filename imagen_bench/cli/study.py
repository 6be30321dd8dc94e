"""How `imagen-bench run` runs a study: each variant as a run of its own, then one report of all."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from imagen_bench.cli.run import DRY_RUN, plan_text, plan_with_outputs, say_what_is_missing
from imagen_bench.cli.study_train import command_of, refuse_untrained, train_missing, trainings_to_do
from imagen_bench.workers import join_workers

if TYPE_CHECKING:
    from imagen_bench.bench.run_folder import RunFolder
    from imagen_bench.bench.variants import ScoringShare, Study, Variant


def execute_study(
    file: Path,
    overrides: tuple[str, ...],
    names: tuple[str, ...],
    out: Path | None,
    limit: int | None,
    weights: tuple[float, ...] | None,
    *,
    train: bool,
    dry_run: bool,
    as_json: bool,
    repair: bool = False,
) -> None:
    """Run or plan the variants of a study, and print the outcome of each; with `train`, train its models first."""
    from imagen_bench.bench.variants import choose_variants, load_study, run_study

    study = load_study(file, overrides)
    chosen = choose_variants(study, names)
    out = out or Path("runs") / study.name
    if dry_run:
        _plan(study, chosen, out, limit, weights, as_json=as_json)
        return
    if train:
        train_missing(chosen)
    refuse_untrained(chosen)
    folders: dict[str, RunFolder] = {}

    def run_one(variant: Variant, folder: Path, share: ScoringShare) -> None:
        from imagen_bench.bench.run import run_benchmark
        from imagen_bench.cli.outputs import OUTPUTS

        click.echo(f"variant {variant.name}", err=True)
        folders[variant.name] = run_benchmark(
            variant.config, folder, limit, progress=True, outputs=OUTPUTS, weights=weights,
            scoring_opener=share.open, repair=repair,
        )  # fmt: skip

    run_study(study, chosen, out, run_one)
    if not join_workers().is_main:
        return
    report = _report(list(folders.values()), out)
    _print(study, folders, out, report, as_json=as_json)


def _plan(
    study: Study,
    chosen: tuple[Variant, ...],
    out: Path,
    limit: int | None,
    weights: tuple[float, ...] | None,
    *,
    as_json: bool,
) -> None:
    from imagen_bench.bench.variants import refuse_other_study

    refuse_other_study(study, out)
    plans = {variant.name: plan_with_outputs(variant.config, out / variant.name, limit, weights) for variant in chosen}
    trainings = [command_of(training) for training in trainings_to_do(chosen)]
    if as_json:
        listed = {name: asdict(plan) for name, plan in plans.items()}
        plan = {"study": study.name, "out": str(out), "trainings": trainings, "variants": listed}
        click.echo(json.dumps(plan, indent=2))
    else:
        texts = [f"variant  {name}\n{plan_text(plan)}" for name, plan in plans.items()]
        if trainings:
            texts.append("\n".join(["to train first (--train does it):", *trainings]))
        click.echo("\n\n".join([*texts, DRY_RUN]))


def _report(folders: list[RunFolder], out: Path) -> Path | None:
    """Write OUT/report of all variants; None where there is one only, or their protocols differ."""
    from imagen_bench.errors import ProtocolError
    from imagen_bench.report.page import write_report

    if len(folders) < 2:
        return None
    try:
        return write_report([folder.path for folder in folders], out / "report")
    except ProtocolError as error:
        click.echo(f"no common report: {error}", err=True)
        return None


def _print(study: Study, folders: dict[str, RunFolder], out: Path, report: Path | None, *, as_json: bool) -> None:
    from imagen_bench.bench.summary import summary_json, summary_text

    if as_json:
        variants = {name: summary_json(folder) for name, folder in folders.items()}
        found = {"study": study.name, "out": str(out), "report": report and str(report), "variants": variants}
        click.echo(json.dumps(found, indent=2))
        return
    click.echo("\n\n".join(f"variant {name}\n{summary_text(folder)}" for name, folder in folders.items()))
    for folder in folders.values():
        say_what_is_missing(folder)
    if report is not None:
        click.echo(f"\nstudy    {out}\nreport   {report}")
