"""The function that samplers see: z and log-SNR -> guided, thresholded x0 of a batch of prompts.

Guidance acts on the network's output (linear, so equal on eps, x0 and v), thresholding on the guided x0 of the
whole image (Imagen, sections 2.2 and 2.3).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from imagen_bench.imagen.config import StageConfig
from imagen_bench.imagen.guidance import Threshold, guide
from imagen_bench.imagen.schedule import output_to_x0
from imagen_bench.imagen.text import TextBatch
from imagen_bench.imagen.tiling import Region, Tiling, tiled


@runtime_checkable
class PreparesText(Protocol):
    """A network that computes what depends on the text alone once, and takes it in place of tokens and mask."""

    def prepare_text(self, tokens: Tensor, mask: Tensor) -> Any:
        """Everything that the network derives from tokens (N,L,D) and mask (N,L)."""


@dataclass(frozen=True)
class Guidance:
    """Classifier-free guidance of one stage.

    Attributes:
        weight: w of Imagen, eq. 2; 1 is off and runs the conditional pass alone, 0 ignores the text and runs the
            unconditional pass alone.
        interval: noise levels sigma / alpha, low and high, between which `weight` holds; outside, w = 1 does
            (Kynkäänniemi et al. 2024, arXiv 2404.07724). None: everywhere.
    """

    weight: float = 1.0
    interval: tuple[float, float] | None = None

    def at(self, log_snr: float) -> float:
        """The weight at a log-SNR."""
        if self.interval is None or self.interval[0] < math.exp(-0.5 * log_snr) <= self.interval[1]:
            return self.weight
        return 1.0


class Denoiser:
    """Predicts x0 for a batch; every call runs the network once, or once a tile.

    Args:
        network: the stage's U-Net, in evaluation mode.
        stage: its configuration.
        text: embeddings of the prompts (N), on the network's device.
        guidance: weight and interval.
        threshold: applied to the guided x0.
        low_res: for super-resolution, the noised and enlarged input (N,3,H,W).
        aug_log_snr: log-SNR of that noise (N,).
        tiling: how to cut large images; None for whole ones.
    """

    def __init__(
        self, network: nn.Module, stage: StageConfig, text: TextBatch, guidance: Guidance, threshold: Threshold,
        low_res: Tensor | None = None, aug_log_snr: Tensor | None = None, tiling: Tiling | None = None,
    ) -> None:  # fmt: skip
        self._network, self._stage, self._text = network, stage, text
        self._guidance, self._threshold, self._tiling = guidance, threshold, tiling
        self._low_res, self._aug_log_snr = low_res, aug_log_snr
        self._inputs: dict[tuple[bool, bool], _Inputs] = {}

    def __call__(self, z: Tensor, log_snr: float) -> Tensor:
        """The guided, thresholded x0 of z (N,C,H,W) at one log-SNR."""
        weight = self._guidance.at(log_snr)
        inputs = self._inputs_for(weight)
        noise_level = torch.full((len(z) * inputs.passes,), log_snr, device=z.device)

        def predict(region: Region) -> Tensor:
            crop = (..., *region)
            low_res = None if inputs.low_res is None else inputs.low_res[crop]
            output = self._network(
                repeated(z[crop], inputs.passes), noise_level, inputs.text, inputs.mask, low_res, inputs.aug_log_snr
            ).to(z.dtype)  # fmt: skip
            if inputs.passes == 1:
                return output
            conditional, unconditional = output.chunk(2)
            return guide(conditional, unconditional, weight)

        output = tiled(predict, self._tiling, z)
        prediction = self._stage.diffusion.prediction
        return self._threshold(output_to_x0(prediction, output, z, noise_level[: len(z)]))

    def _inputs_for(self, weight: float) -> _Inputs:
        """What the passes of this weight share over all steps: (conditional, unconditional) or one of them."""
        needed = (weight != 0.0, weight != 1.0)
        if needed not in self._inputs:
            texts = [text for text, wanted in zip((self._text, self._text.null()), needed, strict=True) if wanted]
            self._inputs[needed] = _inputs(self._network, texts, self._low_res, self._aug_log_snr)
        return self._inputs[needed]


@dataclass(frozen=True)
class _Inputs:
    passes: int
    text: Any
    mask: Tensor | None
    low_res: Tensor | None
    aug_log_snr: Tensor | None


def _inputs(
    network: nn.Module, texts: Sequence[TextBatch], low_res: Tensor | None, aug_log_snr: Tensor | None
) -> _Inputs:
    tokens, mask = torch.cat([text.tokens for text in texts]), torch.cat([text.mask for text in texts])
    prepared = network.prepare_text(tokens, mask) if isinstance(network, PreparesText) else None
    return _Inputs(
        len(texts),
        tokens if prepared is None else prepared,
        mask if prepared is None else None,
        None if low_res is None else repeated(low_res, len(texts)),
        None if aug_log_snr is None else repeated(aug_log_snr, len(texts)),
    )


def repeated(x: Tensor, times: int) -> Tensor:
    """The batch, `times` times in a row; itself for once."""
    return x if times == 1 else torch.cat([x] * times)
