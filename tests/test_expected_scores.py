"""The bundled model gives the scores that its config.toml promises."""

from __future__ import annotations

import pytest

from imagen_bench.assets import asset
from imagen_bench.bench.run import run_benchmark
from imagen_bench.config import RunConfig, apply_overrides, dump_config, load_config, read_toml, validate


def test_a_quick_run_gives_the_expected_scores(tmp_path):
    expected = read_toml(asset("models/imagen-emoji/config.toml"))["expected"]["quick"]
    quick = dump_config(load_config(asset("models/imagen-emoji/demo-quick.toml")))
    weight = expected["guidance_weight"]
    quick |= {"gallery": None, "sheets": None}
    config = validate(RunConfig, apply_overrides(quick, [f"sweep.guidance_weights=[{weight}]"]), "demo-quick.toml")
    run = run_benchmark(config, tmp_path / "run")
    scores = run.scores()
    overall = scores[scores["category"] == "all"].set_index("metric")["value"]
    # Room for another CPU's rounding, which guidance and twelve steps may amplify; far under the intervals.
    assert overall["clip_score"] == pytest.approx(expected["clip_score"], abs=0.004)
    assert overall["fd"] == pytest.approx(expected["fd"], rel=0.03)
    assert "against 1,000 images of imagen-emoji;" in run.run["protocols"]["fd"]["words"]
    assert run.run["protocols"]["clip_score"]["interval"].startswith("Student's t")
