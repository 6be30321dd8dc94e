"""What both kinds of U-Net share: the condition vector, the text, the checks of the inputs, stem and head."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from imagen_bench.errors import ModelError
from imagen_bench.imagen.attention import Attention, TextContext, TextPooling
from imagen_bench.imagen.config import UNetConfig
from imagen_bench.imagen.layers import TimeEmbedding, group_norm, silu, zero_init
from imagen_bench.imagen.schedule import time_of


class Conditioning(nn.Module):
    """Time + pooled text (+ aug level) as one vector (N, cond_dim)."""

    def __init__(self, config: UNetConfig) -> None:
        super().__init__()
        dim = config.condition_width
        self.time = TimeEmbedding(dim)
        self.text = TextPooling(config.text_dim, dim, config.head_count(dim), config.pooling)
        self.aug = TimeEmbedding(dim) if config.low_res else None

    def forward(self, log_snr: Tensor, pooled: Tensor, aug_log_snr: Tensor | None) -> Tensor:
        """The condition of a batch (N, cond_dim), through the SiLU that every residual block begins with."""
        cond = self.time(time_of(log_snr)) + pooled
        if self.aug is not None and aug_log_snr is not None:
            cond = cond + self.aug(time_of(aug_log_snr))
        return F.silu(cond)


class ConditionedUNet(nn.Module):
    """Base of both U-Nets: z (N,3,H,W), log-SNR (N,), text -> prediction (N,3,H,W); subclasses define `trunk`.

    Super-resolution stages also take `low_res` (N,3,H,W), already resized to the stage's size and noised, and
    the log-SNR of that noise. H and W may differ from the training size and from each other: the networks are
    convolutional.
    """

    def __init__(self, config: UNetConfig) -> None:
        super().__init__()
        self.config = config
        self.conditioning = Conditioning(config)
        folded = config.image_channels * config.patch_size**2
        self.stem = nn.Conv2d(folded * (2 if config.low_res else 1), config.dim, 3, padding=1)
        self.add_trunk()
        self.out_norm = group_norm(config.head_channels)
        self.out = zero_init(nn.Conv2d(config.head_channels, folded, 3, padding=1))
        for index, layer in enumerate(self._text_layers()):
            layer.index = index

    def add_trunk(self) -> None:
        """Makes the layers between stem and head."""
        raise NotImplementedError

    def trunk(self, x: Tensor, cond: Tensor, text: TextContext) -> Tensor:
        """Stem's output -> head's input, under a condition (N, cond_dim) and the text."""
        raise NotImplementedError

    def forward(
        self, z: Tensor, log_snr: Tensor, text: Tensor | TextContext, mask: Tensor | None = None,
        low_res: Tensor | None = None, aug_log_snr: Tensor | None = None,
    ) -> Tensor:  # fmt: skip
        """Predicts for a batch.

        Args:
            z: noised images (N,3,H,W) in model range.
            log_snr: their log-SNR (N,).
            text: token embeddings (N,L,D), or what `prepare_text` made of them.
            mask: (N,L), true where a token stands; false everywhere is the null condition. Ignored beside a
                `TextContext`.
            low_res: the low-resolution images (N,3,H,W) of a super-resolution stage.
            aug_log_snr: the log-SNR of their noise (N,).

        Raises:
            ModelError: a size, a width or an input that the configuration does not allow.
        """
        self._check(z, low_res, aug_log_snr)
        context = text if isinstance(text, TextContext) else self._read(text, mask)
        cond = self.conditioning(log_snr, context.pooled, aug_log_snr)
        x = self.trunk(self.stem(self._fold(z, low_res)), cond, context)
        return F.pixel_shuffle(self.out(silu(self.out_norm(x))), self.config.patch_size)

    def prepare_text(self, tokens: Tensor, mask: Tensor) -> TextContext:
        """All that depends on the text alone, for `forward` to take in place of tokens and mask.

        The pooled text and every layer's keys and values are computed once, slots that no text of the batch fills
        are left out, and the mask where every slot is filled. For sampling; the numbers are those of `forward` with
        tokens and mask.

        Args:
            tokens: token embeddings (N,L,D).
            mask: (N,L), true where a token stands.
        """
        used = mask.any(dim=0)
        context = self._read(tokens, mask)
        kept, mask = context.tokens[:, used], mask[:, used]
        key_values = tuple(layer.text_key_value(kept) for layer in self._text_layers())
        return TextContext(kept, None if bool(mask.all()) else mask, context.pooled, key_values)

    def _read(self, tokens: Tensor, mask: Tensor | None) -> TextContext:
        if mask is None:
            raise ModelError("token embeddings without their mask: give both, or what prepare_text returns")
        if tokens.shape[-1] != self.config.text_dim:
            raise ModelError(f"the network reads text of width {self.config.text_dim}, found {tokens.shape[-1]}")
        tokens = tokens.to(self.stem.weight.dtype)
        return TextContext(tokens, mask, self.conditioning.text(tokens, mask))

    def _text_layers(self) -> list[Attention]:
        return [module for module in self.modules() if isinstance(module, Attention) and module.kind != "self"]

    def _fold(self, z: Tensor, low_res: Tensor | None) -> Tensor:
        """z, and the low-resolution image beside it, with patches folded into channels; channels-last."""
        x = z if low_res is None else torch.cat([z, low_res], dim=1)
        x = F.pixel_unshuffle(x.to(self.stem.weight.dtype), self.config.patch_size)
        return x.contiguous(memory_format=torch.channels_last)

    def _check(self, z: Tensor, low_res: Tensor | None, aug_log_snr: Tensor | None) -> None:
        height, width = z.shape[-2:]
        if height % self.config.factor or width % self.config.factor:
            raise ModelError(f"images of {width}x{height} pixels: both sides must be multiples of {self.config.factor}")
        wanted, found = self.config.low_res, (low_res is not None, aug_log_snr is not None)
        if found != (wanted, wanted):
            raise ModelError(
                "a super-resolution network needs low_res and aug_log_snr"
                if wanted
                else "low_res and aug_log_snr are for super-resolution networks; this one has unet.low_res = false"
            )
        if low_res is not None and low_res.shape != z.shape:
            raise ModelError(f"low_res must be resized to z's shape {tuple(z.shape)}, found {tuple(low_res.shape)}")

    def _run(self, layer: nn.Module, *inputs: Any) -> Tensor:
        """Runs a layer, in training with its activations recomputed on the way back where `checkpointing` is on."""
        if self.config.checkpointing and self.training and torch.is_grad_enabled():
            output = checkpoint(layer, *inputs, use_reentrant=False)
        else:
            output = layer(*inputs)
        return output
