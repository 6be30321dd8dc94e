"""How text enters the U-Nets: pooled into one vector, and as keys and values of attention (Imagen, 2.1, F.1 and D.3.1).

Feature maps are NCHW float; text is (N, L, D) with a boolean mask (N, L), true where a token stands. What depends on
the text alone is gathered in a `TextContext`, so that a sampler computes it once and not at every step.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from imagen_bench.imagen.layers import group_norm, zero_init

AttentionKind = Literal["self+text", "self", "cross", "none"]
KeyValue = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class TextContext:
    """What a network needs of a batch of texts.

    Attributes:
        tokens: embeddings (N, L, D).
        mask: (N, L), true where a token stands; None where every slot holds one, which lets attention use its
            fastest kernel.
        pooled: the pooled text (N, cond_dim).
        key_values: key and value (N, heads, L, head width) of the text for every layer that reads it, in the order of
            `Attention.index`; None leaves it to each layer to compute its own (training).
    """

    tokens: Tensor
    mask: Tensor | None
    pooled: Tensor
    key_values: tuple[KeyValue, ...] | None = None


class TextPooling(nn.Module):
    """One vector for a text: attention pooling with the mean token as query, or the masked mean.

    (N, L, D), (N, L) -> (N, dim). LayerNorm comes first (Imagen, section 2.5). Masked tokens have no influence, and an
    all-masked text gives a vector that does not depend on any token: the null condition. The last layer does not start
    at zero: texts must differ from the first step on, or the residual blocks learn to ignore them.
    """

    def __init__(self, text_dim: int, dim: int, heads: int, kind: Literal["attention", "mean"] = "attention") -> None:
        super().__init__()
        self.heads, self.kind = heads, kind
        self.norm = nn.LayerNorm(text_dim)
        self.query = nn.Linear(text_dim, dim)
        if kind == "attention":
            self.key_value = nn.Linear(text_dim, 2 * dim)
        self.out = nn.Sequential(nn.LayerNorm(dim), nn.Linear(dim, dim))

    def forward(self, text: Tensor, mask: Tensor) -> Tensor:
        """Pools a batch of texts."""
        text = self.norm(text) * mask[..., None]
        mean = text.sum(1) / mask.sum(1, keepdim=True).clamp(min=1)
        pooled = self.query(mean)
        if self.kind == "attention":
            key, value = split_heads(self.key_value(text), self.heads, 2)
            query = split_heads(pooled[:, None], self.heads, 1)[0]
            # Finite, unlike -inf: a row without any token then has a mean of zeros and not of NaN.
            blocked = torch.where(mask, 0.0, -1e4).to(query.dtype)[:, None, None]
            attended = F.scaled_dot_product_attention(query, key, value * mask[:, None, :, None], attn_mask=blocked)
            pooled = pooled + merge_heads(attended)[:, 0]
        return self.out(pooled)


class Attention(nn.Module):
    """Attention over the pixels of a feature map, with the text.

    "self+text": the text's keys and values are concatenated to the pixels' own (Imagen, D.3.1); "self":
    pixels only; "cross": text only (the 256 -> 1024 stage), with one zero key and value beside it, so that a
    null text is defined.

    Args:
        channels: of the feature map.
        heads: number of heads.
        text_dim: width of the token embeddings.
        kind: what is attended to.
        expansion: width of queries, keys and values as a multiple of `channels` (2 in Imagen's figure A.28).
    """

    def __init__(
        self, channels: int, heads: int, text_dim: int, kind: AttentionKind = "self+text", expansion: int = 1
    ) -> None:
        super().__init__()
        width = expansion * channels
        self.heads, self.kind, self.index = heads, kind, 0
        self.norm = group_norm(channels)
        self.qkv = nn.Conv2d(channels, width if kind == "cross" else 3 * width, 1)
        if kind != "self":
            self.text_norm = nn.LayerNorm(text_dim)
            self.text_kv = nn.Linear(text_dim, 2 * width)
        self.out = zero_init(nn.Conv2d(width, channels, 1))

    def text_key_value(self, tokens: Tensor) -> KeyValue:
        """Key and value of the tokens, (N, heads, L, head width) each."""
        key, value = split_heads(self.text_kv(self.text_norm(tokens)), self.heads, 2)
        return key, value

    def forward(self, x: Tensor, text: TextContext) -> Tensor:
        """Adds what the pixels attend to; N C H W in and out."""
        n, _, h, w = x.shape
        # Both are views where x is channels-last: the pixels already lie one after the other.
        projected = self.qkv(self.norm(x)).flatten(2).transpose(1, 2)
        if self.kind == "cross":
            query = split_heads(projected, self.heads, 1)[0]
            key, value, blocked = self._text_behind(None, text)
        else:
            query, key, value = split_heads(projected, self.heads, 3)
            blocked = None
            if self.kind == "self+text":
                key, value, blocked = self._text_behind((key, value), text)
        attended = merge_heads(F.scaled_dot_product_attention(query, key, value, attn_mask=blocked))
        return x + self.out(attended.transpose(1, 2).reshape(n, attended.shape[2], h, w))

    def _text_behind(self, own: KeyValue | None, text: TextContext) -> tuple[Tensor, Tensor, Tensor | None]:
        """Keys, values and mask of what is attended to: the pixels (or one zero slot), then the text."""
        key, value = self.text_key_value(text.tokens) if text.key_values is None else text.key_values[self.index]
        if own is None:
            own = (key.new_zeros(*key.shape[:2], 1, key.shape[3]),) * 2
        first_key, first_value = own
        blocked = None
        if text.mask is not None:
            always = text.mask.new_ones(len(key), first_key.shape[2])
            blocked = torch.cat([always, text.mask], dim=1)[:, None, None, :]
        return torch.cat([first_key, key], 2), torch.cat([first_value, value], 2), blocked


def split_heads(x: Tensor, heads: int, parts: int) -> tuple[Tensor, ...]:
    """(N, L, parts * C) -> `parts` tensors (N, heads, L, C / heads)."""
    n, length, width = x.shape
    return x.reshape(n, length, parts, heads, width // (parts * heads)).permute(2, 0, 3, 1, 4).unbind(0)


def merge_heads(x: Tensor) -> Tensor:
    """(N, heads, L, D) -> (N, L, heads * D)."""
    n, heads, length, width = x.shape
    return x.transpose(1, 2).reshape(n, length, heads * width)
