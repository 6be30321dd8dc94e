"""Scores on Inception features against torch-fidelity's pipeline and the other libraries' features."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from click.testing import CliRunner
from PIL import Image

from imagen_bench.bench.concordance import concordance_words
from imagen_bench.bench.score_folder import ScoreOptions, score_folder
from imagen_bench.cli.main import main
from imagen_bench.errors import ConfigError, InputError, ModelError, ProtocolError
from imagen_bench.metrics.resize import RESIZE_MODES
from imagen_bench.metrics.weights import WeightsPlaces

COUNT = 8


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two folders of 8 smooth pictures of 80 x 80, which every library can read."""
    root = tmp_path_factory.mktemp("pictures")
    rng = np.random.default_rng(0)
    for folder in ("generated", "real"):
        (root / folder).mkdir()
        for index in range(COUNT):
            small = Image.fromarray(rng.integers(0, 256, (9, 9, 3), dtype=np.uint8))
            small.resize((80, 80), Image.Resampling.BICUBIC).save(root / folder / f"{index}.png")
    return root


def options(pictures: Path, inception_file: Path, **changes: object) -> ScoreOptions:
    given: dict[str, object] = {
        "images": pictures / "generated",
        "reference": str(pictures / "real"),
        "device": "cpu",
        "weights": WeightsPlaces({"inception": str(inception_file)}),
    }
    return ScoreOptions(**{**given, **changes})  # type: ignore[arg-type]


def values(scores: Any) -> dict[str, float]:
    return {row.result.name: row.result.value for row in scores.rows}


def frechet_of_few(x: npt.NDArray[Any], y: npt.NDArray[Any]) -> float:
    """FID of few samples: the trace of the root is the nuclear norm of the small matrix of centred samples."""
    a, b = x - x.mean(axis=0), y - y.mean(axis=0)
    scale = np.sqrt((len(x) - 1) * (len(y) - 1))
    root = np.linalg.svd(a @ b.T, compute_uv=False).sum() / scale
    difference = x.mean(axis=0) - y.mean(axis=0)
    variances = np.sum(a**2) / (len(x) - 1) + np.sum(b**2) / (len(y) - 1)
    return float(difference @ difference + variances - 2 * root)


def images_of(folder: Path) -> torch.Tensor:
    arrays = [np.asarray(Image.open(file).convert("RGB")) for file in sorted(folder.iterdir())]
    return torch.from_numpy(np.stack(arrays)).permute(0, 3, 1, 2)


def test_kid_and_inception_score_are_those_of_torch_fidelity(pictures: Path, inception_file: Path) -> None:
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
    from torch_fidelity.metric_isc import isc_features_to_metric
    from torch_fidelity.metric_kid import kid_features_to_metric

    chosen = {"kid": {"subsets": 5, "subset_size": 6}, "inception_score": {"splits": 2}}
    scores = score_folder(options(pictures, inception_file, metrics=("kid", "inception_score"), metric_options=chosen))
    theirs = FeatureExtractorInceptionV3(
        "x", ["2048", "logits_unbiased"], feature_extractor_weights_path=str(inception_file)
    )
    (x, logits), (y, _) = (theirs(images_of(pictures / name)) for name in ("generated", "real"))
    found = values(scores)
    # In float64, since its own float32 products round a value this small by more than the tolerance.
    kid = kid_features_to_metric(x.double(), y.double(), kid_subsets=5, kid_subset_size=6, rng_seed=2020, verbose=False)
    assert found["kid"] == pytest.approx(kid["kernel_inception_distance_mean"], rel=1e-4, abs=2e-7)
    isc = isc_features_to_metric(logits, splits=2, rng_seed=2020)
    assert found["inception_score"] == pytest.approx(isc["inception_score_mean"], rel=1e-4)
    protocols = {row.result.name: row.protocol for row in scores.rows}
    assert all("8x1" in protocol for protocol in protocols.values())
    words = {row.result.name: row.words for row in scores.rows}
    assert "subset size 6" in words["kid"]
    assert "inception-2015-12-05-logits-torch-fidelity" in words["inception_score"]
    assert any("not the published file" in warning for warning in scores.warnings)


def test_options_and_resize_mode_are_part_of_the_protocol(pictures: Path, inception_file: Path) -> None:
    def protocol(**changes: object) -> Any:
        (row,) = score_folder(options(pictures, inception_file, metrics=("inception_score",), **changes)).rows
        return row

    two = {"inception_score": {"splits": 2}}
    plain = protocol(metric_options=two)
    other = protocol(metric_options={"inception_score": {"splits": 3}})
    clean = protocol(resize="clean", metric_options=two)
    assert len({plain.protocol, other.protocol, clean.protocol}) == 3
    assert clean.result.label == "Inception Score [clean resize]"
    assert plain.result.label == "Inception Score"


