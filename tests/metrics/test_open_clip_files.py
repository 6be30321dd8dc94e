from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import open_clip
import pytest
import torch
from open_clip.transform import PreprocessCfg, image_transform_v2
from safetensors.torch import save_file

from imagen_bench.errors import ModelError
from imagen_bench.images import to_pil
from imagen_bench.metrics.extractors import open_extractor
from imagen_bench.metrics.open_clip_files import find_folder, find_named

# The smallest architecture that open_clip knows with both activations.
ARCHITECTURE = "ViT-S-32-alt"


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("weights")
    torch.manual_seed(0)
    model = open_clip.create_model(ARCHITECTURE)
    save_file(model.state_dict(), folder / "mine.safetensors")
    return folder / "mine.safetensors"


def test_folder_is_found_with_the_digest_of_its_weights(clip_folder: Path) -> None:
    files = find_folder(clip_folder, "tiny")
    content = (clip_folder / "open_clip_model.safetensors").read_bytes()
    assert files.sha256 == hashlib.sha256(content).hexdigest()
    assert files.model_name == f"local-dir:{clip_folder}"


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda folder: (folder / "open_clip_config.json").unlink(), "has no open_clip_config.json"),
        (lambda folder: (folder / "open_clip_config.json").write_text("{"), "cannot read"),
        (lambda folder: (folder / "open_clip_config.json").write_text("[]"), "lacks model_cfg"),
        (lambda folder: (folder / "open_clip_model.safetensors").unlink(), "has no weights"),
    ],
)
def test_damaged_folder_is_told_in_a_line(clip_folder: Path, tmp_path: Path, damage, message: str) -> None:  # type: ignore[no-untyped-def]
    copy = tmp_path / "copy"
    shutil.copytree(clip_folder, copy)
    damage(copy)
    with pytest.raises(ModelError, match=message):
        find_folder(copy, "copy")


def test_tokenizer_files_are_part_of_the_identity(clip_folder: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(clip_folder, copy)
    assert find_folder(copy, "copy").architecture == find_folder(clip_folder, "tiny").architecture
    tokenizer = json.loads((copy / "tokenizer.json").read_text())
    tokenizer["model"]["vocab"]["zebra"] = 99
    (copy / "tokenizer.json").write_text(json.dumps(tokenizer))
    assert find_folder(copy, "copy").architecture != find_folder(clip_folder, "tiny").architecture


def test_missing_weights_name_architecture_tag_and_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(ModelError, match=r"ViT-B-32, pretrained tag openai, are not on this machine: run"):
        open_extractor("ViT-B-32/openai")


def test_openai_weights_from_the_cache_get_quickgelu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    repository = tmp_path / "models--timm--vit_base_patch32_clip_224.openai"
    snapshot = repository / "snapshots" / "0123"
    snapshot.mkdir(parents=True)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("0123")
    (snapshot / "open_clip_model.safetensors").write_bytes(b"weights")
    for name in ("ViT-B-32/openai", "ViT-B-32-quickgelu/openai"):
        files = find_named(name)
        assert files.weights == snapshot / "open_clip_model.safetensors"
        assert files.quick_gelu
        assert files.architecture == "ViT-B-32-quickgelu"
        assert files.preprocess["resize_mode"] == "shortest"
        assert files.short_name == name


def test_file_of_openai_weights_is_refused_with_gelu(tmp_path: Path) -> None:
    file = tmp_path / "clip-openai.safetensors"
    file.write_bytes(b"weights")
    with pytest.raises(ModelError, match=f"looks like QuickGELU.*write ViT-B-32-quickgelu/{file}"):
        find_named(f"ViT-B-32/{file}")
    assert find_named(f"ViT-B-32-quickgelu/{file}").quick_gelu


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("ViT-B-23/openai", "did you mean 'ViT-B-32'"),
        ("ViT-B-16-quickgelu/laion2b_s34b_b88k", "no open_clip tag of ViT-B-16-quickgelu"),
        ("ViT-B-32/openay", "did you mean 'openai'"),
        ("ViT-B-32/no/such.safetensors", "is no weights file"),
    ],
)
def test_misspelt_names(name: str, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        find_named(name)


def test_architecture_with_file_is_loaded_and_activation_changes_features(weights: Path) -> None:
    image = torch.randint(0, 256, (1, 3, 64, 64), dtype=torch.uint8)
    plain = open_extractor(f"{ARCHITECTURE}/{weights}", "cpu")
    quick = open_extractor(f"{ARCHITECTURE}-quickgelu/{weights}", "cpu")
    model = open_clip.create_model(ARCHITECTURE, pretrained=str(weights), force_quick_gelu=True).eval()
    preprocess = image_transform_v2(PreprocessCfg(**model.visual.preprocess_cfg), is_train=False)
    with torch.no_grad():
        expected = model.encode_image(preprocess(to_pil(image[0]))[None])
    torch.testing.assert_close(quick.image_features(image), expected, rtol=0, atol=1e-5)
    assert not torch.allclose(plain.image_features(image), expected, atol=1e-4)
    assert "quickgelu" in quick.id
    assert "quickgelu" not in plain.id
    assert quick.text_features(["a cat"]).shape == (1, quick.dim)
