"""Projections are the stated arithmetic on what a run recorded, and counts are those of the run itself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from click.testing import CliRunner, Result

from imagen_bench.bench.dry_run import plan_run
from imagen_bench.bench.durations import Durations, read_durations
from imagen_bench.bench.plan import Costs, Load, assumptions, load_of, measured_costs, project
from imagen_bench.bench.run import run_benchmark
from imagen_bench.bench.run_folder import RunFolder
from imagen_bench.cli.main import main
from imagen_bench.cli.outputs import OUTPUTS
from imagen_bench.config import RunConfig, apply_overrides, dump_config, validate
from imagen_bench.errors import RunFolderError
from imagen_bench.files import atomic_write_text

FID_30K = Load("fid", "bundled", 30_000, 1, (2.0,), 2, "coco")
SWEEP = Load("sweep", "bundled", 10_000, 1, (1.0, *(1.0 + n / 2 for n in range(1, 13))), 2, "coco")
COSTS = Costs(
    image=0.5, unguided=0.3, feature=0.01, reference_image=0.02, reference_images=40_504, reference="coco", score=3.0,
    images_a_score=10_000, outputs=20.0,
)  # fmt: skip


def test_parts_divide_by_the_workers_where_all_of_them_work() -> None:
    one, eight = project([FID_30K], COSTS, [1, 8])
    assert one.parts == {"images": 15_000.0, "features": 300.0, "reference": 810.08, "scores": 6.0, "outputs": 20.0}
    for part in ("images", "features", "reference"):
        assert eight.parts[part] == pytest.approx(one.parts[part] / 8)
    assert (eight.parts["scores"], eight.parts["outputs"]) == (6.0, 20.0)
    assert eight.total == pytest.approx((15_000 + 300 + 810.08) / 8 + 26)


def test_a_sweep_saves_the_unguided_pass_and_extracts_the_reference_once() -> None:
    (sweep,) = project([SWEEP], COSTS, [1])
    assert SWEEP.images == 130_000
    assert sweep.parts["images"] == pytest.approx(10_000 * (12 * 0.5 + 0.3))
    assert sweep.parts["reference"] == 810.08
    assert sweep.parts["scores"] == 3.0 * 2 * 13
    (both,) = project([FID_30K, SWEEP], COSTS, [1])
    assert both.parts["reference"] == 810.08
    assert both.parts["outputs"] == 40.0
    assert any("measured at 10,000 images" in note for note in assumptions([FID_30K], COSTS))
    other = Load("x", "bundled", 10, 1, (2.0,), 1, "another")
    assert "reference" not in project([other], COSTS, [1])[0].parts
    assert any("another reference set than coco" in note for note in assumptions([other], COSTS))


def changed(config: RunConfig, *overrides: str) -> RunConfig:
    return validate(RunConfig, apply_overrides(dump_config(config), overrides), "test")


def test_counts_are_those_of_the_run(toy: RunConfig, tmp_path: Path) -> None:
    for config in (toy, changed(toy, "prompts.limit=3"), changed(toy, "prompts.limit=500")):
        load, plan = load_of(config), plan_run(config, tmp_path / "run")
        assert (load.images, load.prompts, load.weights) == (plan.images, plan.prompts, plan.guidance_weights)


def test_a_set_that_is_not_here_is_counted_by_its_definition(toy: RunConfig) -> None:
    assert load_of(changed(toy, "prompts.set=partiprompts", "prompts.samples_per_prompt=1")).images_a_weight == 1632


@pytest.mark.usefixtures("quick_report")
def test_a_run_records_what_its_stages_took_and_a_second_start_adds_nothing(toy: RunConfig, tmp_path: Path) -> None:
    run = run_benchmark(toy, tmp_path / "run", limit=4, outputs=OUTPUTS)
    spent = read_durations(run.run)
    items = {stage: one.items for stage, one in spent.items()}
    assert items == {"reference": 12, "images": 24, "features": 24, "scores": 6, "outputs": 1}
    assert all(one.seconds >= 0 for one in spent.values())
    before = (tmp_path / "run" / "run.json").read_bytes()
    run_benchmark(toy, tmp_path / "run", limit=4, outputs=OUTPUTS)
    assert json.loads((tmp_path / "run" / "run.json").read_bytes())["durations"] == json.loads(before)["durations"]
    run_benchmark(changed(toy, "sweep.guidance_weights=[2.0, 1.0, 1.5, 3.0]"), tmp_path / "run", limit=4)
    assert read_durations(RunFolder.open(tmp_path / "run").run)["images"].items == 32


@pytest.fixture
def quick_report(monkeypatch: pytest.MonkeyPatch) -> None:
    def write_report(runs: list[Path], out: Path) -> None:
        out.mkdir(exist_ok=True)
        (out / "index.html").write_text("")

    monkeypatch.setattr("imagen_bench.report.page.write_report", write_report)


def test_workers_count_in_the_seconds() -> None:
    durations, record = Durations(), type("Folder", (), {"run": {}, "write_run": lambda self: None})()
    durations.add("images", 10, 5.0, workers=4)
    durations.add("features", 0, 5.0)
    durations.write(record)
    durations.add("images", 10, 1.0)
    durations.write(record)
    assert record.run == {"durations": {"images": {"items": 20, "seconds": 21.0}}}
    assert read_durations(record.run)["images"].each == pytest.approx(1.05)


@pytest.mark.parametrize(
    "found", [None, [], {"images": 3}, {"images": {"items": 0, "seconds": 1}}, {"x": {"items": "a"}}]
)
def test_damaged_records_of_times_are_left_out(found: Any) -> None:
    assert read_durations({"durations": found}) == {}


@pytest.fixture
def trial(toy: RunConfig, tmp_path: Path) -> Path:
    """A run with times that are known: 0.4 s an image with guidance, 0.2 s without, 0.05 s beside the model."""
    run = run_benchmark(changed(toy, "sweep.guidance_weights=[1.0, 2.0]"), tmp_path / "trial")
    samples = run.samples()
    samples["seconds"] = samples["guidance_weight"].map({1.0: 0.2, 2.0: 0.4})
    samples.to_parquet(run.path / "samples.parquet", index=False)
    run.run["durations"] = {
        "images": {"items": 40, "seconds": 40 * 0.35},
        "features": {"items": 40, "seconds": 4.0},
        "reference": {"items": 12, "seconds": 0.6},
        "scores": {"items": 4, "seconds": 2.0},
        "outputs": {"items": 2, "seconds": 7.0},
    }
    run.write_run()
    return run.path


def test_measured_costs(trial: Path, toy: RunConfig) -> None:
    costs = measured_costs(trial)
    assert (costs.image, costs.unguided) == (pytest.approx(0.45), pytest.approx(0.25))
    assert (costs.feature, costs.reference_image, costs.score, costs.outputs) == (0.1, pytest.approx(0.05), 0.5, 7.0)
    assert (costs.reference_images, costs.reference, costs.images_a_score) == (12, toy.scores.reference, 20)


def plan(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["plan", *map(str, arguments)])


@pytest.fixture
def config(toy: RunConfig, tmp_path: Path) -> Path:
    atomic_write_text(tmp_path / "job" / "run.json", json.dumps({"config": dump_config(toy)}))
    return tmp_path / "job" / "run.json"


def test_the_command_prints_the_table_and_the_same_as_json(trial: Path, config: Path) -> None:
    answer = json.loads(plan(config, "--measured", trial, "--workers", "1,4", "--json").stdout)
    assert answer["runs"][0]["images"] == 60
    one, four = answer["projected"]
    drawing = 20 * (0.45 + 0.25 + 0.45)
    assert one["seconds"] == pytest.approx(
        {"images": drawing, "features": 6.0, "reference": 0.6, "scores": 3.0, "outputs": 7.0}
    )
    assert four["total"] == pytest.approx((drawing + 6.6) / 4 + 10.0)
    text = plan(config, "--measured", trial, "--workers", "1,4").stdout.splitlines()
    assert text[0] == "toy: 10 prompts x 2 samples x 3 weights = 60 images, 2 metrics"
    assert text[2].split() == ["workers", "images", "features", "reference", "scores", "report", "total"]
    assert [line.split()[0] for line in text[3:5]] == ["1", "4"]


def test_the_command_takes_seconds_or_only_counts(config: Path) -> None:
    answer = json.loads(plan(config, "--seconds-per-image", "2", "--limit", "5", "--json").stdout)
    assert [row["seconds"] for row in answer["projected"]] == [{"images": 60.0}, {"images": 7.5}, {"images": 60 / 64}]
    counted = plan(config)
    assert (counted.exit_code, counted.stdout.count("\n")) == (0, 1)
    assert "--measured RUN" in counted.stderr
    study = json.loads(plan("imagen-emoji/studies/steps.toml", "--seconds-per-image", "1", "--json").stdout)
    assert len(study["runs"]) == 4
    # w = 1 of the bundled model needs one pass of two.
    weights = study["runs"][0]["weights"]
    assert study["projected"][0]["total"] == 4 * 120 * (len(weights) - (0.5 if 1.0 in weights else 0))


def test_bad_input_is_one_line(config: Path, trial: Path, tmp_path: Path) -> None:
    for workers in ("0", "1,x", "", "-3", "1e3", "9999999", "²"):
        assert plan(config, "--workers", workers).exit_code == 2
    for seconds in ("0", "-1", "nan", "inf", "x"):
        assert plan(config, "--seconds-per-image", seconds).exit_code == 2, seconds
    assert plan(config, "--seconds-per-image", "1", "--measured", trial).exit_code == 2
    assert plan(tmp_path / "none.toml").exit_code == 2
    for arguments in (["--measured", tmp_path], ["--set", "prompts.sett=1"], ["--set", "prompts.set=none.txt"]):
        result = plan(config, *arguments)
        assert (result.exit_code, result.stdout, result.stderr.count("\n")) == (1, "", 1)
    samples = pd.read_parquet(trial / "samples.parquet").assign(seconds=0.0)
    samples.to_parquet(trial / "samples.parquet", index=False)
    with pytest.raises(RunFolderError, match="no times of images"):
        measured_costs(trial)
