from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import pytest
import torch
from PIL import Image

from imagen_bench.errors import ConfigError, ModelError
from imagen_bench.images import from_pil, list_images, read_image
from imagen_bench.metrics.extractors import OpenClipExtractor, open_extractor

COCO = Path(__file__).parents[3] / "shared" / "data" / "coco-mini" / "images"


def pictures(count: int, seed: int = 0) -> list[Image.Image]:
    """Smooth random pictures of several sizes, with edges, as resizing tells them apart."""
    rng = np.random.default_rng(seed)
    made = []
    for _ in range(count):
        width, height = rng.integers(20, 150, 2)
        small = Image.fromarray(rng.integers(0, 256, (6, 6, 3), dtype=np.uint8))
        picture = small.resize((int(width), int(height)), Image.Resampling.BILINEAR)
        picture.paste((255, 255, 255), (0, 0, int(width) // 3, int(height) // 2))
        made.append(picture)
    return made


def open_clip_features(folder: Path, images: list[Image.Image]) -> torch.Tensor:
    """What open_clip's documented three lines give."""
    model, preprocess = open_clip.create_model_from_pretrained(f"local-dir:{folder}")
    pixels = torch.stack([preprocess(image) for image in images])
    with torch.no_grad():
        features: torch.Tensor = model.eval().encode_image(pixels)
    return features


def hand_made_pixels(image: Image.Image, size: int, mean: list[float], std: list[float]) -> np.ndarray:
    """The transform written out: short side to `size` (long side rounded down), centre crop, normalise."""
    width, height = image.size
    if width <= height:
        resized = image.resize((size, int(size * height / width)), Image.Resampling.BICUBIC)
    else:
        resized = image.resize((int(size * width / height), size), Image.Resampling.BICUBIC)
    left, top = round((resized.width - size) / 2), round((resized.height - size) / 2)
    array = np.asarray(resized.crop((left, top, left + size, top + size)), dtype=np.float32) / 255
    pixels: np.ndarray = (array - np.array(mean, np.float32)) / np.array(std, np.float32)
    return pixels.transpose(2, 0, 1)


def test_agrees_with_open_clip_on_generated_pictures(clip_folder: Path) -> None:
    images = pictures(12)
    ours = open_extractor(str(clip_folder), "cpu").image_features([from_pil(image) for image in images])
    torch.testing.assert_close(ours, open_clip_features(clip_folder, images), rtol=0, atol=1e-5)


@pytest.mark.skipif(not COCO.is_dir(), reason="needs the COCO pictures beside the checkout")
def test_agrees_with_open_clip_on_photographs(clip_folder: Path) -> None:
    files = list_images(COCO)
    ours = open_extractor(str(clip_folder), "cpu").image_features([read_image(file) for file in files])
    theirs = open_clip_features(clip_folder, [Image.open(file).convert("RGB") for file in files])
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-5)


def test_transform_is_the_documented_one(clip_folder: Path) -> None:
    config = json.loads((clip_folder / "open_clip_config.json").read_text())["preprocess_cfg"]
    model, _ = open_clip.create_model_from_pretrained(f"local-dir:{clip_folder}")
    images = pictures(8, seed=1)
    pixels = np.stack([hand_made_pixels(image, 32, config["mean"], config["std"]) for image in images])
    with torch.no_grad():
        expected = model.eval().encode_image(torch.from_numpy(pixels))
    ours = open_extractor(str(clip_folder), "cpu").image_features([from_pil(image) for image in images])
    torch.testing.assert_close(ours, expected, rtol=0, atol=1e-5)


def test_texts_agree_with_open_clip(clip_folder: Path) -> None:
    texts = ["a red square", "two  blue cats on the left", "a"]
    tokenizer = open_clip.get_tokenizer(f"local-dir:{clip_folder}")
    model, _ = open_clip.create_model_from_pretrained(f"local-dir:{clip_folder}")
    with torch.no_grad():
        expected = model.eval().encode_text(tokenizer(texts))
    torch.testing.assert_close(open_extractor(str(clip_folder), "cpu").text_features(texts), expected)


def test_an_image_does_not_depend_on_its_batch(clip_folder: Path) -> None:
    extractor = open_extractor(str(clip_folder), "cpu")
    images = [from_pil(image) for image in pictures(33)]
    together = extractor.image_features(images)
    alone = torch.cat([extractor.image_features([image]) for image in images])
    assert together.dtype == torch.float32
    assert together.shape == (33, extractor.dim) == (33, 16)
    torch.testing.assert_close(together, alone, rtol=0, atol=1e-5)


def test_tensor_and_list_are_the_same(clip_folder: Path) -> None:
    extractor = open_extractor(str(clip_folder), "cpu")
    images = torch.randint(0, 256, (3, 3, 40, 40), dtype=torch.uint8)
    torch.testing.assert_close(extractor.image_features(images), extractor.image_features(list(images)))
    assert extractor.image_features([]).shape == (0, 16)
    assert extractor.text_features([]).shape == (0, 16)


@pytest.mark.parametrize(("words", "cut"), [(10, 0), (11, 0), (12, 1), (40, 1)])
def test_long_texts_are_cut_and_counted(clip_folder: Path, words: int, cut: int) -> None:
    extractor = open_extractor(str(clip_folder), "cpu")
    extractor.text_features(["red", " ".join(["cat"] * words)])
    assert extractor.truncated == cut


def test_id_tells_weights_and_resize_apart(clip_folder: Path, tmp_path: Path) -> None:
    extractor = open_extractor(str(clip_folder), "cpu")
    assert isinstance(extractor, OpenClipExtractor)
    assert "32x32-shortest-bicubic-pil-unnormalised" in extractor.id
    assert extractor.weights_sha256[:16] in extractor.id
    assert "/" not in extractor.id
    assert extractor.short_name == "tiny-clip"

    copy = tmp_path / "copy"
    shutil.copytree(clip_folder, copy)
    assert open_extractor(str(copy), "cpu").id == extractor.id
    edit_config(copy, lambda config: config["preprocess_cfg"].update(resize_mode="squash"))
    assert "squash" in open_extractor(str(copy), "cpu").id
    assert open_extractor(str(copy), "cpu").id != extractor.id


def test_activation_is_in_the_id(clip_folder: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(clip_folder, copy)
    edit_config(copy, lambda config: config["model_cfg"].update(quick_gelu=True))
    plain, quick = open_extractor(str(clip_folder), "cpu"), open_extractor(str(copy), "cpu")
    assert plain.id != quick.id
    image = torch.randint(0, 256, (1, 3, 32, 32), dtype=torch.uint8)
    assert not torch.allclose(plain.image_features(image), quick.image_features(image))


def edit_config(folder: Path, edit: Any) -> None:
    file = folder / "open_clip_config.json"
    config = json.loads(file.read_text())
    edit(config)
    file.write_text(json.dumps(config))


def test_unknown_names_say_what_is_known() -> None:
    with pytest.raises(ModelError, match="unknown extractor 'imagen-emojy'"):
        open_extractor("imagen-emojy")


def test_unknown_device(clip_folder: Path) -> None:
    with pytest.raises(ConfigError, match="device is 'tpu9'"):
        open_extractor(str(clip_folder), "tpu9")


def test_bundled_name_is_its_shipped_folder(clip_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def shipped(name: str) -> Path:
        asked.append(name)
        return clip_folder

    monkeypatch.setattr("imagen_bench.metrics.extractors.asset", shipped)
    assert open_extractor("imagen-emoji", "cpu").short_name == "imagen-emoji"
    assert asked == ["models/imagen-emoji/clip"]


def test_broken_weights_are_one_line(clip_folder: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(clip_folder, copy)
    edit_config(copy, lambda config: config["model_cfg"]["vision_cfg"].update(width=48))
    with pytest.raises(ModelError, match=r"cannot load .* expected a plain state dict") as caught:
        open_extractor(str(copy), "cpu")
    assert "\n" not in str(caught.value)
    (copy / "open_clip_model.safetensors").write_bytes(b"not weights")
    with pytest.raises(ModelError, match="cannot load"):
        open_extractor(str(copy), "cpu")


def test_pickles_with_code_are_refused(clip_folder: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(clip_folder, copy)
    (copy / "open_clip_model.safetensors").unlink()
    torch.save({"state_dict": {}, "run": Path}, copy / "open_clip_pytorch_model.bin")
    with pytest.raises(ModelError, match="cannot load"):
        open_extractor(str(copy), "cpu")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cuda_gives_the_features_of_the_cpu(clip_folder: Path) -> None:
    images = [from_pil(image) for image in pictures(16)]
    cpu = open_extractor(str(clip_folder), "cpu").image_features(images)
    cuda = open_extractor(str(clip_folder), "cuda").image_features(images)
    torch.testing.assert_close(cuda, cpu, rtol=0, atol=1e-4)
