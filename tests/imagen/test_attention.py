from __future__ import annotations

import math

import pytest
import torch
from torch.nn.functional import scaled_dot_product_attention

from imagen_bench.imagen.attention import Attention, TextContext, TextPooling, merge_heads, split_heads

TEXT_DIM = 12


def layer_of(kind, expansion=1):
    torch.manual_seed(0)
    layer = Attention(8, 2, TEXT_DIM, kind, expansion).eval()
    torch.nn.init.normal_(layer.out.weight)
    return layer


def context(text, mask):
    return TextContext(text, mask, torch.zeros(len(text), 1))


def looped(layer, x, text, mask):
    """The same in plain loops over samples, heads and pixels, with the masked tokens taken out by hand."""
    out = x.clone()
    for n in range(len(x)):
        pixels = layer.qkv(layer.norm(x[n : n + 1])).flatten(2)[0].T
        rows = []
        if layer.kind == "cross":
            query, width = pixels, pixels.shape[1]
            rows.append((torch.zeros(1, width), torch.zeros(1, width)))
        else:
            query, *own = pixels.chunk(3, dim=1)
            width = query.shape[1]
            rows.append(tuple(own))
        if layer.kind != "self":
            rows.append(layer.text_kv(layer.text_norm(text[n][mask[n]])).chunk(2, dim=1))
        keys, values = (torch.cat(part) for part in zip(*rows, strict=True))
        size = width // layer.heads
        attended = torch.zeros(len(query), width)
        for head in range(layer.heads):
            part = slice(head * size, (head + 1) * size)
            for pixel in range(len(query)):
                scores = torch.stack([query[pixel, part] @ key[part] for key in keys]) / math.sqrt(size)
                attended[pixel, part] = torch.softmax(scores, 0) @ values[:, part]
        out[n] += layer.out(attended.T.reshape(1, width, *x.shape[2:]))[0]
    return out


@pytest.mark.parametrize("kind", ["self+text", "self", "cross"])
@pytest.mark.parametrize("expansion", [1, 2])
def test_attention_equals_plain_loops(kind, expansion):
    layer = layer_of(kind, expansion)
    x, text = torch.randn(3, 8, 2, 3), torch.randn(3, 4, TEXT_DIM)
    mask = torch.tensor([[True] * 4, [True, False, False, False], [False] * 4])
    with torch.no_grad():
        torch.testing.assert_close(layer(x, context(text, mask)), looped(layer, x, text, mask))


def test_key_width_is_twice_the_channels_where_the_paper_draws_it_so():
    assert layer_of("self+text", 2).qkv.weight.shape == (48, 8, 1, 1)
    assert layer_of("cross", 2).text_kv.weight.shape == (32, TEXT_DIM)


def test_pixels_alone_need_no_text_weights():
    assert not [name for name, _ in layer_of("self").named_parameters() if "text" in name]


def test_attention_pooling_equals_plain_loops():
    torch.manual_seed(0)
    layer = TextPooling(TEXT_DIM, 8, 2)
    text, mask = torch.randn(2, 4, TEXT_DIM), torch.tensor([[True] * 4, [True, True, False, False]])
    for n in range(2):
        tokens = layer.norm(text[n][mask[n]])
        query = layer.query(tokens.mean(0))
        keys, values = layer.key_value(tokens).chunk(2, dim=1)
        heads = []
        for part in (slice(0, 4), slice(4, 8)):
            heads.append(torch.softmax(keys[:, part] @ query[part] / 2.0, 0) @ values[:, part])
        torch.testing.assert_close(layer(text, mask)[n], layer.out(query + torch.cat(heads)))


def test_mean_pooling_is_the_masked_mean_and_has_no_idle_weights():
    torch.manual_seed(0)
    layer = TextPooling(TEXT_DIM, 8, 2, "mean")
    text, mask = torch.randn(2, 4, TEXT_DIM), torch.tensor([[True] * 4, [True, True, False, False]])
    means = torch.stack([layer.norm(text[0]).mean(0), layer.norm(text[1, :2]).mean(0)])
    torch.testing.assert_close(layer(text, mask), layer.out(layer.query(means)))
    layer(text, mask).sum().backward()
    assert all(parameter.grad is not None for parameter in layer.parameters())


def test_heads_split_and_merge():
    x = torch.arange(2 * 3 * 8.0).reshape(2, 3, 8)
    (parts,) = split_heads(x, 4, 1)
    assert parts.shape == (2, 4, 3, 2)
    assert torch.equal(parts[1, 2, 0], x[1, 0, 4:6])
    assert torch.equal(merge_heads(parts), x)


def test_pixels_are_not_copied_on_the_way_to_the_kernel(monkeypatch):
    layer = layer_of("self")
    given = []

    def spy(query, key, value, attn_mask=None):
        given.append((query, key, value))
        return scaled_dot_product_attention(query, key, value, attn_mask=attn_mask)

    monkeypatch.setattr("imagen_bench.imagen.attention.F.scaled_dot_product_attention", spy)
    x = torch.randn(2, 8, 4, 4).contiguous(memory_format=torch.channels_last)
    layer(x, context(torch.randn(2, 3, TEXT_DIM), None))
    ((query, key, value),) = given
    assert query.untyped_storage().data_ptr() == key.untyped_storage().data_ptr() == value.untyped_storage().data_ptr()
