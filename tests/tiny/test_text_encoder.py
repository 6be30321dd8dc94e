from __future__ import annotations

import pytest
import torch
from transformers import AutoTokenizer

from imagen_bench.imagen.text import TextEncoder
from imagen_bench.tiny.text_encoder import (
    TextEncoderConfig,
    mask_tokens,
    second_moment_penalty,
    train_text_encoder,
)

WORDS = ["a pear above a bus", "two foxes", "a red octopus", "a bus on a pink background", "three pears"]


def test_a_trained_encoder_is_an_ordinary_t5_folder(tmp_path):
    config = TextEncoderConfig(vocab_size=200, dim=16, layers=1, heads=2, ff_dim=24, steps=60, batch_size=20)
    rows = []
    train_text_encoder(lambda count: [WORDS[index % 5] for index in range(count)], config, tmp_path, rows.append)
    assert rows[-1]["loss"] < 0.8 * rows[0]["loss"]
    batch = TextEncoder(tmp_path)(["a pear above a bus", "a bus above a pear"])
    assert batch.tokens.shape[2] == 16
    assert (batch.tokens[0] - batch.tokens[1]).abs().max() > 1e-3
    tokenizer = AutoTokenizer.from_pretrained(str(tmp_path))
    assert tokenizer.decode(tokenizer("Three PEARS")["input_ids"], skip_special_tokens=True).strip() == "three pears"


def test_masking_spares_padding_and_always_asks_something():
    ids = torch.randint(4, 50, (500, 10))
    mask = (torch.arange(10)[None] < torch.randint(1, 11, (500, 1))).long()
    corrupted, chosen = mask_tokens(ids, mask, 3, 50, 0.2, torch.Generator().manual_seed(0))
    assert not (chosen & ~mask.bool()).any()
    assert chosen.any(1).all()
    assert (corrupted[~chosen] == ids[~chosen]).all()
    hidden = (corrupted[chosen] == 3).float().mean()
    assert 0.7 < hidden < 0.9


def test_the_penalty_is_the_distance_of_the_second_moment_from_the_identity():
    white = torch.cat([torch.eye(4), -torch.eye(4)]) * 2.0
    assert second_moment_penalty(white).item() == pytest.approx(0.0)
    shared = torch.ones(6, 3)
    assert second_moment_penalty(shared).item() == pytest.approx(6 / 3)


def test_decorrelation_spreads_the_embeddings(tmp_path):
    def second_moment(rate, folder):
        config = TextEncoderConfig(
            vocab_size=200, dim=16, layers=1, heads=2, ff_dim=24, steps=80, batch_size=20, decorrelation=rate
        )
        train_text_encoder(lambda count: [WORDS[index % 5] for index in range(count)], config, folder)
        batch = TextEncoder(folder)(WORDS)
        return second_moment_penalty(batch.tokens[batch.mask]).item()

    assert second_moment(0.3, tmp_path / "with") < 0.8 * second_moment(0.0, tmp_path / "without")
