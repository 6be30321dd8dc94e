"""Defects that were found in public implementations of Imagen, one test each, so that none comes in here."""

from __future__ import annotations

import pytest
import torch

from imagen_bench.imagen.cascade import Sampling, sample_stage
from imagen_bench.imagen.config import StageConfig, UNetConfig
from imagen_bench.imagen.denoiser import Denoiser, Guidance
from imagen_bench.imagen.guidance import Threshold
from imagen_bench.imagen.loss import diffusion_loss
from imagen_bench.imagen.lowres import augment_low_res, downscale
from imagen_bench.imagen.samplers import Sampler
from imagen_bench.imagen.schedule import Schedule, alpha_sigma
from imagen_bench.imagen.text import TextBatch


class Recorder(torch.nn.Module):
    """Answers zero and keeps what it was given; one parameter, so that it has a device."""

    def __init__(self):
        super().__init__()
        self.scale = torch.nn.Parameter(torch.zeros(()), requires_grad=False)
        self.given = []

    def forward(self, z, log_snr, tokens, mask, low_res=None, aug_log_snr=None):
        self.given.append((z, log_snr, tokens, mask, low_res, aug_log_snr))
        return self.scale * z


def stage(low_res=False, **diffusion):
    unet = UNetConfig(dim=8, channel_mult=(1,), blocks=(1,), attention=("none",), text_dim=2, low_res=low_res)
    return StageConfig(name="s", image_size=32, low_res_size=8 if low_res else None, unet=unet, diffusion=diffusion)


def text(n):
    tokens = torch.arange(1.0, n + 1)[:, None, None].expand(n, 1, 2)
    return TextBatch(tokens, torch.ones(n, 1, dtype=torch.bool))


def test_low_res_image_is_noised_before_it_is_brought_into_model_range():
    """Training and sampling give the network the same distribution for the same image and level."""
    config, level = stage(low_res=True), 0.3
    fixed = config.model_copy(update={"aug_level_max": 1.0})
    trained, sampled = Recorder(), Recorder()
    grey = torch.full((64, 3, 32, 32), 0.2)

    def always(n, generator=None):
        return torch.full((n,), level)

    original = torch.rand
    try:
        torch.rand = lambda *shape, generator=None: (
            always(*shape) if shape == (64,) else original(*shape, generator=generator)
        )
        diffusion_loss(trained, fixed, grey, text(64), torch.Generator().manual_seed(0))
    finally:
        torch.rand = original
    sampling = Sampling(Sampler("ddim", 1), aug_level=level)
    sample_stage(sampled, config, sampling, text(64), list(range(64)), 1.0, downscale(grey, 4))
    (a, told_a), (b, told_b) = trained.given[0][4:], sampled.given[0][4:]
    torch.testing.assert_close(told_a, told_b)
    assert a.mean().item() == pytest.approx(b.mean().item(), abs=0.02)
    assert a.std().item() == pytest.approx(b.std().item(), abs=0.02)


@pytest.mark.parametrize("kind", ["ddim", "ddpm", "dpmpp-2m", "heun"])
@pytest.mark.parametrize("schedule", [Schedule("cosine"), Schedule("linear"), Schedule("cosine", 1024)])
def test_any_number_of_steps_gives_finite_images(kind, schedule):
    z = torch.randn(1, 1, 2, 2, generator=torch.Generator().manual_seed(0))
    for steps in (1, 2, 3, 20, 21, 1000):
        sampler = Sampler(kind, steps)
        out = sampler(z, schedule, lambda z, log_snr: torch.tanh(z), lambda: torch.ones_like(z))
        assert torch.isfinite(out).all(), steps


def test_guidance_is_the_plain_formula_by_default():
    """Nothing of the difference between the two predictions is projected away."""

    class Two(Recorder):
        def forward(self, z, log_snr, tokens, mask, low_res=None, aug_log_snr=None):
            return torch.where(mask.any(1).reshape(-1, 1, 1, 1), 0.3, 0.1).expand_as(z)

    z = torch.zeros(1, 3, 4, 4)
    out = Denoiser(Two(), stage(prediction="x0"), text(1), Guidance(3.0), Threshold("none"))(z, 0.0)
    torch.testing.assert_close(out, torch.full_like(z, 3.0 * 0.3 - 2.0 * 0.1))


