from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import numpy as np
import open_clip
import pytest
import torch
from PIL import Image
from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric

from imagen_bench.bench.score_folder import ScoreOptions, score_folder
from imagen_bench.errors import ConfigError, InputError, ProtocolError
from imagen_bench.metrics.statistics import save_statistics

TEXTS = ("a red square", "two cats", "the blue circle")


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two folders of noise of several sizes: 36 generated images of 12 prompts, 30 of a reference."""
    root = tmp_path_factory.mktemp("pictures")
    rng = np.random.default_rng(0)
    for folder, count in (("generated", 36), ("real", 30)):
        (root / folder).mkdir()
        for index in range(count):
            size = (int(rng.integers(24, 60)), int(rng.integers(24, 60)), 3)
            small = Image.fromarray(rng.integers(0, 256, (4, 4, 3), dtype=np.uint8))
            small.resize(size[:2], Image.Resampling.BICUBIC).save(root / folder / f"{index:03}.png")
    rows = [f"{i:03}.png,{TEXTS[i % 3]} {i % 12},{'even' if i % 2 == 0 else 'odd'}" for i in range(36)]
    (root / "captions.csv").write_text("file,caption,category\n" + "\n".join(rows) + "\n")
    return root


def options(pictures: Path, clip_folder: Path, **changes: object) -> ScoreOptions:
    given: dict[str, object] = {
        "images": pictures / "generated",
        "captions": pictures / "captions.csv",
        "reference": str(pictures / "real"),
        "extractor": str(clip_folder),
        "device": "cpu",
    }
    return ScoreOptions(**{**given, **changes})  # type: ignore[arg-type]


def open_clip_features(clip_folder: Path, folder: Path) -> torch.Tensor:
    model, preprocess = open_clip.create_model_from_pretrained(f"local-dir:{clip_folder}")
    pixels = [preprocess(Image.open(file)) for file in sorted(folder.iterdir())]
    with torch.no_grad():
        features: torch.Tensor = model.eval().encode_image(torch.stack(pixels))
    return features


def test_scores_are_those_of_open_clip_and_torch_fidelity(pictures: Path, clip_folder: Path) -> None:
    scores = score_folder(options(pictures, clip_folder))
    values = {(row.result.name, row.category): row.result for row in scores.rows}
    generated = open_clip_features(clip_folder, pictures / "generated")
    real = open_clip_features(clip_folder, pictures / "real")
    stats = [fid_features_to_statistics(x.double()) for x in (generated, real)]
    fid = fid_statistics_to_metric(*stats, verbose=False)["frechet_inception_distance"]
    assert values["fd", "all"].value == pytest.approx(fid, rel=1e-5)

    model, _ = open_clip.create_model_from_pretrained(f"local-dir:{clip_folder}")
    tokens = open_clip.get_tokenizer(f"local-dir:{clip_folder}")([f"{TEXTS[i % 3]} {i % 12}" for i in range(36)])
    with torch.no_grad():
        cosine = torch.cosine_similarity(generated, model.eval().encode_text(tokens)).numpy()
    assert values["clip_score", "all"].value == pytest.approx(cosine.mean(), abs=1e-6)
    assert values["clip_score", "even"].value == pytest.approx(cosine[::2].mean(), abs=1e-6)
    assert values["clip_score", "odd"].n == 18
    assert values["fd", "all"].low is not None


def test_batch_size_moves_nothing(pictures: Path, clip_folder: Path) -> None:
    one, other = (score_folder(options(pictures, clip_folder, batch_size=size)) for size in (1, 36))
    for a, b in zip(one.rows, other.rows, strict=True):
        assert a.result.value == pytest.approx(b.result.value, rel=1e-5)
        assert a.result.low == pytest.approx(b.result.low, rel=1e-4)
        assert a.protocol == b.protocol


def test_saved_statistics_give_the_same_score_and_protocol(pictures: Path, clip_folder: Path, tmp_path: Path) -> None:
    first = score_folder(options(pictures, clip_folder, captions=None))
    assert first.reference is not None
    save_statistics(tmp_path / "real.safetensors", first.reference.moments["chosen"])
    again = score_folder(options(pictures, clip_folder, captions=None, reference=str(tmp_path / "real.safetensors")))
    assert again.to_json() == first.to_json()
    other = clip_folder.parent / "tiny-clip-squash"
    other.mkdir()
    for file in clip_folder.iterdir():
        text = file.read_bytes().replace(b'"shortest"', b'"squash"')
        (other / file.name).write_bytes(text)
    with pytest.raises(ProtocolError, match="was made with extractor"):
        score_folder(options(pictures, other, reference=str(tmp_path / "real.safetensors")))


def test_protocol_follows_captions_and_reference(pictures: Path, clip_folder: Path, tmp_path: Path) -> None:
    def protocols(**changes: object) -> list[str]:
        return [row.protocol for row in score_folder(options(pictures, clip_folder, **changes)).rows]

    text = (pictures / "captions.csv").read_text()
    (tmp_path / "captions.csv").write_text(text.replace("two cats 1,", "two dogs 1,"))
    before, after = protocols(), protocols(captions=tmp_path / "captions.csv")
    assert before != after
    assert before == protocols(batch_size=5)
    assert all("36x3" in identity for identity in before)
    assert protocols(reference=None)[0] == before[0]


def test_json_and_csv(pictures: Path, clip_folder: Path) -> None:
    scores = score_folder(options(pictures, clip_folder))
    data = json.loads(json.dumps(scores.to_json()))
    assert (data["n"], data["images"], data["schema"]) == (36, "generated", 1)
    assert data["reference"]["n"] == 30
    assert [entry["category"] for entry in data["scores"]] == ["all", "even", "odd", "all"]
    assert data["scores"][3]["label"] == "FD (tiny-clip)"
    assert any("36 images for 16 feature dimensions are few" in text for text in data["warnings"])
    rows = list(csv.DictReader(io.StringIO(scores.to_csv())))
    assert [row["metric"] for row in rows] == ["clip_score"] * 3 + ["fd"]
    assert float(rows[3]["value"]) == data["scores"][3]["value"]
    assert rows[0]["prompt_set"] == "captions"


def test_metrics_follow_what_is_given(pictures: Path, clip_folder: Path) -> None:
    only_fd = score_folder(options(pictures, clip_folder, captions=None))
    assert {row.result.name for row in only_fd.rows} == {"fd"}
    only_clip = score_folder(options(pictures, clip_folder, reference=None))
    assert {row.result.name for row in only_clip.rows} == {"clip_score"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"captions": None, "metrics": ("clip_score",)}, "'clip_score' needs captions: give --captions"),
        ({"reference": None, "metrics": ("fd",)}, "'fd' needs a reference set: give --reference"),
        ({"reference": None, "captions": None}, "nothing to score with"),
    ],
)
def test_missing_needs_are_told_before_anything_is_opened(
    pictures: Path, changes: dict[str, object], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        score_folder(options(pictures, Path("no-such-model"), **changes))


def test_misspelt_and_doubled_metrics(pictures: Path, clip_folder: Path) -> None:
    with pytest.raises(ConfigError, match="did you mean 'clip_score'"):
        score_folder(options(pictures, clip_folder, metrics=("clipscore",)))
    with pytest.raises(ConfigError, match="hold one twice"):
        score_folder(options(pictures, clip_folder, metrics=("fd", "fd")))


def test_warnings(pictures: Path, clip_folder: Path, tmp_path: Path) -> None:
    same = score_folder(options(pictures, clip_folder, reference=str(pictures / "generated")))
    assert any("are those of the reference" in text for text in same.warnings)
    assert {row.result.name: row.result.value for row in same.rows}["fd"] < 1e-9

    few = tmp_path / "few"
    few.mkdir()
    for index in range(4):
        (few / f"{index}.png").write_bytes((pictures / "generated" / f"{index:03}.png").read_bytes())
    (tmp_path / "long.csv").write_text(
        "file,caption\n" + "".join(f"{i}.png,{'cat ' * 30}\n{i}.png,again\n" for i in range(4))
    )
    scores = score_folder(options(pictures, clip_folder, images=few, captions=tmp_path / "long.csv"))
    text = " | ".join(scores.warnings)
    assert "4 images for 16 feature dimensions: the covariance is rank-deficient" in text
    assert "4 prompt(s) are longer than the extractor reads" in text
    assert "4 image(s) have several captions" in text
    assert "FD (tiny-clip): too few prompts for an interval" in text


def test_npz_statistics_are_taken_at_their_word(pictures: Path, clip_folder: Path, tmp_path: Path) -> None:
    first = score_folder(options(pictures, clip_folder, captions=None))
    assert first.reference is not None
    moments = first.reference.moments["chosen"]
    np.savez(tmp_path / "stats.npz", mu=moments.mean, sigma=moments.covariance)
    given = {"captions": None, "reference": str(tmp_path / "stats.npz")}
    again = score_folder(options(pictures, clip_folder, **given))
    assert again.rows[0].result.value == pytest.approx(first.rows[0].result.value, rel=1e-9)
    assert again.rows[0].protocol != first.rows[0].protocol
    assert "against the statistics stats" in again.rows[0].words
    assert again.to_json()["reference"]["n"] is None
    assert any("do not say their extractor or number of images" in text for text in again.warnings)
    with pytest.raises(ConfigError, match="cannot be saved as statistics"):
        score_folder(options(pictures, clip_folder, **given, save_statistics=tmp_path / "x.safetensors"))
    np.savez(tmp_path / "stats.npz", mu=np.zeros(5), sigma=np.eye(5))
    with pytest.raises(InputError, match="moments of 5 dimensions, expected 16"):
        score_folder(options(pictures, clip_folder, **given))


def test_reference_is_extracted_once_and_again_when_a_pixel_changes(
    pictures: Path, clip_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import shutil

    from imagen_bench.metrics.extractors import OpenClipExtractor

    real = tmp_path / "real"
    shutil.copytree(pictures / "real", real)
    seen: list[int] = []
    forward = OpenClipExtractor.forward

    def counting(self: OpenClipExtractor, prepared: list[torch.Tensor], layers: list[str]) -> object:
        seen.append(len(prepared))
        return forward(self, prepared, layers)

    monkeypatch.setattr(OpenClipExtractor, "forward", counting)

    def images_seen() -> int:
        seen.clear()
        score_folder(options(pictures, clip_folder, captions=None, reference=str(real)))
        return sum(seen)

    assert images_seen() == 36 + 30
    assert images_seen() == 36
    picture = np.asarray(Image.open(real / "000.png")).copy()
    picture[0, 0, 0] ^= 1
    Image.fromarray(picture).save(real / "000.png")
    assert images_seen() == 36 + 30
