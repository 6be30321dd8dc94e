"""The Inception extractor against torch-fidelity, pytorch-fid, clean-fid and torchmetrics with the same weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

from imagen_bench.errors import ConfigError, ModelError
from imagen_bench.metrics.frechet import frechet_distance
from imagen_bench.metrics.inception import InceptionNetwork, InceptionWeights, open_inception
from imagen_bench.metrics.resize import RESIZE_MODES

SIDES = (64, 256, 299, 512)
NAMES = {"64": "64", "192": "192", "768": "768", "2048": "2048", "logits": "logits_unbiased"}


def smooth_noise(side: int, count: int, seed: int) -> torch.Tensor:
    """Pictures with structure at several scales, uint8 N x 3 x side x side."""
    rng = np.random.default_rng(seed)
    pictures = []
    for _ in range(count):
        total = np.zeros((side, side, 3))
        for cells in (4, 16, 64):
            coarse = Image.fromarray(rng.integers(0, 256, (cells, cells, 3), dtype=np.uint8))
            total += np.asarray(coarse.resize((side, side), Image.Resampling.BICUBIC), dtype=float) / 3
        pictures.append(total.clip(0, 255).astype(np.uint8))
    return torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2)


@pytest.fixture(scope="module")
def weights(inception_file: Path) -> InceptionWeights:
    return InceptionWeights(inception_file, torch.device("cpu"))


@pytest.fixture(scope="module")
def theirs(inception_file: Path) -> FeatureExtractorInceptionV3:
    return FeatureExtractorInceptionV3("x", list(NAMES.values()), feature_extractor_weights_path=str(inception_file))


def ours(weights: InceptionWeights, mode: str, images: torch.Tensor, layer: str = "2048") -> torch.Tensor:
    return InceptionNetwork(weights, RESIZE_MODES[mode]).extractor(layer).image_features(images)


def relative(found: torch.Tensor, expected: torch.Tensor) -> float:
    return float((found - expected).abs().max() / expected.abs().max())


@pytest.mark.parametrize("side", SIDES)
def test_every_layer_is_that_of_torch_fidelity(weights: Any, theirs: Any, side: int) -> None:
    images = smooth_noise(side, 2, side)
    network = InceptionNetwork(weights, RESIZE_MODES["torch-fidelity"])
    found = network.forward(images, list(NAMES))
    for layer, expected in zip(NAMES, theirs(images), strict=True):
        assert expected.std() > 1e-3
        assert relative(found[layer], expected) <= 2e-6, layer


@pytest.mark.parametrize("side", SIDES)
def test_pytorch_fid(weights: Any, inception_file: Path, side: int, monkeypatch: pytest.MonkeyPatch) -> None:
    inception = pytest.importorskip("pytorch_fid.inception")
    state = torch.load(inception_file, weights_only=True)
    monkeypatch.setattr(inception, "load_state_dict_from_url", lambda url, progress: state)
    model = inception.InceptionV3([inception.InceptionV3.BLOCK_INDEX_BY_DIM[2048]]).eval()
    images = smooth_noise(side, 2, side)
    with torch.no_grad():
        expected = model(images.float() / 255)[0].flatten(1)
    assert relative(ours(weights, "pytorch-fid", images), expected) <= 2e-6


@pytest.mark.parametrize("side", SIDES)
def test_clean_fid(weights: Any, theirs: Any, side: int) -> None:
    resize = pytest.importorskip("cleanfid.resize")
    images = smooth_noise(side, 2, side)
    resized = [resize.build_resizer("clean")(image.permute(1, 2, 0).numpy()) for image in images]
    # clean-fid's own network is a TorchScript file of the same weights, fed with (x - 128) / 128.
    pixels = torch.from_numpy(np.stack(resized)).permute(0, 3, 1, 2)
    assert relative(ours(weights, "clean", images), network_of(theirs, pixels)) <= 2e-6


@pytest.mark.parametrize("side", SIDES)
def test_torchmetrics(weights: Any, inception_file: Path, side: int) -> None:
    fid = pytest.importorskip("torchmetrics.image.fid")
    images = smooth_noise(side, 2, side)
    network = fid.NoTrainInceptionV3("inception-v3-compat", ["2048"], str(inception_file))
    assert relative(ours(weights, "torchmetrics", images), network(images)) <= 2e-6


def network_of(extractor: Any, pixels: torch.Tensor) -> torch.Tensor:
    """Return torch-fidelity's 2048 features of pixels of 299 x 299, in 0-255, without its resize."""
    from imagen_bench.metrics import inception

    x = (pixels - 128) / 128
    for name in inception._MODULES:
        x = getattr(extractor, name)(x)
    return x.mean(dim=(2, 3))


