"""Text features of open_clip models, without computing what cannot reach them.

A CLIP text tower attends backwards only and its features are read at the end-of-text token, so the padding after it,
most of the 77 positions of a usual prompt, changes nothing. Texts are computed at their own length, rounded up to a
multiple of 8, which depends on the text alone: never on the other texts of a batch.
"""

from __future__ import annotations

from typing import Any

import torch

_STEP = 8


def encode_text(model: Any, tokens: torch.Tensor) -> torch.Tensor:
    """Return what `model.encode_text(tokens)` does, to float rounding.

    Args:
        model: An open_clip model. Those of other architectures than OpenAI's get all their positions.
        tokens: Token numbers, N x L.
    """
    if len(tokens) == 0 or not _reads_backwards_to_its_end(model):
        features: torch.Tensor = model.encode_text(tokens)
        return features
    ends = tokens.argmax(dim=-1)
    lengths = (ends // _STEP + 1) * _STEP
    groups = [torch.nonzero(lengths == length).flatten() for length in lengths.unique()]
    parts = [_encode_first(model, tokens[rows, : int(lengths[rows[0]])], ends[rows]) for rows in groups]
    return torch.cat(parts)[torch.cat(groups).argsort()]


def _reads_backwards_to_its_end(model: Any) -> bool:
    import open_clip

    # `type`, not `isinstance`: a subclass may read its text in another way.
    return type(model) is open_clip.CLIP and model.attn_mask is not None and model.text_pool_type == "argmax"


def _encode_first(model: Any, tokens: torch.Tensor, ends: torch.Tensor) -> torch.Tensor:
    """Return features at the positions `ends`; `tokens` are the first ones, N x L."""
    length = tokens.shape[1]
    dtype = model.transformer.get_cast_dtype()
    x = model.token_embedding(tokens).to(dtype) + model.positional_embedding[:length].to(dtype)
    x = model.ln_final(model.transformer(x, attn_mask=model.attn_mask[:length, :length]))
    features: torch.Tensor = x[torch.arange(len(x), device=x.device), ends]
    if isinstance(model.text_projection, torch.nn.Linear):
        return features @ model.text_projection.weight.T + model.text_projection.bias
    return features if model.text_projection is None else features @ model.text_projection
