"""Studies: how variants are merged, what they share, and that each is an ordinary run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from imagen_bench.assets import asset
from imagen_bench.bench.dry_run import plan_run
from imagen_bench.bench.run import missing_weights, run_benchmark
from imagen_bench.bench.run_folder import RunFolder
from imagen_bench.bench.variants import (
    ScoringShare,
    Study,
    Variant,
    choose_variants,
    load_study,
    merge_overrides,
    run_study,
)
from imagen_bench.config import RunConfig, apply_overrides, dump_config, validate
from imagen_bench.errors import ConfigError, RunFolderError
from imagen_bench.generators.bundled_options import read_options

BASE = {
    "name": "s",
    "model": {"name": "m", "generator": "bundled", "options": {"base": {"steps": 12, "sampler": "ddim"}}},
    "prompts": {"set": "p"},
    "sweep": {"guidance_weights": [1, 2]},
}
STUDIES = sorted(asset("models/imagen-emoji/studies").glob("*.toml"))


@pytest.mark.parametrize(
    "overrides",
    [
        {"model": {"options": {"base": {"steps": 6}}}},
        {"model.options.base.steps": 6},
        {"model": {"options.base": {"steps": 6}}},
    ],
)
def test_overrides_as_tables_and_dotted_keys_mean_the_same(overrides: dict[str, Any]) -> None:
    assert merge_overrides(BASE, overrides)["model"]["options"] == {"base": {"steps": 6, "sampler": "ddim"}}
    assert BASE["model"]["options"]["base"]["steps"] == 12  # type: ignore[index]


def test_another_generator_starts_without_options() -> None:
    merged = merge_overrides(BASE, {"model": {"generator": "callable", "options": {"target": "t:f"}}})
    assert merged["model"] == {"name": "m", "generator": "callable", "options": {"target": "t:f"}}
    assert "options" not in merge_overrides(BASE, {"model.generator": "diffusers"})["model"]
    assert "base" in merge_overrides(BASE, {"model": {"generator": "bundled", "name": "n"}})["model"]["options"]


def test_a_list_of_weights_and_a_preset_replace_each_other() -> None:
    assert merge_overrides(BASE, {"sweep.preset": "imagen-sr"})["sweep"] == {"preset": "imagen-sr"}
    preset = {**BASE, "sweep": {"preset": "imagen-sr"}}
    assert merge_overrides(preset, {"sweep": {"guidance_weights": [3]}})["sweep"] == {"guidance_weights": [3]}
    assert merge_overrides(preset, {"seed": 1})["sweep"] == {"preset": "imagen-sr"}


def write(path: Path, variants: str) -> Path:
    path.write_text(
        'name = "s"\n[model]\nname = "m"\n[prompts]\nset = "p"\n[sweep]\nguidance_weights = [1]\n' + variants,
        encoding="utf-8",
    )
    return path


@pytest.mark.parametrize(
    ("variants", "said"),
    [
        ("", "has no variants"),
        ("[variants]\na = 3", "variants.a is 3, expected a table"),
        ('[variants."a/b"]\nseed = 1', "the name becomes a folder"),
        ("[variants.a]\nname = 'x'", "sets the name of its run, which is always 's-a'"),
        ("[variants.a]\nseeds = 1", "variants.a: unknown key 'seeds': did you mean 'seed'"),
        ('[variants.a]\n"seed." = 1', "has an empty part"),
        ('[variants.a]\nseed = 1\n"seed.x" = 1', "leads through 'seed', which is a value"),
    ],
)
def test_wrong_variants_are_named(tmp_path: Path, variants: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said.replace(".", r"\.")) as refusal:
        load_study(write(tmp_path / "s.toml", variants))
    assert "\n" not in str(refusal.value)


def test_weights_given_on_the_command_line_replace_those_of_the_file(tmp_path: Path) -> None:
    file = write(tmp_path / "s.toml", "[variants.a]\nseed = 1")
    (variant,) = load_study(file, ["sweep.preset=imagen-sr"]).variants
    assert variant.config.sweep.guidance_weights[-1] == 18
    (variant,) = load_study(
        asset("models/imagen-emoji/studies/thresholding.toml"), ["sweep.guidance_weights=[2]"]
    ).variants[:1]
    assert variant.config.sweep.guidance_weights == (2,)
    with pytest.raises(ConfigError, match="both given"):
        load_study(file, ["sweep.preset=imagen-sr", "sweep.guidance_weights=[2]"])


def test_variants_are_chosen_by_name(tmp_path: Path) -> None:
    study = load_study(write(tmp_path / "s.toml", "[variants.a]\nseed = 1\n[variants.b]\nseed = 2"), ["seed=9"])
    assert [(variant.name, variant.config.name, variant.config.seed) for variant in study.variants] == [
        ("a", "s-a", 1),
        ("b", "s-b", 2),
    ]
    assert [variant.name for variant in choose_variants(study, ["b"])] == ["b"]
    with pytest.raises(ConfigError, match="no variant 'c'"):
        choose_variants(study, ["c"])


def toy_study(toy: RunConfig) -> Study:
    variants = []
    for name, overrides in (("one", {}), ("two", {"seed": 5})):
        config = {**merge_overrides(dump_config(toy), overrides), "name": f"toys-{name}"}
        variants.append(Variant(name, overrides, validate(RunConfig, config, "test")))
    return Study("toys", tuple(variants))


def run_all(study: Study, out: Path) -> list[ScoringShare]:
    shares: list[ScoringShare] = []

    def run_one(variant: Variant, folder: Path, share: ScoringShare) -> None:
        run_benchmark(variant.config, folder, scoring_opener=share.open)
        shares.append(share)

    run_study(study, study.variants, out, run_one)
    return shares


def test_each_variant_is_an_ordinary_run(toy: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    from imagen_bench.bench import variants

    real = variants.open_scoring
    monkeypatch.setattr(variants, "open_scoring", lambda *args: opened.append("") or real(*args))
    study = toy_study(toy)
    run_all(study, tmp_path / "out")
    # The seed of intervals is the run's, so that these two do not share what they score with; a third start does.
    assert len(opened) == 2
    alone = run_benchmark(study.variants[1].config, tmp_path / "alone")
    there = RunFolder.open(tmp_path / "out" / "two")
    assert there.run["config"] == alone.run["config"]
    assert (there.path / "scores.csv").read_bytes() == (alone.path / "scores.csv").read_bytes()
    record = json.loads((tmp_path / "out" / "study.json").read_text())
    assert record["variants"]["two"] == {"run": "two", "name": "toys-two", "overrides": {"seed": 5}}


def test_variants_that_score_alike_share_extractor_and_reference(toy: RunConfig, tmp_path: Path) -> None:
    config = dump_config(toy)
    study = Study(
        "toys",
        tuple(
            Variant(name, {}, validate(RunConfig, {**config, "name": f"toys-{name}"}, "test")) for name in ("a", "b")
        ),
    )
    share, *_ = run_all(study, tmp_path / "out")
    (scoring,) = share._opened.values()
    # 12 reference images once, then 10 prompts x 2 samples x 3 weights of each variant.
    assert scoring.extractor.images_seen == 12 + 2 * 60  # type: ignore[attr-defined]


def test_foreign_folders_are_refused(toy: RunConfig, tmp_path: Path) -> None:
    study = toy_study(toy)
    run_benchmark(toy, tmp_path / "run", limit=2)
    with pytest.raises(RunFolderError, match="is a run folder, expected the folder of a study"):
        run_all(study, tmp_path / "run")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "study.json").write_text('{"name": "that"}')
    with pytest.raises(RunFolderError, match="holds the study 'that', asked was 'toys'"):
        run_all(study, tmp_path / "other")
    (tmp_path / "other" / "study.json").write_text("{")
    with pytest.raises(RunFolderError, match="is not JSON"):
        run_all(study, tmp_path / "other")


def test_parts_of_a_sweep_add_up_to_the_whole(toy: RunConfig, tmp_path: Path) -> None:
    made: list[float] = []
    first = run_benchmark(toy, tmp_path / "parts", weights=[1.0])
    assert missing_weights(first) == (2.0, 1.5)
    assert set(first.scores()["guidance_weight"]) == {1.0}
    plan = plan_run(toy, tmp_path / "parts", weights=[2.0, 1.5])
    assert (plan.images, plan.images_done) == (40, 0)
    run_benchmark(toy, tmp_path / "parts", weights=[1.5, 2.0], outputs=[lambda folder, *_: made.append(1.0)])
    run_benchmark(toy, tmp_path / "whole")
    assert made == [1.0]
    for name in ("scores.csv", "samples_scores.parquet"):
        assert (tmp_path / "parts" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    with pytest.raises(ConfigError, match=r"weight 7 is not in the sweep \(2, 1, 1.5\)"):
        run_benchmark(toy, tmp_path / "parts", weights=[7.0])


@pytest.mark.parametrize("file", STUDIES, ids=lambda file: file.stem)
def test_shipped_studies_are_valid(file: Path, tmp_path: Path) -> None:
    study = load_study(file)
    assert study.name == f"emoji-{file.stem}"
    seen = []
    for variant in study.variants:
        options = {key: value for key, value in variant.config.model.options.items() if key != "batch_size"}
        seen.append((variant.config.model.name, read_options(options, ["base", "sr256"]).model_dump_json()))
        plan = plan_run(variant.config, tmp_path / variant.name, limit=4)
        assert plan.images == 4 * len(plan.guidance_weights)
    assert len(set(seen)) == len(seen) > 1


@pytest.mark.slow
@pytest.mark.parametrize(
    "file", [file for file in STUDIES if not load_study(file).variants[0].trainings], ids=lambda file: file.stem
)
def test_shipped_studies_run(file: Path, tmp_path: Path) -> None:
    variant = load_study(file, ["sweep.guidance_weights=[2]"]).variants[-1]
    folder = run_benchmark(variant.config, tmp_path / "run", limit=4)
    assert len(folder.samples()) == 4


def test_presets_are_the_papers_lists() -> None:
    config = validate(RunConfig, {**BASE, "sweep": {"preset": "imagen-base"}}, "test")
    # Saharia et al. 2022, figure A.8 and A.11.
    assert config.sweep.guidance_weights == (1, 1.25, 1.5, 1.75, 2, 3, 4, 5, 6, 7, 8, 9, 10)
    assert validate(RunConfig, dump_config(config), "run.json") == config
    sr = validate(RunConfig, apply_overrides({**BASE, "sweep": {}}, ["sweep.preset=imagen-sr"]), "test")
    assert sr.sweep.guidance_weights == (1, 3, 5, 7, 8, 10, 12, 15, 18)


@pytest.mark.parametrize(
    ("sweep", "said"),
    [
        ({"preset": "imagen-sr", "guidance_weights": [1]}, "both given; give the one or the other"),
        ({"preset": "imagen-bas"}, "did you mean 'imagen-base'"),
        ({"presets": "imagen-base", "guidance_weights": [1]}, "did you mean 'preset'"),
    ],
)
def test_wrong_presets_are_refused(sweep: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        validate(RunConfig, {**BASE, "sweep": sweep}, "test")
