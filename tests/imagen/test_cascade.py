from __future__ import annotations

import pytest
import torch

from imagen_bench.errors import InputError, ModelError
from imagen_bench.imagen.cascade import SampleNoise, Sampling, StageRun, sample_cascade, sample_stage, stage_seed
from imagen_bench.imagen.config import StageConfig, UNetConfig
from imagen_bench.imagen.efficient_unet import build_unet
from imagen_bench.imagen.samplers import Sampler
from imagen_bench.imagen.text import TextBatch
from imagen_bench.images import to_model

TEXT_DIM = 6


def stage_and_network(low_res=False, attention=("none", "self+text"), **more):
    unet = UNetConfig(
        kind="efficient", dim=8, channel_mult=(1, 2), blocks=(1, 1), attention=attention, text_dim=TEXT_DIM,
        head_dim=8, low_res=low_res, patch_size=2,
    )  # fmt: skip
    stage = StageConfig(
        name="sr" if low_res else "base", image_size=16, low_res_size=4 if low_res else None, unet=unet,
        diffusion={"prediction": "v", "weighting": "v"}, **more,
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


def low_res_of(n, height=4, width=4):
    return torch.rand(n, 3, height, width, generator=torch.Generator().manual_seed(1)) * 2 - 1


@pytest.mark.parametrize("kind", ["ddim", "ddpm", "dpmpp-2m", "heun"])
@pytest.mark.parametrize("weight", [0.0, 1.0, 3.0])
def test_an_image_does_not_depend_on_its_batch_nor_on_chunks(kind, weight):
    stage, network = stage_and_network()
    text, seeds, sampling = text_of(4), [5, 6, 7, 2**62], Sampling(Sampler(kind, 4))
    together = sample_stage(network, stage, sampling, text, seeds, weight)
    for index in range(4):
        alone = sample_stage(network, stage, sampling, part(text, index), seeds[index : index + 1], weight)
        torch.testing.assert_close(alone[0], together[index], rtol=0, atol=1 / 255)
    chunked = sample_stage(network, stage, Sampling(Sampler(kind, 4), chunk=3), text, seeds, weight)
    torch.testing.assert_close(chunked, together, rtol=0, atol=1 / 255)
    assert together.abs().max() <= 1.0


def test_chunks_bound_what_the_network_is_given():
    stage, network = stage_and_network()
    sizes = []
    network.register_forward_hook(lambda module, args, output: sizes.append(len(args[0])))
    sample_stage(network, stage, Sampling(Sampler("ddim", 2), chunk=2), text_of(5), range(5), 2.0)
    assert sizes == [4, 4, 4, 4, 2, 2]


@pytest.mark.parametrize("shape", [(4, 4), (8, 8), (4, 12)])
def test_super_resolution_enlarges_whatever_size_it_is_given(shape):
    stage, network = stage_and_network(low_res=True)
    low = low_res_of(2, *shape)
    out = sample_stage(network, stage, Sampling(Sampler("ddim", 2)), text_of(2), [1, 2], 1.5, low)
    assert out.shape == (2, 3, 4 * shape[0], 4 * shape[1])


def test_a_base_stage_draws_other_sizes_that_its_network_allows():
    stage, network = stage_and_network()
    sampling = Sampling(Sampler("ddim", 2))
    assert sample_stage(network, stage, sampling, text_of(1), [1], 2.0, size=(12, 24)).shape == (1, 3, 12, 24)
    with pytest.raises(ModelError, match="cannot draw 24x13 pixels, expected multiples of 4"):
        sample_stage(network, stage, sampling, text_of(1), [1], 2.0, size=(13, 24))


def test_one_tile_that_covers_the_image_changes_nothing():
    stage, network = stage_and_network(low_res=True)
    low = low_res_of(2, 8, 8)
    whole, tiled = (
        sample_stage(network, stage, Sampling(Sampler("ddpm", 3), tile=tile), text_of(2), [1, 2], 2.0, low)
        for tile in (None, 32)
    )
    assert torch.equal(whole, tiled)


def test_tiles_bound_what_the_network_is_given_and_keep_the_picture():
    """Without attention and on a picture that the network copies, small tiles give what large ones give."""
    stage, network = stage_and_network(low_res=True)
    low, sides = torch.nn.functional.interpolate(low_res_of(1, 2, 2), 16, mode="bicubic").clamp(-1, 1), []
    hook = network.register_forward_hook(lambda module, args, output: sides.append(tuple(args[0].shape[-2:])))
    sampling = Sampling(Sampler("ddim", 2), tile=32, tile_overlap=16)
    out = sample_stage(network, stage, sampling, text_of(1), [1], 1.0, low)
    hook.remove()
    assert out.shape == (1, 3, 64, 64)
    assert set(sides) == {(32, 32)}
    assert len(sides) == 2 * 9


def test_super_resolution_ignores_the_text_when_told():
    stage, network = stage_and_network(low_res=True)
    sampling, low = Sampling(Sampler("ddim", 2)), low_res_of(2)
    one, other = (sample_stage(network, stage, sampling, text_of(2, seed), [1, 2], 0.0, low) for seed in (0, 1))
    assert torch.equal(one, other)
    one, other = (sample_stage(network, stage, sampling, text_of(2, seed), [1, 2], 1.0, low) for seed in (0, 1))
    assert (one - other).abs().max() > 1 / 255


def test_a_cascade_continues_from_a_saved_image_as_it_would_have():
    stages = [stage_and_network(), stage_and_network(low_res=True)]
    runs = [StageRun(stage, network, Sampling(Sampler("ddim", 2)), 2.0) for stage, network in stages]
    drawn = dict(sample_cascade(runs, text_of(2), [1, 2]))
    assert {name: tuple(images.shape[-2:]) for name, images in drawn.items()} == {"base": (16, 16), "sr": (64, 64)}
    assert all(images.dtype == torch.uint8 for images in drawn.values())
    again = dict(sample_cascade(runs[1:], text_of(2), [1, 2], start=drawn["base"]))
    assert torch.equal(again["sr"], drawn["sr"])
    direct = sample_stage(
        stages[1][1], stages[1][0], runs[1].sampling, text_of(2), [1, 2], 2.0, to_model(drawn["base"])
    )
    assert (to_model(drawn["sr"]) - direct).abs().max() <= 1 / 255


@pytest.mark.parametrize(
    ("low_res", "given", "count", "message"),
    [
        (True, None, 2, "enlarges images, and none were given"),
        (False, 2, 2, "draws from text alone"),
        (True, 1, 2, "found 1 images for 2 prompts"),
        (False, None, 3, "found 2 prompts and 3 seeds"),
    ],
)
def test_what_does_not_belong_together_is_refused(low_res, given, count, message):
    stage, network = stage_and_network(low_res=low_res)
    low = None if given is None else low_res_of(given)
    with pytest.raises(InputError, match=message):
        sample_stage(network, stage, Sampling(), text_of(2), list(range(count)), 1.0, low)


def test_an_aug_level_beyond_training_is_refused():
    stage, network = stage_and_network(low_res=True, aug_level_max=0.5)
    with pytest.raises(ModelError, match=r"aug_level of stage sr is 0\.6, expected at most 0\.5"):
        sample_stage(network, stage, Sampling(aug_level=0.6), text_of(1), [1], 1.0, low_res_of(1))


def test_noise_of_a_sample_is_its_own_generators():
    noise = SampleNoise([11, 12])
    first, second = noise((2, 3)), noise((2, 3))
    generator = torch.Generator().manual_seed(12)
    torch.testing.assert_close(first[1], torch.randn(2, 3, generator=generator))
    torch.testing.assert_close(second[1], torch.randn(2, 3, generator=generator))


def test_stages_draw_different_noise_from_one_seed():
    assert stage_seed(7, "base") != stage_seed(7, "sr256")
    assert all(0 <= stage_seed(seed, "base") < 2**63 for seed in range(200))
