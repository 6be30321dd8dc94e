from __future__ import annotations

import pytest
import torch
from torch import nn

from imagen_bench.errors import ModelError
from imagen_bench.imagen.config import StageConfig, UNetConfig
from imagen_bench.imagen.efficient_unet import build_unet

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


POOLED_ONLY = ("none", "self")
CONFIGS = [
    small(), small("efficient"), small("efficient", True), small("efficient", attention=("none", "cross")),
    small("mirrored"), small("mirrored", True, ("none", "cross")),
    small(patch_size=2), small("efficient", patch_size=2), small(attention=POOLED_ONLY, pooling="mean"),
    small(attention=POOLED_ONLY), small("efficient", True, ("none", "cross"), attention_expansion=2),
    small("efficient", position_size=16),
    small("efficient", position_size=16, text_layout=True),
]  # fmt: skip


def given_to(config, **more):
    return inputs(low_res=config.low_res, **more)


@pytest.mark.parametrize("config", CONFIGS)
def test_output_has_the_images_shape_and_starts_at_zero(config):
    z, *rest = given_to(config)
    out = build_unet(config)(z, *rest)
    assert out.shape == z.shape
    assert out.abs().max() == 0


@pytest.mark.parametrize("config", CONFIGS)
def test_a_sample_does_not_depend_on_its_batch(config):
    network, given = trained_like(config), given_to(config)
    together = network(*given)
    for index in range(3):
        alone = network(*(None if part is None else part[index : index + 1] for part in given))
        torch.testing.assert_close(alone[0], together[index], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("config", CONFIGS)
def test_padding_tokens_have_no_influence_and_real_ones_have(config):
    network = trained_like(config)
    z, log_snr, text, mask, *more = given_to(config)
    base = network(z, log_snr, text, mask, *more)
    padded = text + 7.0 * (~mask)[..., None]
    torch.testing.assert_close(network(z, log_snr, padded, mask, *more), base, rtol=1e-4, atol=1e-4)
    changed = network(z, log_snr, text + mask[..., None].float() * torch.randn_like(text), mask, *more)
    assert (changed - base).abs().max() > 1e-3


@pytest.mark.parametrize("config", CONFIGS)
def test_the_null_condition_never_depends_on_the_prompt(config):
    network = trained_like(config)
    z, log_snr, text, mask, *more = given_to(config)
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


@pytest.mark.parametrize("config", CONFIGS)
def test_prepared_text_gives_the_same_numbers(config):
    network = trained_like(config)
    z, log_snr, text, mask, *more = given_to(config)
    padded = torch.cat([text, torch.zeros(3, 2, TEXT_DIM)], 1), torch.cat([mask, mask[:, :2] & False], 1)
    with torch.no_grad():
        base = network(z, log_snr, text, mask, *more)
        for given in ((text, mask), padded):
            context = network.prepare_text(*given)
            assert context.tokens.shape[1] == 5
            torch.testing.assert_close(network(z, log_snr, context, None, *more), base, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("config", CONFIGS)
def test_prepared_text_without_padding_or_without_tokens_needs_no_mask(config):
    network = trained_like(config)
    z, log_snr, text, mask, *more = given_to(config)
    with torch.no_grad():
        for chosen, length in ((torch.ones_like(mask), 5), (torch.zeros_like(mask), 0)):
            context = network.prepare_text(text, chosen)
            assert context.mask is None
            assert context.tokens.shape[1] == length
            expected = network(z, log_snr, text, chosen, *more)
            torch.testing.assert_close(network(z, log_snr, context, None, *more), expected, rtol=1e-5, atol=1e-5)


def test_prepared_text_is_computed_once_for_all_steps():
    network, calls = trained_like(small()), []
    for module in network.modules():
        if hasattr(module, "text_kv"):
            module.text_kv.register_forward_hook(lambda *_: calls.append("keys and values"))
    network.conditioning.text.register_forward_hook(lambda *_: calls.append("pooled"))
    z, log_snr, text, mask, *_ = inputs()
    with torch.no_grad():
        context = network.prepare_text(text, mask)
        once = list(calls)
        for _ in range(3):
            network(z, log_snr, context)
    assert once.count("pooled") == 1
    assert calls == once


@pytest.mark.parametrize("config", CONFIGS)
def test_every_parameter_learns(config):
    network = trained_like(config).train()
    network(*given_to(config)).square().mean().backward()
    assert [name for name, value in network.named_parameters() if value.grad is None] == []


@pytest.mark.parametrize("config", CONFIGS)
def test_memory_layout_changes_nothing_and_is_channels_last_throughout(config):
    network, copied = trained_like(config), []

    def check(module, given, out):
        for tensor in (given[0], out):
            if tensor.ndim == 4 and not tensor.is_contiguous(memory_format=torch.channels_last):
                copied.append(type(module).__name__)

    hooks = [m.register_forward_hook(check) for m in network.modules() if isinstance(m, nn.Conv2d | nn.GroupNorm)]
    with torch.no_grad():
        out = network(*given_to(config))
        for hook in hooks:
            hook.remove()
        plain = network.to(memory_format=torch.contiguous_format)(*given_to(config))
    assert copied == []
    torch.testing.assert_close(plain, out, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("config", [small(), small("mirrored"), small("efficient", True)])
def test_gradients_and_sampling_agree(config):
    """Where no gradient is needed, activations are overwritten in place: the numbers must not notice."""
    network = trained_like(config)
    with torch.no_grad():
        expected = network(*given_to(config))
    torch.testing.assert_close(network(*given_to(config)).detach(), expected, rtol=0, atol=0)


@pytest.mark.parametrize("kind", ["base", "mirrored", "efficient"])
def test_gradient_checkpointing_changes_nothing(kind):
    networks = [trained_like(small(kind, dropout=0.1, checkpointing=saving)).train() for saving in (False, True)]
    for network in networks:
        torch.manual_seed(3)
        network(*inputs()).square().mean().backward()
    for plain, saving in zip(*(network.parameters() for network in networks), strict=True):
        torch.testing.assert_close(plain.grad, saving.grad, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("kind", ["base", "mirrored", "efficient"])
def test_gradient_checkpointing_keeps_fewer_activations(kind):
    kept = []
    for saving in (False, True):
        network, sizes = trained_like(small(kind, checkpointing=saving)).train(), []
        with torch.autograd.graph.saved_tensors_hooks(lambda t, s=sizes: s.append(t.numel()) or t, lambda t: t):
            network(*inputs())
        kept.append(sum(sizes))
    assert kept[1] < 0.7 * kept[0]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "attention"), [("base", "self+text"), ("mirrored", "self+text"), ("efficient", "cross")]
)
def test_networks_compile_without_a_break(kind, attention):
    config = UNetConfig(
        kind=kind, dim=8, channel_mult=(1,), blocks=(1,), attention=(attention,), text_dim=TEXT_DIM, head_dim=8,
        low_res=kind == "efficient",
    )  # fmt: skip
    network = trained_like(config)
    z, log_snr, text, mask, *more = given_to(config)
    compiled = torch.compile(network, fullgraph=True, backend="eager")
    with torch.no_grad():
        context = network.prepare_text(text, mask)
        expected = network(z, log_snr, text, mask, *more)
        torch.testing.assert_close(compiled(z, log_snr, context, None, *more), expected, rtol=1e-5, atol=1e-5)
    if kind == "efficient":
        torch.testing.assert_close(compiled(z, log_snr, text, mask, *more), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("config", CONFIGS)
def test_networks_are_fully_convolutional(config):
    network = trained_like(config)
    z, log_snr, text, mask, low_res, aug = given_to(config)
    wide = torch.cat([z, z.flip(3)], 3)
    low = None if low_res is None else torch.cat([low_res, low_res.flip(3)], 3)
    with torch.no_grad():
        assert network(wide, log_snr, text, mask, low, aug).shape == (3, 3, 16, 32)


@pytest.mark.parametrize("config", [small(), small("mirrored"), small("efficient", True)])
def test_networks_run_in_bfloat16(config):
    network = trained_like(config)
    with torch.no_grad():
        exact = network(*given_to(config))
        with torch.autocast("cpu", torch.bfloat16):
            mixed = network(*given_to(config))
        half = network.to(torch.bfloat16)(*given_to(config))
    assert half.dtype == torch.bfloat16
    for rounded in (mixed, half):
        assert (rounded.float() - exact).abs().mean() < 0.05 * exact.abs().mean()


@pytest.mark.parametrize(
    ("kind", "low", "high"), [("base", 0.8, 1.25), ("mirrored", 0.5, 1.25), ("efficient", 0.25, 1.25)]
)
def test_variance_stays_near_one_at_the_start(kind, low, high):
    """Of every block's output, for a smooth picture; skips at 1/sqrt(2) and padded borders take a little each."""
    torch.manual_seed(0)
    config = UNetConfig(
        kind=kind, dim=64, channel_mult=(1, 2, 4), blocks=(1, 1, 2), attention=("none", "self+text", "self+text"),
        text_dim=TEXT_DIM, start="flax",
    )  # fmt: skip
    network, deviations = build_unet(config), []
    for layer in (network.stem, *network.down, *network.up):
        layer.register_forward_hook(lambda _, __, out: deviations.append(out.var().item()))
    picture = nn.functional.interpolate(torch.randn(4, 3, 4, 4), size=32, mode="bicubic")
    text, mask = torch.randn(4, 3, TEXT_DIM), torch.ones(4, 3, dtype=torch.bool)
    with torch.no_grad():
        network(picture / picture.std(), torch.zeros(4), text, mask)
    assert len(deviations) > 6
    assert low < min(deviations)
    assert max(deviations) < high


def test_a_mirrored_network_goes_up_as_it_came_down():
    config = UNetConfig(
        kind="mirrored", dim=16, channel_mult=(1, 2, 3), blocks=(1, 3, 2), attention=("none", "self", "self+text"),
        text_dim=TEXT_DIM, head_dim=8,
    )  # fmt: skip
    network, sizes = trained_like(config), {"down": [], "up": []}
    for way, layers in (("down", network.down), ("up", network.up)):
        for layer in layers:
            layer.register_forward_hook(lambda _, __, out, way=way: sizes[way].append(tuple(out.shape[1:3])))
    network(*inputs())
    assert sizes["down"] == [(16, 16), (32, 8), *[(32, 8)] * 3, (48, 4), *[(48, 4)] * 2]
    assert sizes["up"] == [*[(48, 4)] * 2, (32, 8), *[(32, 8)] * 3, (16, 16), (16, 16)]
    names = [type(module).__name__ for module in network.modules()]
    assert names.count("ResBlock") == 2 * sum(config.blocks) + 2
    assert names.count("Attention") == 2 + 2 + 1
    for number, read in enumerate(layer for layer in network.up if hasattr(layer, "block")):
        assert read.block.conv1.in_channels == (96, 96, 64, 64, 64, 32)[number]


def test_learned_positions_are_an_option_that_is_off_by_default():
    plain, placed = build_unet(small("efficient")), build_unet(small("efficient", position_size=16))
    extra = set(placed.state_dict()) - set(plain.state_dict())
    assert extra == {"down.1.positions.map"}
    assert placed.state_dict()["down.1.positions.map"].shape == (1, 32, 4, 4)
    folded = build_unet(small("efficient", position_size=16, patch_size=2))
    assert folded.state_dict()["down.1.positions.map"].shape == (1, 32, 4, 4)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"blocks": (1,)}, "one entry a level"),
        ({"blocks": (1, 0)}, "greater than 0"),
        ({"position_size": 16}, "position_size is for"),
        ({"kind": "mirrored", "position_size": 16}, "position_size is for"),
        ({"kind": "efficient", "text_layout": True}, "text_layout needs position_size"),
        ({"kind": "efficient", "position_size": 18}, "18 is no multiple of 4"),
        ({"heads": 5}, "32 channels cannot have 5 equal heads"),
        ({"start": "jax"}, "'torch' or 'flax'"),
    ],
)
def test_wrong_configurations_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        UNetConfig.model_validate(small().model_dump() | options)


def test_wrong_stages_are_refused():
    with pytest.raises(ValueError, match="low_res_size"):
        StageConfig(name="sr", image_size=32, unet=small("efficient", True))
    with pytest.raises(ValueError, match="no multiple"):
        StageConfig(name="base", image_size=33, unet=small())


def test_wrong_inputs_are_refused_in_one_line():
    network, enlarging = trained_like(small()), trained_like(small("efficient", True))
    z, log_snr, text, mask, low, aug = inputs(low_res=True)
    wrong = [
        (network, (z[..., :15], log_snr, text, mask), "15x16 pixels: both sides must be multiples of 2"),
        (network, (z, log_snr, text[..., :5], mask), "text of width 12, found 5"),
        (network, (z, log_snr, text), "without their mask"),
        (network, (z, log_snr, text, mask, low, aug), r"low_res = false"),
        (enlarging, (z, log_snr, text, mask), "needs low_res and aug_log_snr"),
        (enlarging, (z, log_snr, text, mask, low), "needs low_res and aug_log_snr"),
        (enlarging, (z, log_snr, text, mask, low[..., :8], aug), "resized to z's shape"),
    ]
    for called, given, message in wrong:
        with pytest.raises(ModelError, match=message):
            called(*given)
