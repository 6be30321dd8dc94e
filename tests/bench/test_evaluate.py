"""Evaluation: scores equal to those computed by hand, cached features, and no trace of unfinished weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from imagen_bench.bench.evaluate import evaluate_run, open_scoring
from imagen_bench.bench.generate import generate_samples
from imagen_bench.bench.run_folder import RunFolder
from imagen_bench.config import RunConfig, apply_overrides, dump_config, validate
from imagen_bench.data.prompts import load_prompt_set
from imagen_bench.errors import ConfigError
from imagen_bench.generators.base import open_generator


def changed(config: RunConfig, *overrides: str) -> RunConfig:
    return validate(RunConfig, apply_overrides(dump_config(config), overrides), "test")


@pytest.fixture
def folder(toy: RunConfig, tmp_path: Path) -> RunFolder:
    record = {
        "config": dump_config(toy),
        "model": {"name": "toy-model"},
        "prompts": {"id": "prompts"},
        "versions": {},
    }
    folder = RunFolder.create_or_resume(tmp_path / "run", record)
    generate_samples(folder, open_generator(toy.model), toy, load_prompt_set(toy.prompts.set))
    return folder


def scoring_of(config: RunConfig, folder: RunFolder) -> Any:
    return open_scoring(config, load_prompt_set(config.prompts.set), folder.path)


def test_scores_are_those_computed_by_hand(toy: RunConfig, folder: RunFolder) -> None:
    scoring = scoring_of(toy, folder)
    assert evaluate_run(folder, scoring) == 3
    scores = folder.scores()
    samples = folder.samples()
    assert scores["guidance_weight"].tolist() == sorted(scores["guidance_weight"])
    rows = samples[(samples["guidance_weight"] == 1.5) & (samples["category"] == "red")]
    cosines = [_cosine(folder, scoring.extractor, row) for _, row in rows.iterrows()]
    found = scores[(scores["guidance_weight"] == 1.5) & (scores["category"] == "red")]
    assert found["metric"].tolist() == ["clip_score"]
    assert found["value"].iloc[0] == pytest.approx(np.mean(cosines), abs=1e-6)
    assert found["n"].iloc[0] == len(rows) == 8
    fd = scores[(scores["guidance_weight"] == 1.5) & (scores["metric"] == "fd")]
    assert fd["category"].tolist() == ["all"]
    assert fd["value"].iloc[0] == pytest.approx(_frechet_by_scipy(folder, scoring.extractor, toy), rel=1e-6)
    assert fd["low"].iloc[0] <= fd["value"].iloc[0] <= fd["high"].iloc[0]


def test_categories_keep_the_order_of_the_prompt_set(toy: RunConfig, folder: RunFolder) -> None:
    evaluate_run(folder, scoring_of(toy, folder))
    assert folder.scores()["category"].head(4).tolist() == ["all", "red", "blue", "Ünï"]


def test_sample_scores_average_to_the_score(toy: RunConfig, folder: RunFolder) -> None:
    evaluate_run(folder, scoring_of(toy, folder))
    per_sample, scores = folder.sample_scores(), folder.scores()
    assert list(per_sample.columns) == ["prompt_id", "index", "guidance_weight", "metric", "value"]
    assert len(per_sample) == 60
    mean = per_sample[per_sample["guidance_weight"] == 2.0]["value"].mean()
    overall = scores[(scores["category"] == "all") & (scores["metric"] == "clip_score")]
    assert overall[overall["guidance_weight"] == 2.0]["value"].iloc[0] == pytest.approx(mean)


def test_features_are_extracted_once_and_again_when_an_image_changes(toy: RunConfig, folder: RunFolder) -> None:
    evaluate_run(folder, scoring_of(toy, folder))
    first = (folder.path / "scores.csv").read_bytes()
    again = scoring_of(toy, folder)
    evaluate_run(folder, again)
    assert (folder.path / "scores.csv").read_bytes() == first
    assert again.extractor.images_seen == 0
    samples = folder.samples()
    samples.loc[0, "sha256"] = "0" * 64
    samples.to_parquet(folder.path / "samples.parquet", index=False)
    changed_image = scoring_of(toy, folder)
    evaluate_run(folder, changed_image)
    assert changed_image.extractor.images_seen == 20


def test_unfinished_weight_has_no_scores(toy: RunConfig, folder: RunFolder) -> None:
    samples = folder.samples()
    samples.iloc[:-1].to_parquet(folder.path / "samples.parquet", index=False)
    assert evaluate_run(folder, scoring_of(toy, folder)) == 2
    assert sorted(set(folder.scores()["guidance_weight"])) == [1.0, 1.5]
    folder.path.joinpath("samples.parquet").unlink()
    samples.iloc[:1].to_parquet(folder.path / "samples.parquet", index=False)
    assert evaluate_run(folder, scoring_of(toy, folder)) == 0
    assert folder.scores().empty
    assert folder.sample_scores().empty


def test_protocols_say_what_was_used(toy: RunConfig, folder: RunFolder) -> None:
    described = scoring_of(toy, folder).describe()
    assert described["extractor"] == "stub-8x8-none-0123456789abcdef"
    assert described["reference"]["n"] == 12
    assert described["protocols"]["clip_score"]["higher_is_better"] is True
    assert described["protocols"]["fd"]["label"] == "FD (stub)"
    assert "against 12 images of reference" in described["protocols"]["fd"]["words"]
    assert "against" not in described["protocols"]["clip_score"]["words"]


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ('scores={metrics=["fd"]}', "found no scores.reference"),
        ('scores.metrics=["clip_score","clip_score"]', "holds a metric twice"),
        ('scores.metrics=["clip_scor"]', "did you mean 'clip_score'"),
    ],
)
def test_what_cannot_be_scored_is_told_before_any_image(
    toy: RunConfig, tmp_path: Path, override: str, said: str
) -> None:
    config = changed(toy, override)
    with pytest.raises(ConfigError) as caught:
        open_scoring(config, load_prompt_set(config.prompts.set), tmp_path / "run")
    assert said in str(caught.value)


def test_without_fd_no_reference_is_opened(toy: RunConfig, tmp_path: Path) -> None:
    config = changed(toy, 'scores.metrics=["clip_score"]', "scores.reference=/nowhere")
    scoring = open_scoring(config, load_prompt_set(config.prompts.set), tmp_path / "run")
    assert scoring.describe()["reference"] is None


def _features(extractor: Any, files: list[Path]) -> np.ndarray[Any, Any]:
    images = []
    for file in files:
        with Image.open(file) as image:
            images.append(torch.from_numpy(np.array(image)).permute(2, 0, 1))
    features: np.ndarray[Any, Any] = extractor.image_features(images).double().numpy()
    return features


def _cosine(folder: RunFolder, extractor: Any, row: Any) -> float:
    image = _features(extractor, [folder.image(row)])[0]
    text = extractor.text_features([row["prompt"]]).double().numpy()[0]
    return float(image @ text / np.sqrt((image @ image) * (text @ text)))


def _frechet_by_scipy(folder: RunFolder, extractor: Any, config: RunConfig) -> float:
    """The textbook formula with scipy's general matrix square root."""
    from scipy.linalg import sqrtm

    samples = folder.samples()
    files = [folder.image(row) for _, row in samples[samples["guidance_weight"] == 1.5].iterrows()]
    reference = sorted(Path(str(config.scores.reference)).glob("*.png"))
    a, b = _features(extractor, files), _features(extractor, reference)
    s1, s2 = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    difference = a.mean(axis=0) - b.mean(axis=0)
    return float(difference @ difference + np.trace(s1 + s2 - 2 * np.real(sqrtm(s1 @ s2))))


