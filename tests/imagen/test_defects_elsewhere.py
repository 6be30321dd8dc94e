"""Defects of other Imagen implementations, as tests that this one must pass; a name says what goes wrong there."""

from __future__ import annotations

import importlib.util
import socket
import sys
from pathlib import Path

import pytest
import torch

from imagen_bench.imagen import (
    attention,
    conditioning,
    efficient_unet,
    layers,
    mirrored_unet,
    text,
    text_cache,
    text_models,
    unet,
)
from imagen_bench.imagen.config import UNetConfig
from imagen_bench.imagen.efficient_unet import build_unet
from imagen_bench.imagen.text import TextBatch, TextEncoder

TEXT_DIM, LENGTH = 12, 4
MODULES = [attention, conditioning, efficient_unet, layers, mirrored_unet, text, text_cache, text_models, unet]


def network_of(kind="base", attend="self+text", **more):
    torch.manual_seed(0)
    config = UNetConfig(
        kind=kind, dim=16, channel_mult=(1, 2), blocks=(1, 1), attention=("none", attend), text_dim=TEXT_DIM,
        head_dim=8, **more,
    )  # fmt: skip
    network = build_unet(config)
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.abs().sum() == 0:
                parameter.normal_(std=0.2)
    return network


def texts(lengths, slots=LENGTH):
    tokens = torch.randn(len(lengths), LENGTH, TEXT_DIM, generator=torch.Generator().manual_seed(1))
    tokens = torch.cat([tokens, torch.zeros(len(lengths), slots - LENGTH, TEXT_DIM)], dim=1)
    mask = torch.arange(slots)[None] < torch.tensor(lengths)[:, None]
    return TextBatch(tokens * mask[..., None], mask)


def noise(n=3):
    return torch.randn(n, 3, 8, 8, generator=torch.Generator().manual_seed(2)), torch.linspace(-2, 2, n)


EACH = [("base", "self+text"), ("mirrored", "self+text"), ("efficient", "self+text"), ("efficient", "cross")]
each_network = pytest.mark.parametrize(("kind", "attend"), EACH)


def test_text_encoding_needs_no_method_that_transformers_dropped(t5_folder, monkeypatch):
    from transformers import PreTrainedTokenizerBase

    for name in ("batch_encode_plus", "encode_plus", "build_inputs_with_special_tokens"):
        monkeypatch.delattr(PreTrainedTokenizerBase, name, raising=False)
    assert TextEncoder(t5_folder)(["a red apple"]).mask.any()


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__.rpartition(".")[2])
def test_import_asks_the_network_for_nothing(module, monkeypatch):
    def refuse(*_):
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    spec = importlib.util.spec_from_file_location("imported_again", Path(module.__file__))
    monkeypatch.setitem(sys.modules, "imported_again", again := importlib.util.module_from_spec(spec))
    spec.loader.exec_module(again)


def test_an_encoder_in_a_folder_asks_the_network_for_nothing(t5_folder, monkeypatch):
    def refuse(*_):
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    assert TextEncoder(t5_folder)(["a red apple"]).mask.any()


@each_network
def test_parameters_are_still_there_after_a_forward_pass(kind, attend):
    network, batch = network_of(kind, attend), texts([4, 2, 0])
    before = [id(parameter) for parameter in network.parameters()]
    network(*noise(), batch.tokens, batch.mask)
    assert [id(parameter) for parameter in network.parameters()] == before != []


@each_network
def test_hooks_of_every_module_fire(kind, attend):
    network, batch, silent = network_of(kind, attend), texts([4, 2, 0]), set()
    for name, module in network.named_modules():
        if not isinstance(module, torch.nn.ModuleList):
            silent.add(name)
            module.register_forward_hook(lambda *_, name=name: silent.discard(name))
    network(*noise(), batch.tokens, batch.mask)
    assert sorted(silent) == []


@each_network
def test_padding_to_a_fixed_length_neither_counts_nor_costs(kind, attend):
    network = network_of(kind, attend).eval()
    short, long = texts([4, 2, 0]), texts([4, 2, 0], slots=64)
    with torch.no_grad():
        expected = network(*noise(), short.tokens, short.mask)
        torch.testing.assert_close(network(*noise(), long.tokens, long.mask), expected, rtol=1e-4, atol=1e-5)
        prepared = network.prepare_text(long.tokens, long.mask)
    assert {key.shape[2] for key, _ in prepared.key_values} == {LENGTH}


def test_batches_are_padded_to_their_own_longest_text(t5_folder):
    batch = TextEncoder(t5_folder, max_length=256)(["a red apple", "three pears"])
    assert batch.mask.any(0).all()
    assert batch.mask.shape[1] < 30


@each_network
def test_no_learned_row_stands_in_for_padding(kind, attend):
    """Without a token, nothing that reads tokens gets a gradient but what the pooled vector needs for "no text"."""
    network, batch = network_of(kind, attend), texts([0, 0, 0])
    network(*noise(), batch.tokens, batch.mask).square().sum().backward()
    layers_ = [module for module in network.modules() if isinstance(module, attention.Attention)]
    assert layers_
    for layer in layers_:
        assert layer.text_kv.weight.grad.abs().max() < 1e-6


def test_the_output_has_no_variance_channels():
    batch = texts([4, 2, 0])
    assert network_of()(*noise(), batch.tokens, batch.mask).shape == (3, 3, 8, 8)


@each_network
def test_masked_attention_trains_in_float32(kind, attend):
    """Rows that are masked everywhere make a softmax of nothing; the gradient must stay finite all the same."""
    network, batch = network_of(kind, attend).train(), texts([4, 0, 1])
    tokens = batch.tokens.requires_grad_(True)
    network(*noise(), tokens, batch.mask).square().mean().backward()
    assert all(parameter.grad.isfinite().all() for parameter in network.parameters())
    assert tokens.grad.isfinite().all()
    assert tokens.grad[1].abs().max() < 1e-9
    assert tokens.grad[2, 1:].abs().max() < 1e-9
    assert tokens.grad[0].abs().sum(1).min() > 0


@pytest.mark.parametrize("pooling", ["attention", "mean"])
def test_pooling_reads_words_and_not_the_last_padded_slot(pooling):
    pool = network_of(pooling=pooling).conditioning.text
    batch, padded = texts([2, 2, 2]), texts([2, 2, 2], slots=40)
    torch.testing.assert_close(pool(padded.tokens, padded.mask), pool(batch.tokens, batch.mask))
    other = batch.tokens.clone()
    other[:, 0] += torch.randn(TEXT_DIM)
    assert (pool(other, batch.mask) - pool(batch.tokens, batch.mask)).abs().max() > 1e-3
    other = batch.tokens.clone()
    other[:, -1] += 100 * torch.randn(TEXT_DIM)
    torch.testing.assert_close(pool(other, batch.mask), pool(batch.tokens, batch.mask))


@each_network
def test_a_null_row_is_the_same_beside_any_prompt(kind, attend):
    network = network_of(kind, attend).eval()
    z, log_snr = noise(1)
    results = []
    for lengths in ([1], [4]):
        batch = texts(lengths)
        null = batch.null()
        both = TextBatch(torch.cat([batch.tokens, null.tokens]), torch.cat([batch.mask, null.mask]))
        with torch.no_grad():
            context = network.prepare_text(both.tokens, both.mask)
            results.append(network(torch.cat([z, z]), torch.cat([log_snr, log_snr]), context)[1])
    torch.testing.assert_close(results[0], results[1], rtol=1e-5, atol=1e-6)
