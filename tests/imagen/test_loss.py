from __future__ import annotations

import pytest
import torch

from imagen_bench.imagen.config import DiffusionConfig, StageConfig, UNetConfig
from imagen_bench.imagen.loss import diffusion_loss, loss_weight
from imagen_bench.imagen.lowres import AUG_SCHEDULE, augment_low_res, downscale, upscale
from imagen_bench.imagen.schedule import Schedule, alpha_sigma, target_of
from imagen_bench.imagen.text import TextBatch


class Recorder(torch.nn.Module):
    """Predicts zero and keeps what it was given."""

    def forward(self, z, log_snr, text, mask, low_res=None, aug_log_snr=None):
        self.given = (z, log_snr, text, mask, low_res, aug_log_snr)
        return torch.zeros_like(z)


def stage(prediction="eps", low_res=False, **more):
    unet = UNetConfig(dim=8, channel_mult=(1,), blocks=(1,), attention=("none",), text_dim=2, low_res=low_res)
    return StageConfig(
        name="s", image_size=8, low_res_size=2 if low_res else None, unet=unet,
        diffusion=DiffusionConfig(prediction=prediction, weighting="v" if prediction == "v" else "eps"), **more,
    )  # fmt: skip


def text(n):
    return TextBatch(torch.ones(n, 3, 2), torch.ones(n, 3, dtype=torch.bool))


@pytest.mark.parametrize("prediction", ["eps", "v"])
def test_loss_of_a_zero_network_is_the_mean_square_of_its_target(prediction):
    network, x = Recorder(), torch.rand(16, 3, 8, 8) * 2 - 1
    losses, t = diffusion_loss(network, stage(prediction), x, text(16), torch.Generator().manual_seed(0))
    z, log_snr = network.given[:2]
    torch.testing.assert_close(log_snr, Schedule("cosine").log_snr(t))
    alpha, sigma = (part.reshape(-1, 1, 1, 1) for part in alpha_sigma(log_snr))
    eps = (z - alpha * x) / sigma
    expected = target_of(prediction, x, eps, log_snr).square().mean((1, 2, 3))
    kept = t > 0.05
    torch.testing.assert_close(losses[kept], expected[kept], rtol=1e-3, atol=1e-3)


def test_times_cover_the_unit_interval_evenly():
    _, t = diffusion_loss(Recorder(), stage(), torch.zeros(64, 3, 8, 8), text(64), torch.Generator().manual_seed(1))
    assert ((t.sort().values * 64).floor().unique().numel()) >= 63


def test_text_is_dropped_at_the_stated_rate_and_wholly():
    network = Recorder()
    diffusion_loss(
        network,
        stage(text_drop=0.25),
        torch.zeros(4000, 3, 8, 8),
        text(4000),
        torch.Generator().manual_seed(2),
    )
    tokens, mask = network.given[2:4]
    dropped = ~mask.any(1)
    assert dropped.float().mean().item() == pytest.approx(0.25, abs=0.03)
    assert torch.equal(dropped, tokens.flatten(1).abs().sum(1) == 0)
    assert mask[~dropped].all()


def test_super_resolution_input_is_made_the_same_way_in_training_and_sampling():
    """The low-resolution image is in model range before it is noised: a grey image keeps mean alpha * grey."""
    network = Recorder()
    grey = torch.full((512, 3, 8, 8), 0.5)
    diffusion_loss(network, stage(low_res=True), grey, text(512), torch.Generator().manual_seed(3))
    low, aug = network.given[4:]
    alpha, _ = alpha_sigma(aug)
    torch.testing.assert_close(low.mean((1, 2, 3)), 0.5 * alpha, rtol=0, atol=1.5)
    fit = (low.mean((1, 2, 3)) * alpha).sum() / (alpha * alpha).sum()
    assert fit.item() == pytest.approx(0.5, abs=0.05)


def test_aug_levels_have_the_documented_signal_power():
    levels = torch.tensor([0.1, 0.2, 0.3])
    alpha, _ = alpha_sigma(AUG_SCHEDULE.log_snr(levels))
    torch.testing.assert_close(alpha**2, torch.tensor([0.9755, 0.9045, 0.7939]), rtol=0, atol=1e-3)
    noised, _ = augment_low_res(torch.ones(1, 3, 2, 2), torch.zeros(1), torch.randn(1, 3, 2, 2))
    torch.testing.assert_close(noised, torch.ones(1, 3, 2, 2), rtol=0, atol=1e-3)


def test_downscaling_keeps_area_means_and_does_not_alias():
    stripes = torch.tensor([1.0, -1.0]).repeat(128).expand(1, 3, 256, 256)
    assert downscale(stripes, 64).abs().max() == 0
    assert upscale(torch.full((1, 3, 4, 4), 0.3), 16).std() < 1e-6


@pytest.mark.parametrize(("weighting", "expected"), [("eps", 4.0), ("v", 5.0), ("min-snr", 4.0)])
def test_weights_turn_an_x0_error_into_the_one_asked_for(weighting, expected):
    log_snr = torch.tensor([4.0]).log()
    weight = loss_weight(DiffusionConfig(prediction="x0", weighting=weighting), log_snr)
    assert weight.item() == pytest.approx(expected, rel=1e-5)
    clipped = loss_weight(DiffusionConfig(prediction="x0", weighting="min-snr"), torch.tensor([100.0]).log())
    assert clipped.item() == pytest.approx(5.0)
