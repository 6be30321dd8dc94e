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


def test_a_folder_without_an_encoder_is_refused_in_one_line(tmp_path):
    with pytest.raises(ModelError, match="no T5 encoder") as caught:
        TextEncoder(tmp_path)
    assert "\n" not in str(caught.value)
