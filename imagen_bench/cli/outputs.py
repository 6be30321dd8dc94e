"""What the commands `run` and `demo` make from a scored run: blind rating sheets and the report."""

from __future__ import annotations

from typing import TYPE_CHECKING

from imagen_bench.files import sha256_file

if TYPE_CHECKING:
    from imagen_bench.bench.run import Output
    from imagen_bench.bench.run_folder import RunFolder
    from imagen_bench.bench.stages import Stages
    from imagen_bench.config import RunConfig

SHEETS = "sheets"
REPORT = "report"


def output_names(config: RunConfig) -> tuple[str, ...]:
    """Return the names of what is made for a config, in order."""
    return (REPORT,) if config.sheets is None else (SHEETS, REPORT)


def export_sheets(folder: RunFolder, config: RunConfig, stages: Stages) -> None:
    """Export the run's two weights of `[sheets]` as a blind study in RUN/sheets.

    Raises:
        ImagenBenchError: The samples do not fit, or the folder holds sheets of other images.
    """
    from imagen_bench.bench.run import weights_digest
    from imagen_bench.human.arms import Arm
    from imagen_bench.human.export import export_study

    section = config.sheets
    if section is None:
        return
    inputs = {
        "samples": weights_digest(folder, section.guidance_weights),
        "sheets": section.model_dump(mode="json"),
    }
    if stages.is_finished(SHEETS, inputs, [SHEETS]):
        return
    export_study(
        [Arm(f"w={weight:g}", folder.path, weight) for weight in section.guidance_weights],
        folder.path / SHEETS,
        sheets=section.sheets,
        samples_per_side=section.samples_per_side,
        prompts=section.prompts,
        seed=section.seed,
    )
    stages.finish(SHEETS, inputs)


def write_run_report(folder: RunFolder, config: RunConfig, stages: Stages) -> None:
    """Write RUN/report from the scores, images and run.json."""
    from imagen_bench.bench.run_folder import samples_digest
    from imagen_bench.report.page import write_report

    run = folder.run
    inputs = {
        "scores": sha256_file(folder.path / "scores.csv"),
        "samples": samples_digest(folder.samples()),
        "gallery": sorted(path.name for path in folder.path.glob("gallery/*/*.png")),
        "run": {key: run.get(key) for key in ("config", "protocols", "versions", "timing")},
    }
    if not stages.is_finished(REPORT, inputs, [f"{REPORT}/index.html"]):
        write_report([folder.path], folder.path / REPORT)
        stages.finish(REPORT, inputs)


OUTPUTS: tuple[Output, ...] = (export_sheets, write_run_report)
"""In order: the report may mention the sheets."""