@pytest.mark.slow
def test_concordance_gives_the_number_of_each_library(
    pictures: Path, inception_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = ["score", "--images", str(pictures / "generated"), "--reference", str(pictures / "real"), "--json"]
    done = CliRunner().invoke(main, [*arguments, "--concordance", "--weights", f"inception={inception_file}"])
    assert done.exit_code == 0, done.output
    said = json.loads(done.stdout)
    found = {row["label"]: row["value"] for row in said["scores"]}
    sets = [images_of(pictures / name) for name in ("generated", "real")]
    expected = {
        f"FID [{mode} resize]": frechet_of_few(*(features(images).double().numpy() for images in sets))
        for mode, features in libraries(inception_file, monkeypatch).items()
    }
    assert found == {label: pytest.approx(value, rel=1e-4) for label, value in expected.items()}
    assert len({row["protocol"] for row in said["scores"]}) == len(RESIZE_MODES)
    assert said["resize_modes"] == {name: mode.compares_with for name, mode in RESIZE_MODES.items()}


def libraries(inception_file: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """2048 features of uint8 images by each library, which loads the same weights."""
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    pytorch_fid = pytest.importorskip("pytorch_fid.inception")
    clean = pytest.importorskip("cleanfid.resize").build_resizer("clean")
    torchmetrics = pytest.importorskip("torchmetrics.image.fid")
    fidelity = FeatureExtractorInceptionV3("x", ["2048"], feature_extractor_weights_path=str(inception_file))
    state = torch.load(inception_file, weights_only=True)
    monkeypatch.setattr(pytorch_fid, "load_state_dict_from_url", lambda url, progress: state)
    blocks = pytorch_fid.InceptionV3([3], resize_input=True).eval()
    fed = pytorch_fid.InceptionV3([3], resize_input=False, normalize_input=False).eval()

    def of_clean(images: torch.Tensor) -> torch.Tensor:
        resized = np.stack([clean(image.permute(1, 2, 0).numpy()) for image in images])
        pixels: torch.Tensor = fed((torch.from_numpy(resized).permute(0, 3, 1, 2) - 128) / 128)[0].flatten(1)
        return pixels.detach()

    return {
        "torch-fidelity": lambda images: fidelity(images)[0],
        "pytorch-fid": lambda images: blocks(images.float() / 255)[0].flatten(1).detach(),
        "clean": of_clean,
        "torchmetrics": torchmetrics.NoTrainInceptionV3("inception-v3-compat", ["2048"], str(inception_file)),
    }


def test_words_for_every_mode() -> None:
    assert [line.split()[0] for line in concordance_words()] == list(RESIZE_MODES)


@pytest.mark.parametrize(
    ("changes", "error", "said"),
    [
        ({"metrics": ("fid",), "resize": "cleen"}, ConfigError, "unknown resize mode 'cleen': did you mean 'clean'"),
        ({"metrics": ("kid",), "metric_options": {"fid": {}}}, ConfigError, "options are given for metric 'fid'"),
        ({"metrics": ("kid",), "metric_options": {"kid": {"subset": 1}}}, ConfigError, "unknown key 'subset'"),
        ({"metrics": ("fid",), "weights": WeightsPlaces()}, ModelError, "run `imagen-bench weights pull inception`"),
        ({"metrics": ("fd", "fid"), "save_statistics": Path("x")}, ConfigError, "one feature space, these use 2"),
        ({"metrics": ("kid",), "save_statistics": Path("x")}, ConfigError, "use no moments of the reference"),
        ({"metrics": ("fid",), "concordance": True}, ConfigError, "leave the metrics out"),
        ({"reference": None, "concordance": True}, InputError, "'fid' needs a reference set"),
        ({"reference": None, "metrics": ("kid",)}, InputError, "'kid' needs the images of a reference set"),
        ({"reference": "imagen-emoji", "metrics": ("kid",)}, InputError, "compares with single reference images"),
        ({"reference": "imagen-emoji", "metrics": ("fid",)}, ProtocolError, "was made with extractor openclip"),
    ],
)
def test_what_does_not_fit_is_told_before_the_images_are_read(
    pictures: Path, inception_file: Path, changes: dict[str, object], error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        score_folder(options(pictures, inception_file, **changes))


def test_strict_refuses_what_the_default_tells(pictures: Path, inception_file: Path, tmp_path: Path) -> None:
    for index in range(4):
        (tmp_path / f"{index}.png").write_bytes((pictures / "generated" / f"{index // 2}.png").read_bytes())
    given = {"images": tmp_path, "metrics": ("inception_score",), "metric_options": {"inception_score": {"splits": 2}}}
    scores = score_folder(options(pictures, inception_file, **given))
    assert any(line.startswith("warning: images equal to another") for line in scores.hygiene.lines())
    assert [entry["kind"] for entry in scores.to_json()["hygiene"]] == ["duplicates"]
    with pytest.raises(InputError, match=r"images equal to another, pixel by pixel: 2 .*leave --strict out"):
        score_folder(options(pictures, inception_file, **given, strict=True))
