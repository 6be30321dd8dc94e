"""DINOv2 against transformers' model with the same weights, at a small width."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torchvision import transforms

from imagen_bench.errors import ModelError
from imagen_bench.images import from_pil
from imagen_bench.metrics.dinov2 import Dinov2Network, open_dinov2, resampled_positions

WIDTH, DEPTH = 128, 2
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def theirs() -> Any:
    """A DINOv2 of transformers for 224 x 224 pixels, random weights."""
    from transformers import Dinov2Config, Dinov2Model

    config = Dinov2Config(
        hidden_size=WIDTH, num_hidden_layers=DEPTH, num_attention_heads=WIDTH // 64, image_size=224, patch_size=14
    )
    torch.manual_seed(0)
    model = Dinov2Model(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    return model


@pytest.fixture(scope="module")
def file(theirs: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same weights by the names of the official file."""
    path = tmp_path_factory.mktemp("dinov2") / "small.pth"
    torch.save(official_names(theirs.state_dict()), path)
    return path


# Names before transformers 5, and since.
RENAMED = {
    "attention.attention.query": "q_proj",
    "attention.attention.key": "k_proj",
    "attention.attention.value": "v_proj",
    "attention.output.dense": "o_proj",
}


def official_names(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    for old, new in RENAMED.items():
        state = {key.replace(old, f"attention.{new}"): tensor for key, tensor in state.items()}
    found = {
        "cls_token": state["embeddings.cls_token"],
        "pos_embed": state["embeddings.position_embeddings"],
        "mask_token": state["embeddings.mask_token"],
        "patch_embed.proj.weight": state["embeddings.patch_embeddings.projection.weight"],
        "patch_embed.proj.bias": state["embeddings.patch_embeddings.projection.bias"],
        "norm.weight": state["layernorm.weight"],
        "norm.bias": state["layernorm.bias"],
    }
    same = ("norm1", "norm2", "mlp.fc1", "mlp.fc2")
    for block in range(DEPTH):
        there, here = f"encoder.layer.{block}.", f"blocks.{block}."
        for kind in ("weight", "bias"):
            for name in same:
                found[f"{here}{name}.{kind}"] = state[f"{there}{name}.{kind}"]
            parts = [state[f"{there}attention.{part}_proj.{kind}"] for part in "qkv"]
            found[f"{here}attn.qkv.{kind}"] = torch.cat(parts)
            found[f"{here}attn.proj.{kind}"] = state[f"{there}attention.o_proj.{kind}"]
        for number in (1, 2):
            found[f"{here}ls{number}.gamma"] = state[f"{there}layer_scale{number}.lambda1"]
    return found


def picture(width: int, height: int) -> Image.Image:
    rng = np.random.default_rng(width)
    small = Image.fromarray(rng.integers(0, 256, (9, 7, 3), dtype=np.uint8))
    return small.resize((width, height), Image.Resampling.BICUBIC)


def test_class_token_is_that_of_transformers(theirs: Any, file: Path) -> None:
    pictures = [picture(64, 48), picture(300, 500), picture(224, 224)]
    # As dgm-eval prepares pictures by default.
    prepare = transforms.Compose(
        [
            transforms.Resize((224, 224), transforms.InterpolationMode.BICUBIC),
            transforms.ToTensor(),
            transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
        ]
    )
    with torch.no_grad():
        expected = theirs(torch.stack([prepare(image) for image in pictures])).pooler_output
    extractor = Dinov2Network(file, CPU, (WIDTH, DEPTH)).extractor()
    found = extractor.image_features([from_pil(image) for image in pictures])
    assert (extractor.dim, found.shape) == (WIDTH, (3, WIDTH))
    assert "squash-bicubic" in extractor.id
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=2e-5)


def test_positions_of_518_pixels_are_resampled_by_the_official_formula(tmp_path: Path) -> None:
    positions = torch.randn(1, 1 + 37**2, 8)
    grid = positions[:, 1:].reshape(1, 37, 37, 8).permute(0, 3, 1, 2)
    scale = (16 + 0.1) / 37.0
    expected = F.interpolate(grid, scale_factor=(scale, scale), mode="bicubic")[0].flatten(1).T
    found = resampled_positions(tmp_path, positions)
    torch.testing.assert_close(found[0, 1:], expected)
    torch.testing.assert_close(found[0, 0], positions[0, 0])
    # Without the enlargement the grid is another one.
    plain = F.interpolate(grid, size=(16, 16), mode="bicubic")[0].flatten(1).T
    assert (found[0, 1:] - plain).abs().max() > 1e-3


def test_weights_of_another_network(file: Path, inception_file: Path, tmp_path: Path) -> None:
    for wrong in (file, inception_file):
        with pytest.raises(ModelError, match="does not hold the weights of DINOv2 ViT-L/14: no tensor '"):
            open_dinov2(wrong, "cpu")
    torch.save({"pos_embed": torch.zeros(1, 6, 4)}, tmp_path / "registers.pth")
    with pytest.raises(ModelError, match=r"'pos_embed' .* expected 1 x \(1 \+ S\^2\) x D"):
        open_dinov2(tmp_path / "registers.pth", "cpu")
