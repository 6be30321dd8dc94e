"""The FID Inception network (Inception v3 of 2015-12-05, Szegedy et al. 2015, arXiv:1512.00567) and its features.

The blocks are torch-fidelity's, which reproduce the TensorFlow graph of the original FID; the weights are the
release file that torch-fidelity and pytorch-fid share. Batch normalisation is folded into the convolutions when the
weights are loaded, which moves features by a few float32 roundings and nothing else. One forward pass gives
all layers that are asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from imagen_bench.devices import open_device
from imagen_bench.files import sha256_file
from imagen_bench.metrics.extractors import LayerExtractor
from imagen_bench.metrics.full_precision import full_float32
from imagen_bench.metrics.resize import DEFAULT_RESIZE, ResizeMode, find_resize, prepare_for, to_network_input
from imagen_bench.metrics.state_dicts import load_state_dict, misfit

LAYERS = {"64": 64, "192": 192, "768": 768, "2048": 2048, "logits": 1008}
"""Feature layers and their dimensions; "logits" are without the bias, as the Inception Score of torch-fidelity."""
_DIGITS = 16
_MODULES = (
    "Conv2d_1a_3x3", "Conv2d_2a_3x3", "Conv2d_2b_3x3", "MaxPool_1", "Conv2d_3b_1x1", "Conv2d_4a_3x3", "MaxPool_2",
    "Mixed_5b", "Mixed_5c", "Mixed_5d", "Mixed_6a", "Mixed_6b", "Mixed_6c", "Mixed_6d", "Mixed_6e", "Mixed_7a",
    "Mixed_7b", "Mixed_7c",
)  # fmt: skip
_POOLED_AFTER = {"MaxPool_1": "64", "MaxPool_2": "192", "Mixed_6e": "768", "Mixed_7c": "2048"}


class InceptionWeights(nn.Module):
    """The network, batch normalisation folded; its input is N x 3 x 299 x 299 in about [-1, 1].

    Args:
        path: The release file, or another state dict of the same shapes (.pth, .pt, .safetensors).
        device: Where it computes.

    Raises:
        ModelError: The file is missing, no plain state dict, or of another network.
    """

    def __init__(self, path: Path, device: torch.device) -> None:
        super().__init__()
        state = load_state_dict(path, "the FID Inception network", "inception")
        self.sha256 = sha256_file(path)
        self.device = device
        with torch.device("meta"):
            self._build()
        wanted = {key: tuple(tensor.shape) for key, tensor in self.state_dict().items() if not _is_counter(key)}
        state = {key: tensor.to(torch.float32) for key, tensor in state.items() if not _is_counter(key)}
        misfit(path, state, wanted, "the FID Inception network", "inception")
        self.load_state_dict(state, strict=False, assign=True)
        self.eval().requires_grad_(False)
        _fold_batch_norms(self)
        self.to(device)
        self.to(memory_format=torch.channels_last)

    def _build(self) -> None:
        from torch_fidelity import feature_extractor_inceptionv3 as blocks

        self.Conv2d_1a_3x3 = blocks.BasicConv2d(3, 32, kernel_size=3, stride=2)
        self.Conv2d_2a_3x3 = blocks.BasicConv2d(32, 32, kernel_size=3)
        self.Conv2d_2b_3x3 = blocks.BasicConv2d(32, 64, kernel_size=3, padding=1)
        self.MaxPool_1 = nn.MaxPool2d(kernel_size=3, stride=2)
        self.Conv2d_3b_1x1 = blocks.BasicConv2d(64, 80, kernel_size=1)
        self.Conv2d_4a_3x3 = blocks.BasicConv2d(80, 192, kernel_size=3)
        self.MaxPool_2 = nn.MaxPool2d(kernel_size=3, stride=2)
        self.Mixed_5b = blocks.InceptionA(192, pool_features=32)
        self.Mixed_5c = blocks.InceptionA(256, pool_features=64)
        self.Mixed_5d = blocks.InceptionA(288, pool_features=64)
        self.Mixed_6a = blocks.InceptionB(288)
        self.Mixed_6b = blocks.InceptionC(768, channels_7x7=128)
        self.Mixed_6c = blocks.InceptionC(768, channels_7x7=160)
        self.Mixed_6d = blocks.InceptionC(768, channels_7x7=160)
        self.Mixed_6e = blocks.InceptionC(768, channels_7x7=192)
        self.Mixed_7a = blocks.InceptionD(768)
        self.Mixed_7b = blocks.InceptionE_1(1280)
        self.Mixed_7c = blocks.InceptionE_2(2048)
        self.fc = nn.Linear(2048, LAYERS["logits"])

    def forward(self, x: torch.Tensor, layers: Sequence[str]) -> dict[str, torch.Tensor]:
        """Return the features of the layers that are asked for, float32 N x D each, from one pass.

        Args:
            x: float32, N x 3 x 299 x 299.
            layers: Names out of `LAYERS`.
        """
        found: dict[str, torch.Tensor] = {}
        deepest = max(LAYERS["2048" if layer == "logits" else layer] for layer in layers)
        x = x.contiguous(memory_format=torch.channels_last)
        for name in _MODULES:
            x = self.get_submodule(name)(x)
            layer = _POOLED_AFTER.get(name)
            if layer is not None:
                if layer in layers or layer == "2048":
                    found[layer] = F.adaptive_avg_pool2d(x, 1).flatten(1)
                if LAYERS[layer] == deepest:
                    break
        if "logits" in layers:
            found["logits"] = found["2048"] @ self.fc.weight.T
        return {layer: found[layer] for layer in layers}


class InceptionNetwork:
    """The network behind one resize mode: from images to the features of its layers.

    Args:
        weights: The network itself; several modes may share it.
        mode: The resize mode.
    """

    def __init__(self, weights: InceptionWeights, mode: ResizeMode) -> None:
        self.weights = weights
        self.mode = mode

    def prepare(self, image: torch.Tensor) -> torch.Tensor:
        """Do what needs Pillow with one image, uint8 3 x H x W; fit for a thread of its own."""
        return prepare_for(self.mode, image)

    def forward(self, prepared: Sequence[torch.Tensor], layers: Sequence[str]) -> dict[str, torch.Tensor]:
        """Return float32 features N x D of each layer on the CPU, for what `prepare` returned."""
        with torch.inference_mode(), full_float32():
            features = self.weights(self._input(prepared), layers)
        return {layer: tensor.float().cpu() for layer, tensor in features.items()}

    def extractor(self, layer: str) -> LayerExtractor:
        """Return the extractor of one layer; its id says layer, resize mode, kernel and digest of the weights."""
        resize = f"{self.mode.name}-{self.mode.kernel}-299"
        identity = f"inception-2015-12-05-{layer}-{resize}-{self.weights.sha256[:_DIGITS]}"
        suffix = "" if self.mode.name == DEFAULT_RESIZE else f", {self.mode.name}"
        short = {"2048": "Inception", "logits": "Inception logits"}.get(layer, f"Inception {layer}")
        return LayerExtractor(self, layer, identity, short + suffix, LAYERS[layer])

    def _input(self, prepared: Sequence[torch.Tensor]) -> torch.Tensor:
        """Resize images of any sizes, those of one size together, and put them in their order again."""
        by_shape: dict[tuple[int, ...], list[int]] = {}
        for index, image in enumerate(prepared):
            by_shape.setdefault(tuple(image.shape), []).append(index)
        parts = []
        for indices in by_shape.values():
            same = torch.stack([prepared[index] for index in indices]).to(self.weights.device)
            parts.append(to_network_input(self.mode, same))
        order = torch.tensor([index for indices in by_shape.values() for index in indices])
        return torch.cat(parts)[order.argsort().to(self.weights.device)]


def open_inception(path: Path | str, resize: str = DEFAULT_RESIZE, device: str = "auto") -> InceptionNetwork:
    """Open the FID Inception network.

    Args:
        path: Weights file.
        resize: Name out of `RESIZE_MODES`.
        device: A torch device, or "auto" for CUDA where there is one.

    Raises:
        ConfigError: Unknown resize mode or device.
        ModelError: The weights are missing or wrong.
    """
    mode = find_resize(resize)
    return InceptionNetwork(InceptionWeights(Path(path), open_device(device)), mode)


def _is_counter(key: str) -> bool:
    # Batches seen in training; older files lack them.
    return key.endswith("num_batches_tracked")


def _fold_batch_norms(module: nn.Module) -> None:
    """Replace each `BasicConv2d`'s convolution and batch normalisation by one convolution with a bias."""
    for block in list(module.modules()):
        conv, norm = getattr(block, "conv", None), getattr(block, "bn", None)
        if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
            block.conv = _folded(conv, norm)
            block.bn = nn.Identity()


def _folded(conv: nn.Conv2d, norm: Any) -> nn.Conv2d:
    """Return the convolution that does both; the factors are computed in float64."""
    scale = norm.weight.double() / torch.sqrt(norm.running_var.double() + norm.eps)
    bias = norm.bias.double() - norm.running_mean.double() * scale
    weight = conv.weight.double() * scale[:, None, None, None]
    conv.weight = nn.Parameter(weight.float(), requires_grad=False)
    conv.bias = nn.Parameter(bias.float(), requires_grad=False)
    return conv


__all__ = ["LAYERS", "InceptionNetwork", "InceptionWeights", "open_inception"]
