"""Text features at the texts' own lengths against open_clip at the full length."""

from __future__ import annotations

import logging
from typing import Any

import open_clip
import pytest
import torch

from imagen_bench.metrics.open_clip_text import encode_text

TEXTS = ["a red square", "", "a photo of a cat " * 3, "word " * 60, "word " * 200, "a", "two dogs, one of them blue"]
WIDTH = {"width": 32, "layers": 2}


def model_of(**text: Any) -> Any:
    torch.manual_seed(0)
    logging.getLogger("open_clip").setLevel(logging.ERROR)
    vision = {"image_size": 32, "patch_size": 16, **WIDTH, "head_width": 16}
    model = open_clip.CLIP(24, open_clip.model.CLIPVisionCfg(**vision), open_clip.model.CLIPTextCfg(**WIDTH, **text))
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return model.eval()


@pytest.mark.parametrize(
    "text",
    [{}, {"proj_bias": True}, {"context_length": 20}, {"pool_type": "last"}, {"no_causal_mask": True}],
    ids=["openai", "linear projection", "short context", "read at the last position", "not causal"],
)
def test_features_are_those_of_open_clip(text: Any) -> None:
    model = model_of(heads=2, **text)
    tokens = open_clip.tokenize(TEXTS, model.context_length)
    with torch.no_grad():
        expected, found = model.encode_text(tokens), encode_text(model, tokens)
    assert expected.std() > 0.1
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


def test_a_text_does_not_depend_on_its_batch() -> None:
    model = model_of(heads=2)
    tokens = open_clip.tokenize(TEXTS)
    with torch.no_grad():
        together = encode_text(model, tokens)
        alone = torch.cat([encode_text(model, row[None]) for row in tokens])
        backwards = encode_text(model, tokens.flip(0)).flip(0)
    torch.testing.assert_close(together, alone, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(together, backwards, rtol=0, atol=0)


def test_padding_is_not_computed() -> None:
    model = model_of(heads=2)
    lengths: list[int] = []
    model.transformer.register_forward_pre_hook(lambda _, given: lengths.append(given[0].shape[1]))
    with torch.no_grad():
        encode_text(model, open_clip.tokenize(["a red square", "word " * 20, "a cat", "word " * 200]))
    assert lengths == [8, 24, 77]


def test_no_texts() -> None:
    model = model_of(heads=2)
    with torch.no_grad():
        assert encode_text(model, torch.empty(0, 77, dtype=torch.long)).shape == (0, 24)
