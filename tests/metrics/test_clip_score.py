from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import open_clip
import pytest
import torch

from imagen_bench.errors import ConfigError, InputError, ModelError
from imagen_bench.images import to_pil
from imagen_bench.metrics.base import FeatureBatch, MetricContext, metrics
from imagen_bench.metrics.clip_score import ClipScore, features_to_cosines
from imagen_bench.metrics.extractors import open_extractor


def batch_of(
    image: np.ndarray, text: np.ndarray, clusters: list[str], categories: list[str] | None = None
) -> FeatureBatch:
    return FeatureBatch(image=image, text=text, clusters=clusters, categories=categories or ())


@pytest.fixture
def features() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.normal(size=(20, 8)), rng.normal(size=(20, 8))


def test_agrees_with_open_clip_used_directly(clip_folder: Path) -> None:
    texts = ["a red square", "two blue cats", "the dog"]
    images = torch.randint(0, 256, (3, 3, 48, 40), dtype=torch.uint8)
    model, preprocess = open_clip.create_model_from_pretrained(f"local-dir:{clip_folder}")
    tokenizer = open_clip.get_tokenizer(f"local-dir:{clip_folder}")
    with torch.no_grad():
        a = model.eval().encode_image(torch.stack([preprocess(to_pil(i)) for i in images]), normalize=True)
        b = model.encode_text(tokenizer(texts), normalize=True)
    extractor = open_extractor(str(clip_folder), "cpu")
    ours = features_to_cosines(extractor.image_features(images), extractor.text_features(texts))
    np.testing.assert_allclose(ours, (a * b).sum(dim=1).numpy(), rtol=0, atol=1e-6)


def test_known_angles_and_torchmetrics_scale() -> None:
    image = np.array([[2.0, 0.0], [3.0, 3.0], [0.0, 1.0], [-1.0, 0.0]])
    text = np.array([[5.0, 0.0], [1.0, 0.0], [1.0, 0.0], [1.0, 0.0]])
    cosines = features_to_cosines(image, text)
    np.testing.assert_allclose(cosines, [1, np.sqrt(0.5), 0, -1], atol=1e-15)
    # torchmetrics.multimodal.CLIPScore: 100 * mean of dot products of unit vectors, the mean clamped at 0.
    unit = [v / np.linalg.norm(v, axis=1, keepdims=True) for v in (image, text)]
    assert max(100 * float(cosines.mean()), 0) == pytest.approx(max(100 * float((unit[0] * unit[1]).sum() / 4), 0))


def test_value_interval_and_categories(features: tuple[np.ndarray, np.ndarray]) -> None:
    image, text = features
    metric = metrics.get("clip_score")(MetricContext("tiny"))
    categories = ["even" if i % 2 == 0 else "odd" for i in range(20)]
    metric.update(batch_of(image, text, [f"p{i // 2}" for i in range(20)], categories))
    result = metric.compute()
    cosines = features_to_cosines(image, text)
    assert result.value == pytest.approx(cosines.mean(), abs=1e-15)
    assert result.per_sample is not None
    np.testing.assert_array_equal(result.per_sample, cosines)
    assert result.low is not None
    assert result.high is not None
    assert result.low < result.value < result.high
    assert (result.name, result.label, result.n) == ("clip_score", "CLIP score (tiny)", 20)
    assert result.higher_is_better
    by_category = metric.compute_categories()
    assert list(by_category) == ["even", "odd"]
    assert by_category["even"].value == pytest.approx(cosines[::2].mean(), abs=1e-15)
    assert by_category["odd"].n == 10


def test_batches_and_workers_do_not_move_the_score(features: tuple[np.ndarray, np.ndarray]) -> None:
    image, text = features
    clusters = [f"p{i}" for i in range(20)]
    whole = ClipScore(MetricContext("tiny"))
    whole.update(batch_of(image, text, clusters))
    one, other = ClipScore(MetricContext("tiny")), ClipScore(MetricContext("tiny"))
    for start in range(0, 20, 3):
        part = slice(start, start + 3)
        (one if start < 9 else other).update(batch_of(image[part], text[part], clusters[part]))
    one.merge(other)
    assert one.compute().value == pytest.approx(whole.compute().value, abs=1e-15)
    assert one.compute().low == pytest.approx(whole.compute().low, abs=1e-15)


def test_one_prompt_gives_no_interval(features: tuple[np.ndarray, np.ndarray]) -> None:
    metric = ClipScore(MetricContext("tiny"))
    metric.update(batch_of(features[0], features[1], ["same"] * 20))
    assert metric.compute().low is None
    assert metric.compute_categories() == {}


def test_refusals(features: tuple[np.ndarray, np.ndarray]) -> None:
    image, text = features
    metric = ClipScore(MetricContext("tiny"))
    with pytest.raises(InputError, match="needs the prompt of each image"):
        metric.update(FeatureBatch(image=image, clusters=["p"] * 20))
    with pytest.raises(InputError, match="differ in shape"):
        features_to_cosines(image, text[:5])
    with pytest.raises(InputError, match="19 cluster labels for 20 images"):
        metric.update(batch_of(image, text, ["p"] * 19))
    with pytest.raises(ModelError, match="NaN"):
        features_to_cosines(image * np.nan, text)
    with pytest.raises(ModelError, match="all zeros"):
        features_to_cosines(image * 0, text)
    with pytest.raises(InputError, match="no images"):
        metric.compute()


@pytest.mark.parametrize(
    ("name", "scale", "label"),
    [
        ("clip_score_100", lambda c: 100 * c, "CLIP score x 100 (tiny)"),
        ("clipscore_hessel", lambda c: 2.5 * max(c, 0), "CLIPScore without prefix (tiny)"),
        ("clipscore_hessel_prefix", lambda c: 2.5 * max(c, 0), "CLIPScore (tiny)"),
    ],
)
def test_other_scales(
    features: tuple[np.ndarray, np.ndarray], name: str, scale: Callable[[float], float], label: str
) -> None:
    image, text = features
    metric = metrics.get(name)(MetricContext("tiny"))
    clusters, categories = [f"p{i}" for i in range(20)], ["a", "b"] * 10
    metric.update(FeatureBatch(image, clusters, text, categories, metric.text_prefix))
    result = metric.compute()
    expected = [scale(float(cosine)) for cosine in features_to_cosines(image, text)]
    assert min(expected) <= 0
    np.testing.assert_allclose(result.per_sample, expected, rtol=1e-12)
    assert result.value == pytest.approx(np.mean(expected), rel=1e-12)
    assert (result.name, result.label) == (name, label)
    assert metric.compute_categories()["b"].value == pytest.approx(np.mean(expected[1::2]), rel=1e-12)


def test_text_features_without_the_prefix_are_refused(features: tuple[np.ndarray, np.ndarray]) -> None:
    metric = metrics.get("clipscore_hessel_prefix")(MetricContext("tiny"))
    assert metric.text_prefix == "A photo depicts "
    with pytest.raises(InputError, match="prefix 'A photo depicts ', found text features made with ''"):
        metric.update(batch_of(*features, ["p"] * 20))


def test_options_are_refused() -> None:
    with pytest.raises(ConfigError, match="options of metric 'clip_score': unknown key 'scale': none are known"):
        metrics.get("clip_score")(MetricContext("tiny", options={"scale": 100}))
