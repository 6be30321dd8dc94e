"""Pixels for CMMD against the steps of its reference code, with transformers' normalisation."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from imagen_bench.images import from_pil
from imagen_bench.metrics.extractors import OpenClipExtractor
from imagen_bench.metrics.open_clip_files import find_folder
from imagen_bench.metrics.pixels import CROP_THEN_RESIZE

MEAN, STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)


@pytest.mark.parametrize("size", [(50, 31), (20, 64), (40, 40)])
def test_crop_then_resize(size: tuple[int, int]) -> None:
    from transformers import CLIPImageProcessor

    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8))
    short = min(size)
    left, top = (size[0] - short) // 2, (size[1] - short) // 2
    square = picture.crop((left, top, left + short, top + short)).resize((28, 28), Image.Resampling.BICUBIC)
    processor = CLIPImageProcessor(do_resize=False, do_center_crop=False, do_rescale=False)
    unit = np.asarray(square).astype(np.float32) / 255
    expected = processor(images=unit, return_tensors="pt", input_data_format="channels_last")["pixel_values"][0]
    found = CROP_THEN_RESIZE.build(28, MEAN, STD)(picture)
    torch.testing.assert_close(found, expected, rtol=0, atol=2e-6)


def test_the_id_of_an_extractor_names_another_transform(clip_folder: Path) -> None:
    files, cpu = find_folder(clip_folder, "tiny"), torch.device("cpu")
    usual, cropped = OpenClipExtractor(files, cpu), OpenClipExtractor(files, cpu, CROP_THEN_RESIZE)
    assert "32x32-crop-then-bicubic-pil-" in cropped.id
    assert usual.id != cropped.id
    wide = from_pil(Image.fromarray(np.random.default_rng(1).integers(0, 256, (60, 90, 3), dtype=np.uint8)))
    assert (usual.image_features([wide]) - cropped.image_features([wide])).abs().max() > 1e-5