def test_several_feature_spaces_from_one_pass_and_once(
    toy: RunConfig, folder: RunFolder, inception_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = changed(
        toy,
        'scores.metrics=["clip_score","inception_score","kid"]',
        f'scores.weights={{inception="{inception_file}"}}',
        "scores.options.kid={subsets=3, subset_size=5}",
        "sweep.guidance_weights=[1.5]",
    )
    keep = folder.samples().query("guidance_weight == 1.5")
    keep.to_parquet(folder.path / "samples.parquet", index=False)
    scoring = scoring_of(config, folder)
    evaluate_run(folder, scoring)
    scores = folder.scores().set_index(["metric", "category"])["value"]
    assert set(scores.index.get_level_values("metric")) == {"clip_score", "inception_score", "kid"}
    described = scoring.describe()
    assert list(described["extractors"]) == ["chosen", "inception-logits", "inception"]
    assert "subset size 5" in described["protocols"]["kid"]["words"]
    assert "12 images of reference" in described["protocols"]["kid"]["words"]

    import imagen_bench.metrics.inception as inception

    def refuse(*_: object) -> None:
        raise AssertionError("a network ran again")

    monkeypatch.setattr(inception.InceptionWeights, "forward", refuse)
    evaluate_run(folder, scoring_of(config, folder))
    again = folder.scores().set_index(["metric", "category"])["value"]
    assert again.equals(scores)


def test_wrong_options_of_a_metric_are_told_before_any_image(toy: RunConfig, tmp_path: Path) -> None:
    for override, said in (
        ("scores.options.fd={blocks=3}", "unknown key 'blocks'"),
        ("scores.options.kid={subsets=3}", "options are given for metric 'kid', which is not computed"),
        ("scores.weights={vgg='x'}", "unknown weights 'vgg'"),
        ("scores.resize='bicubic'", "unknown resize mode 'bicubic'"),
    ):
        with pytest.raises(ConfigError, match=said):
            open_scoring(changed(toy, override), load_prompt_set(toy.prompts.set), tmp_path / "run")
