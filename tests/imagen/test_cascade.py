from __future__ import annotations

import pytest
import torch

from imagen_bench.imagen.cascade import SampleNoise, Sampling, guided_x0, sample_stage, stage_seed
from imagen_bench.imagen.config import StageConfig, UNetConfig
from imagen_bench.imagen.efficient_unet import build_unet
from imagen_bench.imagen.guidance import Threshold
from imagen_bench.imagen.samplers import Sampler
from imagen_bench.imagen.schedule import output_to_x0
from imagen_bench.imagen.text import TextBatch

TEXT_DIM = 6


def stage_and_network(low_res=False):
    unet = UNetConfig(
        kind="efficient", dim=8, channel_mult=(1, 2), blocks=(1, 1), attention=("none", "self+text"), text_dim=TEXT_DIM,
        head_dim=8, low_res=low_res, patch_size=2,
    )  # fmt: skip
    stage = StageConfig(
        name="sr" if low_res else "base", image_size=16, low_res_size=4 if low_res else None, unet=unet,
        diffusion={"prediction": "v", "weighting": "v"},
    )  # fmt: skip
    torch.manual_seed(0)
    network = build_unet(unet).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.abs().sum() == 0:
                parameter.normal_(std=0.3)
    return stage, network.requires_grad_(False)


def text_of(n, seed=0):
    generator = torch.Generator().manual_seed(seed)
    mask = torch.arange(4)[None] < torch.randint(1, 5, (n, 1), generator=generator)
    return TextBatch(torch.randn(n, 4, TEXT_DIM, generator=generator) * mask[..., None], mask)


def part(text, index):
    return TextBatch(text.tokens[index : index + 1], text.mask[index : index + 1])


@pytest.mark.parametrize("kind", ["ddim", "ddpm", "dpmpp-2m"])
@pytest.mark.parametrize("weight", [0.0, 1.0, 3.0])
def test_an_image_does_not_depend_on_its_batch(kind, weight):
    stage, network = stage_and_network()
    text, seeds, sampling = text_of(4), [5, 6, 7, 2**62], Sampling(Sampler(kind, 4))
    together = sample_stage(network, stage, sampling, text, seeds, weight)
    for index in range(4):
        alone = sample_stage(network, stage, sampling, part(text, index), seeds[index : index + 1], weight)
        torch.testing.assert_close(alone[0], together[index], rtol=0, atol=1 / 255)
    assert together.abs().max() <= 1.0


def test_super_resolution_enlarges_whatever_size_it_is_given():
    stage, network = stage_and_network(low_res=True)
    for side in (4, 8):
        low = torch.rand(2, 3, side, side) * 2 - 1
        out = sample_stage(network, stage, Sampling(Sampler("ddim", 2)), text_of(2), [1, 2], 1.5, low)
        assert out.shape == (2, 3, 4 * side, 4 * side)


def test_weight_one_equals_the_conditional_prediction_and_runs_the_network_once():
    stage, network = stage_and_network()
    text, sizes = text_of(2), []
    hook = network.register_forward_hook(lambda module, args, output: sizes.append(len(args[0])))
    z, log_snr = torch.randn(2, 3, 16, 16), torch.tensor([0.5, 0.5])
    x0 = guided_x0(network, stage, Threshold("none"), text, 1.0)(z, log_snr)
    expected = output_to_x0("v", network(z, log_snr, text.tokens, text.mask), z, log_snr)
    torch.testing.assert_close(x0, expected)
    guided_x0(network, stage, Threshold("none"), text, 2.0)(z, log_snr)
    hook.remove()
    assert sizes == [2, 2, 4]


def test_guided_x0_is_the_papers_formula():
    stage, network = stage_and_network()
    text, z, log_snr = text_of(2), torch.randn(2, 3, 16, 16), torch.tensor([-1.0, 1.0])
    conditional = network(z, log_snr, text.tokens, text.mask)
    unconditional = network(z, log_snr, torch.zeros_like(text.tokens), torch.zeros_like(text.mask))
    expected = output_to_x0("v", 4.0 * conditional - 3.0 * unconditional, z, log_snr).clamp(-1, 1)
    torch.testing.assert_close(
        guided_x0(network, stage, Threshold("static"), text, 4.0)(z, log_snr), expected, rtol=1e-4, atol=1e-4
    )


def test_noise_of_a_sample_is_its_own_generators():
    noise = SampleNoise([11, 12])
    first, second = noise((2, 3)), noise((2, 3))
    generator = torch.Generator().manual_seed(12)
    torch.testing.assert_close(first[1], torch.randn(2, 3, generator=generator))
    torch.testing.assert_close(second[1], torch.randn(2, 3, generator=generator))


def test_stages_draw_different_noise_from_one_seed():
    assert stage_seed(7, "base") != stage_seed(7, "sr256")
    assert all(0 <= stage_seed(seed, "base") < 2**63 for seed in range(200))
