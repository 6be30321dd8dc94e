from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from imagen_bench.imagen.layers import PositionMap, ResBlock, TimeEmbedding, UpConv2d, resample, silu, start_like_flax


def test_time_embedding_is_sines_and_cosines_of_geometric_frequencies():
    layer = TimeEmbedding(3, features=4)
    seen = []
    layer.mlp.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    assert layer(torch.tensor([0.0, 0.25])).shape == (2, 3)
    angles = [250.0, 2.5]
    expected = [math.sin(angles[0]), math.sin(angles[1]), math.cos(angles[0]), math.cos(angles[1])]
    torch.testing.assert_close(seen[0][1], torch.tensor(expected), rtol=1e-4, atol=1e-4)
    assert seen[0][0].tolist() == [0.0, 0.0, 1.0, 1.0]


def test_residual_block_equals_the_written_formula():
    torch.manual_seed(0)
    block = ResBlock(16, 8, 6)
    nn.init.normal_(block.conv2.weight)
    x, cond = torch.randn(2, 16, 4, 4), torch.randn(2, 6)
    scale, shift = (cond @ block.condition.weight.T + block.condition.bias).split(8, dim=1)
    h = block.norm2(block.conv1(nn.functional.silu(block.norm1(x))))
    h = nn.functional.silu(h * (1 + scale[..., None, None]) + shift[..., None, None])
    torch.testing.assert_close(block(x, cond), block.shortcut(x) + block.conv2(h))


@pytest.mark.parametrize(("direction", "size"), [("down", 4), ("up", 16)])
def test_resampling_block_starts_as_plain_resampling(direction, size):
    x = torch.randn(2, 8, 8, 8)
    out = ResBlock(8, 8, 6, resample=direction)(x, torch.randn(2, 6))
    assert out.shape == (2, 8, size, size)
    assert torch.equal(out, resample(x, direction))
    torch.testing.assert_close(out.mean((2, 3)), x.mean((2, 3)))


@pytest.mark.parametrize("size", [(4, 4), (16, 16), (17, 32)])
def test_doubling_convolution_equals_its_definition(size):
    """Above 16x16 it is computed at the low resolution; borders and gradients are those of the definition."""
    torch.manual_seed(0)
    layer = UpConv2d(3, 5).double()
    x = torch.randn(2, 3, *size, dtype=torch.float64, requires_grad=True)
    weigh = torch.randn(2, 5, 2 * size[0], 2 * size[1], dtype=torch.float64)
    doubled = x.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
    expected = nn.functional.conv2d(doubled, layer.weight, layer.bias, padding=1)
    torch.testing.assert_close(layer(x), expected)
    inputs = (x, layer.weight, layer.bias)
    found = torch.autograd.grad((layer(x) * weigh).sum(), inputs)
    torch.testing.assert_close(found, torch.autograd.grad((expected * weigh).sum(), inputs))


def test_silu_is_in_place_only_where_no_gradient_needs_its_input():
    x = torch.tensor([1.0, -1.0])
    silu(x)
    assert x.tolist() == [1.0, -1.0]
    with torch.no_grad():
        assert silu(x) is x
    torch.testing.assert_close(x, nn.functional.silu(torch.tensor([1.0, -1.0])))


def test_position_map_has_the_maps_shape_and_precision():
    torch.manual_seed(0)
    layer = PositionMap(4, 8)
    assert torch.equal(layer(torch.zeros(3, 4, 8, 8), torch.zeros(3, 5)), layer.map)
    assert layer(torch.zeros(1, 4, 8, 8, dtype=torch.bfloat16), torch.zeros(1, 5)).dtype == torch.bfloat16


def test_position_map_is_interpolated_at_other_sizes():
    layer = PositionMap(2, 4)
    ramp = torch.arange(4.0).expand(4, 4)
    with torch.no_grad():
        layer.map.copy_(torch.stack([ramp, ramp.T])[None])
    wide = layer(torch.zeros(1, 2, 4, 8), torch.zeros(1, 5))
    assert wide.shape == (1, 2, 4, 8)
    # Pixel centres: column i of 8 lies at (i + 0.5) / 2 - 0.5 of 4, held at both ends.
    columns = torch.tensor([0.0, 0.25, 0.75, 1.25, 1.75, 2.25, 2.75, 3.0])
    torch.testing.assert_close(wide[0, 0], columns.expand(4, 8))
    torch.testing.assert_close(wide[0, 1], ramp.T[:, :1].expand(4, 8))


def test_the_layout_of_a_text_starts_at_nothing_and_is_linear_in_the_condition():
    torch.manual_seed(0)
    layer, x, cond = PositionMap(4, 8, cond_dim=5), torch.zeros(2, 4, 8, 8), torch.randn(2, 5)
    torch.testing.assert_close(layer(x, cond), layer.map.expand(2, 4, 8, 8))
    with torch.no_grad():
        layer.layout.weight.normal_()
    expected = (cond @ layer.layout.weight.T).reshape(2, 4, 8, 8)
    torch.testing.assert_close(layer(x, cond) - layer.map, expected, atol=1e-5, rtol=1e-5)
    assert layer(torch.zeros(2, 4, 4, 12), cond).shape == (2, 4, 4, 12)


def test_flax_start_keeps_unit_variance_and_spares_what_starts_at_zero():
    torch.manual_seed(0)
    block = ResBlock(64, 128, 8)
    start_like_flax(block)
    assert block.conv2.weight.abs().sum() == 0
    assert block.shortcut.bias.abs().sum() == 0
    x = torch.randn(4, 64, 16, 16)
    assert block.shortcut(x).var().item() == pytest.approx(1.0, abs=0.1)
    assert block.conv1(x)[:, :, 1:-1, 1:-1].var().item() == pytest.approx(1.0, abs=0.1)