def test_fid_of_torch_fidelity_to_a_ten_thousandth(weights: Any, theirs: Any) -> None:
    from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric

    sets = [smooth_noise(96, 8, seed) for seed in (1, 2)]
    stats = [fid_features_to_statistics(theirs(images)[1].double()) for images in sets]
    expected = fid_statistics_to_metric(*stats, verbose=False)["frechet_inception_distance"]
    moments = []
    for images in sets:
        features = ours(weights, "torch-fidelity", images, "192").double().numpy()
        moments += [features.mean(axis=0), np.cov(features, rowvar=False)]
    assert frechet_distance(*moments) == pytest.approx(expected, rel=1e-4)


def test_modes_differ_where_the_size_differs_and_in_their_ids(weights: Any) -> None:
    images = smooth_noise(128, 1, 0)
    features = {mode: ours(weights, mode, images) for mode in RESIZE_MODES}
    ids = {InceptionNetwork(weights, mode).extractor("2048").id for mode in RESIZE_MODES.values()}
    assert len(ids) == 4
    for mode in ("pytorch-fid", "clean"):
        assert relative(features[mode], features["torch-fidelity"]) > 1e-3


def test_images_of_several_sizes_keep_their_order(weights: Any) -> None:
    images = [smooth_noise(side, 1, seed)[0] for seed, side in enumerate((64, 96, 64, 32, 96))]
    together = ours(weights, "torch-fidelity", images)  # type: ignore[arg-type]
    alone = torch.cat([ours(weights, "torch-fidelity", image[None]) for image in images])
    assert relative(together, alone) <= 2e-6


def test_id_says_layer_resize_and_weights(weights: Any) -> None:
    extractor = InceptionNetwork(weights, RESIZE_MODES["clean"]).extractor("768")
    expected = f"inception-2015-12-05-768-clean-pil-bicubic-float-299-{weights.sha256[:16]}"
    assert (extractor.id, extractor.dim, extractor.short_name) == (expected, 768, "Inception 768, clean")


def test_no_images_give_no_features(weights: Any) -> None:
    assert ours(weights, "clean", torch.empty(0, 3, 8, 8, dtype=torch.uint8)).shape == (0, 2048)


def test_wrong_files_are_told_in_one_line(inception_file: Path, tmp_path: Path) -> None:
    state = torch.load(inception_file, weights_only=True)
    cases = {
        "missing.pth": "no weights file",
        "code.pth": "no weights file that can be read safely",
        "list.pth": "holds a list of other things than tensors",
        "shape.pth": r"'fc.weight' of shape \(10, 2048\) where \(1008, 2048\) is expected",
        "lacks.pth": "no tensor 'fc.bias'",
        "more.pth": "a foreign tensor 'extra'",
    }
    torch.save(Path(), tmp_path / "code.pth")
    torch.save([1], tmp_path / "list.pth")
    torch.save({**state, "fc.weight": torch.zeros(10, 2048)}, tmp_path / "shape.pth")
    torch.save({key: value for key, value in state.items() if key != "fc.bias"}, tmp_path / "lacks.pth")
    torch.save({**state, "extra": torch.zeros(1)}, tmp_path / "more.pth")
    for name, message in cases.items():
        with pytest.raises(ModelError, match=message) as caught:
            open_inception(tmp_path / name, device="cpu")
        assert "weights pull inception" in str(caught.value)
        assert "\n" not in str(caught.value)


def test_unknown_resize_mode(inception_file: Path) -> None:
    with pytest.raises(ConfigError, match="unknown resize mode 'cleen': did you mean 'clean'"):
        open_inception(inception_file, "cleen", "cpu")
