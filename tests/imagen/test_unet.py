from __future__ import annotations

import pytest
import torch

from imagen_bench.imagen.config import StageConfig, UNetConfig
from imagen_bench.imagen.efficient_unet import build_unet
from imagen_bench.imagen.layers import Attention, TextPooling

TEXT_DIM = 12


def small(kind="base", low_res=False, attention=("none", "self+text"), **more):
    return UNetConfig(
        kind=kind, dim=16, channel_mult=(1, 2), blocks=(1, 1), attention=attention, text_dim=TEXT_DIM, head_dim=8,
        low_res=low_res, **more,
    )  # fmt: skip


def trained_like(config, seed=0):
    """A network whose zero-initialised layers are not zero, as after training."""
    torch.manual_seed(seed)
    network = build_unet(config).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.abs().sum() == 0:
                parameter.normal_(std=0.2)
    return network


def inputs(n=3, size=16, length=5, low_res=False, seed=1):
    generator = torch.Generator().manual_seed(seed)
    z = torch.randn(n, 3, size, size, generator=generator)
    text = torch.randn(n, length, TEXT_DIM, generator=generator)
    mask = torch.arange(length)[None] < torch.tensor([length, 2, 3])[:n, None]
    log_snr = torch.tensor([-3.0, 0.0, 4.0])[:n]
    more = (torch.randn(n, 3, size, size, generator=generator), log_snr.flip(0)) if low_res else (None, None)
    return z, log_snr, text * mask[..., None], mask, *more


CONFIGS = [
    small(), small("efficient"), small("efficient", True), small("efficient", attention=("none", "cross")),
    small(patch_size=2), small("efficient", patch_size=2), small(pooling="mean"),
]  # fmt: skip


@pytest.mark.parametrize("config", CONFIGS)
def test_output_has_the_images_shape_and_starts_at_zero(config):
    z, *rest = inputs(low_res=config.low_res)
    out = build_unet(config)(z, *rest)
    assert out.shape == z.shape
    assert out.abs().max() == 0


@pytest.mark.parametrize("config", CONFIGS)
def test_a_sample_does_not_depend_on_its_batch(config):
    network, given = trained_like(config), inputs(low_res=config.low_res)
    together = network(*given)
    for index in range(3):
        alone = network(*(None if part is None else part[index : index + 1] for part in given))
        torch.testing.assert_close(alone[0], together[index], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("config", CONFIGS)
def test_padding_tokens_have_no_influence_and_real_ones_have(config):
    network = trained_like(config)
    z, log_snr, text, mask, *more = inputs(low_res=config.low_res)
    base = network(z, log_snr, text, mask, *more)
    padded = text + 7.0 * (~mask)[..., None]
    torch.testing.assert_close(network(z, log_snr, padded, mask, *more), base, rtol=1e-4, atol=1e-4)
    changed = network(z, log_snr, text + mask[..., None].float() * torch.randn_like(text), mask, *more)
    assert (changed - base).abs().max() > 1e-3


@pytest.mark.parametrize("config", CONFIGS)
def test_the_null_condition_never_depends_on_the_prompt(config):
    network = trained_like(config)
    z, log_snr, text, mask, *more = inputs(low_res=config.low_res)
    nothing = torch.zeros_like(mask)
    one = network(z, log_snr, torch.zeros_like(text), nothing, *more)
    other = network(z, log_snr, 5 * text, nothing, *more)
    assert torch.isfinite(one).all()
    torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)


def test_super_resolution_reads_its_low_resolution_image_and_aug_level():
    network = trained_like(small("efficient", True))
    z, log_snr, text, mask, low, aug = inputs(low_res=True)
    base = network(z, log_snr, text, mask, low, aug)
    assert (network(z, log_snr, text, mask, low + 1, aug) - base).abs().max() > 1e-3
    assert (network(z, log_snr, text, mask, low, aug - 5) - base).abs().max() > 1e-3


def test_networks_are_fully_convolutional():
    network = trained_like(small("efficient", True))
    assert network(*inputs(size=32, low_res=True)).shape == (3, 3, 32, 32)


def test_attention_equals_the_written_formula():
    torch.manual_seed(0)
    layer = Attention(8, 2, TEXT_DIM).eval()
    torch.nn.init.normal_(layer.out.weight)
    x, text = torch.randn(1, 8, 2, 3), torch.randn(1, 4, TEXT_DIM)
    mask = torch.tensor([[True, True, True, False]])
    pixels = layer.qkv(layer.norm(x)).flatten(2)[0].T
    query, key, value = pixels.split(8, dim=1)
    text_key, text_value = layer.text_kv(layer.text_norm(text))[0, :3].split(8, dim=1)
    keys, values = torch.cat([key, text_key]), torch.cat([value, text_value])
    heads = []
    for head in (slice(0, 4), slice(4, 8)):
        weights = torch.softmax(query[:, head] @ keys[:, head].T / 2.0, dim=1)
        heads.append(weights @ values[:, head])
    expected = x + layer.out(torch.cat(heads, 1).T.reshape(1, 8, 2, 3))
    torch.testing.assert_close(layer(x, text, mask), expected)


def test_mean_pooling_is_the_masked_mean():
    torch.manual_seed(0)
    layer = TextPooling(TEXT_DIM, 8, 2, "mean")
    text, mask = torch.randn(2, 4, TEXT_DIM), torch.tensor([[True] * 4, [True, True, False, False]])
    means = torch.stack([layer.norm(text[0]).mean(0), layer.norm(text[1, :2]).mean(0)])
    torch.testing.assert_close(
        layer.query(means),
        layer.query((layer.norm(text) * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)),
    )
    torch.testing.assert_close(layer(text, mask), layer.out(layer.query(means)))


def test_gradient_checkpointing_changes_nothing():
    plain, saving = small(), small(checkpointing=True)
    network, other = trained_like(plain).train(), trained_like(saving).train()
    for net in (network, other):
        net(*inputs()).square().mean().backward()
    pairs = zip(network.parameters(), other.parameters(), strict=True)
    assert all(torch.allclose(a.grad, b.grad, atol=1e-6) for a, b in pairs if a.grad is not None)


def test_the_papers_base_model_is_just_another_configuration():
    attention = ("none", "self+text", "self+text", "self+text")
    config = UNetConfig(dim=512, channel_mult=(1, 2, 3, 4), blocks=(3, 3, 3, 3), attention=attention, text_dim=4096)
    with torch.device("meta"):
        count = sum(parameter.numel() for parameter in build_unet(config).parameters())
    assert 2.0e9 < count < 2.5e9


def test_wrong_configurations_are_refused():
    with pytest.raises(ValueError, match="one entry a level"):
        UNetConfig(dim=8, channel_mult=(1, 2), blocks=(1,), attention=("none", "none"), text_dim=4)
    with pytest.raises(ValueError, match="low_res_size"):
        StageConfig(name="sr", image_size=32, unet=small("efficient", True))
    with pytest.raises(ValueError, match="no multiple"):
        StageConfig(name="base", image_size=33, unet=small())