def test_downscaling_does_not_alias():
    stripes = torch.tensor([1.0, -1.0]).repeat(128).expand(1, 3, 256, 256)
    assert downscale(stripes, 4).abs().max() == 0


@pytest.mark.parametrize(("level", "alpha", "sigma"), [(0.1, 0.988, 0.156), (0.2, 0.951, 0.309), (0.3, 0.891, 0.454)])
def test_an_aug_level_means_the_documented_noise_whatever_the_stages_schedule(level, alpha, sigma):
    for schedule in ("cosine", "linear"):
        network = Recorder()
        sampling = Sampling(Sampler("ddim", 1), aug_level=level)
        config = stage(low_res=True, schedule=schedule)
        sample_stage(network, config, sampling, text(1), [0], 1.0, torch.ones(1, 3, 16, 16))
        told = network.given[0][5]
        torch.testing.assert_close(
            torch.stack(alpha_sigma(told))[:, 0], torch.tensor([alpha, sigma]), rtol=0, atol=1e-3
        )
    noised, _ = augment_low_res(torch.ones(1, 3, 256, 256), torch.tensor([level]), torch.randn(1, 3, 256, 256))
    assert (noised.mean().item(), noised.std().item()) == pytest.approx((alpha, sigma), abs=0.01)


@pytest.mark.parametrize("schedule", [Schedule("cosine"), Schedule("linear"), Schedule("cosine", 1024)])
def test_x0_from_eps_is_not_amplified_without_bound_at_the_first_step(schedule):
    alpha, _ = alpha_sigma(schedule.log_snr(torch.ones(1)))
    assert 1.0 / alpha.item() < 2000


def test_hooks_on_the_network_fire():
    network, calls = Recorder(), []
    network.register_forward_hook(lambda *_: calls.append(1))
    sample_stage(network, stage(), Sampling(Sampler("ddim", 3)), text(1), [0], 1.0)
    diffusion_loss(network, stage(), torch.zeros(1, 3, 32, 32), text(1), torch.Generator())
    assert len(calls) == 4


def test_a_network_without_a_variance_head_is_sampled():
    network = Recorder()
    for kind in ("ddpm", "ddim"):
        out = sample_stage(network, stage(), Sampling(Sampler(kind, 3)), text(2), [0, 1], 1.0)
        assert out.shape == (2, 3, 32, 32)


def test_guidance_repeats_text_and_image_alike():
    """Row i of either pass holds sample i's z, text, low-resolution image and noise level."""
    network, n = Recorder(), 3
    low = torch.linspace(-1, 1, n).reshape(n, 1, 1, 1).expand(n, 3, 8, 8)
    sampling = Sampling(Sampler("ddim", 1), aug_level=0.0)
    sample_stage(network, stage(low_res=True), sampling, text(n), [4, 5, 6], 3.0, low)
    z, log_snr, tokens, mask, low_res, aug = network.given[0]
    assert len(z) == len(log_snr) == len(tokens) == len(mask) == len(low_res) == len(aug) == 2 * n
    assert torch.equal(z[:n], z[n:])
    assert tokens[:, 0, 0].tolist() == [1.0, 2.0, 3.0, 0.0, 0.0, 0.0]
    assert mask[:, 0].tolist() == [True] * n + [False] * n
    torch.testing.assert_close(low_res[:n].mean((1, 2, 3)), torch.linspace(-1, 1, n), rtol=0, atol=1e-3)
    assert torch.equal(low_res[:n], low_res[n:])


def test_no_noise_is_added_in_the_last_step():
    x0 = torch.full((1, 1, 2, 2), 0.25)
    out = Sampler("ddpm", 5, gamma=1.0)(
        torch.randn(1, 1, 2, 2), Schedule("cosine"), lambda z, log_snr: x0, lambda: torch.randn(1, 1, 2, 2)
    )
    assert torch.equal(out, x0)
