from __future__ import annotations

import pytest
import torch
from transformers import AutoTokenizer, T5EncoderModel

from imagen_bench.errors import ModelError
from imagen_bench.imagen.text import TextEncoder

TEXTS = ["a red apple", "an octopus to the left of a cactus", "three pears"]


def test_embeddings_are_transformers_own(t5_folder):
    tokenizer, model = (
        AutoTokenizer.from_pretrained(str(t5_folder)),
        T5EncoderModel.from_pretrained(str(t5_folder)).eval(),
    )
    batch = TextEncoder(t5_folder)(TEXTS)
    for index, text in enumerate(TEXTS):
        coded = tokenizer(text, return_tensors="pt")
        with torch.no_grad():
            expected = model(**coded).last_hidden_state[0].float()
        length = len(expected)
        torch.testing.assert_close(batch.tokens[index, :length], expected, rtol=1e-3, atol=1e-3)
        assert batch.mask[index].tolist() == [True] * length + [False] * (batch.mask.shape[1] - length)
        assert batch.tokens[index, length:].abs().sum() == 0


def test_an_embedding_does_not_depend_on_its_batch_or_on_the_cache(t5_folder):
    encoder = TextEncoder(t5_folder, cache_size=2)
    together = encoder(TEXTS)
    alone = TextEncoder(t5_folder)([TEXTS[0]])
    length = alone.tokens.shape[1]
    torch.testing.assert_close(together.tokens[0, :length], alone.tokens[0], rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(encoder(TEXTS).tokens, together.tokens, rtol=1e-3, atol=1e-3)


def test_long_texts_are_cut_and_repeated_ones_embedded_once(t5_folder):
    encoder = TextEncoder(t5_folder, max_length=5)
    batch = encoder(["a red apple and a green pear and a blue crab", "a", "a"])
    assert batch.tokens.shape[1] == 5
    assert torch.equal(batch.tokens[1], batch.tokens[2])


def test_null_and_dropped_texts_have_nothing_to_attend_to(t5_folder):
    batch = TextEncoder(t5_folder)(TEXTS)
    assert not batch.null().mask.any()
    dropped = batch.dropped(torch.tensor([False, True, False]))
    assert not dropped.mask[1].any()
    assert dropped.tokens[1].abs().sum() == 0
    assert torch.equal(dropped.mask[0], batch.mask[0])


def test_embeddings_on_disk_spare_the_encoder(t5_folder, tmp_path):
    expected = TextEncoder(t5_folder)(TEXTS)
    first = TextEncoder(t5_folder, cache=tmp_path)
    assert not first.loaded
    torch.testing.assert_close(first(TEXTS).tokens, expected.tokens)
    assert first.loaded
    second = TextEncoder(t5_folder, cache=tmp_path)
    batch = second(TEXTS[::-1])
    assert not second.loaded
    assert torch.equal(batch.tokens, first(TEXTS[::-1]).tokens)
    assert torch.equal(batch.mask, first(TEXTS[::-1]).mask)
    second([*TEXTS, "a blue crab"])
    assert second.loaded


def test_an_encoder_can_be_freed_and_comes_back_for_another_text(t5_folder):
    with TextEncoder(t5_folder) as encoder:
        before = encoder(TEXTS)
    assert not encoder.loaded
    assert torch.equal(encoder(TEXTS).tokens, before.tokens)
    assert not encoder.loaded
    fresh = TextEncoder(t5_folder)(["a blue crab"]).tokens
    torch.testing.assert_close(encoder(["a blue crab"]).tokens, fresh)
    assert encoder.loaded


def test_more_texts_than_a_batch_are_split(t5_folder):
    encoder, sizes = TextEncoder(t5_folder, batch_size=2), []
    encoder._model.register_forward_pre_hook(
        lambda _, __, given: sizes.append(len(given["input_ids"])), with_kwargs=True
    )
    together = encoder([*TEXTS, "a", "b"])
    assert sizes == [2, 2, 1]
    torch.testing.assert_close(together.tokens, TextEncoder(t5_folder)([*TEXTS, "a", "b"]).tokens)


def test_an_overflow_is_told(t5_folder):
    encoder = TextEncoder(t5_folder)
    with torch.no_grad():
        encoder._model.encoder.final_layer_norm.weight.fill_(float("inf"))
    with pytest.raises(ModelError, match=r"overflows in torch\.float32: load it in bfloat16 or float32"):
        encoder(TEXTS)
