"""DINOv2 features (Oquab et al. 2023, arXiv:2304.07193) as FD-DINOv2 uses them (Stein et al. 2023, arXiv:2306.04675).

The class token of ViT-L/14 after the last norm, for pictures squashed to 224 x 224 with Pillow's bicubic on 8-bit
pixels, as the authors' dgm-eval does by default. The transformer is timm's; the official weights load into it by
their own names. Their position embedding belongs to 518 x 518 pixels and is resampled to 224 x 224 with the official
formula (bicubic, no antialiasing, the grid enlarged by 0.1), which differs from timm's own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F

from imagen_bench.devices import open_device
from imagen_bench.errors import ModelError
from imagen_bench.files import sha256_file
from imagen_bench.images import to_pil
from imagen_bench.metrics.extractors import LayerExtractor
from imagen_bench.metrics.full_precision import full_float32
from imagen_bench.metrics.pixels import normalised, squash
from imagen_bench.metrics.state_dicts import load_state_dict, misfit

SIDE = 224
PATCH = 14
LAYER = "class-token"
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
VITL14 = (1024, 24)
"""Width and depth of ViT-L/14."""
_GRID = SIDE // PATCH
_HEAD = 64
_OFFSET = 0.1
_DIGITS = 16
_NAME = "dinov2-vitl14"
_WHAT = "DINOv2 ViT-L/14"


class Dinov2Network:
    """A DINOv2 vision transformer without registers.

    Args:
        path: Official weights, or another state dict of the same shapes (.pth, .safetensors).
        device: Where it computes.
        size: Width and depth.

    Raises:
        ModelError: The file is missing, no plain state dict, or of another network.
    """

    def __init__(self, path: Path, device: torch.device, size: tuple[int, int] = VITL14) -> None:
        state = load_state_dict(path, _WHAT, _NAME)
        # Used in training alone.
        state.pop("mask_token", None)
        self.sha256 = sha256_file(path)
        self._device = device
        self._dim = size[0]
        model = _build(*size)
        if "pos_embed" in state:
            state["pos_embed"] = resampled_positions(path, state["pos_embed"])
        wanted = {key: tuple(tensor.shape) for key, tensor in model.state_dict().items()}
        misfit(path, state, wanted, _WHAT, _NAME)
        model.load_state_dict({key: tensor.float() for key, tensor in state.items()}, assign=True)
        self._model = model.eval().requires_grad_(False).to(device)

    def prepare(self, image: torch.Tensor) -> torch.Tensor:
        """Return one image, uint8 3 x H x W, as float32 3 x 224 x 224, normalised as in training."""
        return normalised(squash(to_pil(image), SIDE), IMAGENET_MEAN, IMAGENET_STD)

    def forward(self, prepared: Sequence[torch.Tensor], layers: Sequence[str]) -> Mapping[str, torch.Tensor]:
        """Return float32 class tokens N x D on the CPU; the network has this one layer."""
        with torch.inference_mode(), full_float32():
            tokens: torch.Tensor = self._model(torch.stack(list(prepared)).to(self._device))
        return dict.fromkeys(layers, tokens.float().cpu())

    def extractor(self) -> LayerExtractor:
        """Return the extractor of the class token."""
        identity = f"{_NAME}-{LAYER}-{SIDE}x{SIDE}-squash-bicubic-pil-{self.sha256[:_DIGITS]}"
        return LayerExtractor(self, LAYER, identity, "DINOv2 ViT-L/14", self._dim)


def open_dinov2(path: Path | str, device: str = "auto") -> Dinov2Network:
    """Open DINOv2 ViT-L/14.

    Raises:
        ModelError: The weights are missing or wrong, or the device is.
    """
    return Dinov2Network(Path(path), open_device(device))


def resampled_positions(path: Path, positions: torch.Tensor) -> torch.Tensor:
    """Return a position embedding for the 16 x 16 patches of a 224 x 224 picture, by DINOv2's own formula.

    Args:
        path: Where it comes from, for messages.
        positions: 1 x (1 + S^2) x D: the class token's, then those of S x S patches.

    Returns:
        float32, 1 x 257 x D.

    Raises:
        ModelError: Another shape.
    """
    side = round(max(positions.shape[1] - 1, 0) ** 0.5) if positions.ndim == 3 else 0
    if side == 0 or side**2 != positions.shape[1] - 1:
        raise ModelError(
            f"'pos_embed' of {str(path)!r} has shape {tuple(positions.shape)}, expected 1 x (1 + S^2) x D: give the "
            f"backbone of {_WHAT} without registers"
        )
    first, patches = positions[:, :1].float(), positions[:, 1:].float()
    if side != _GRID:
        scale = (_GRID + _OFFSET) / side
        grid = patches.reshape(1, side, side, -1).permute(0, 3, 1, 2)
        grid = F.interpolate(grid, scale_factor=(scale, scale), mode="bicubic", align_corners=False)
        patches = grid.permute(0, 2, 3, 1).reshape(1, _GRID**2, -1)
    return torch.cat([first, patches], dim=1)


def _build(width: int, depth: int) -> Any:
    """Return timm's transformer without weights."""
    from timm.models.vision_transformer import VisionTransformer

    with torch.device("meta"):
        return VisionTransformer(
            img_size=SIDE,
            patch_size=PATCH,
            embed_dim=width,
            depth=depth,
            num_heads=width // _HEAD,
            num_classes=0,
            init_values=1e-5,
        )
