from __future__ import annotations

import pytest
import torch

from imagen_bench.imagen.config import DiffusionConfig, StageConfig, UNetConfig
from imagen_bench.imagen.efficient_unet import build_unet
from imagen_bench.imagen.loss import Rows, diffusion_loss, loss_weight
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


@pytest.mark.parametrize("low_res", [False, True])
def test_rows_of_a_batch_have_the_losses_that_they_have_in_it(low_res):
    network = build_unet(stage(low_res=low_res).unet)
    torch.nn.init.normal_(network.out.weight)
    x, batch = torch.rand(6, 3, 8, 8) * 2 - 1, text(6)

    def losses(rows=None, chosen=slice(None)):
        generator = torch.Generator().manual_seed(4)
        return diffusion_loss(
            network, stage(low_res=low_res, text_drop=0.5), x[chosen], batch.rows(chosen), generator, rows
        )

    whole, part = losses(), losses(Rows(2, 5, 6), slice(2, 5))
    torch.testing.assert_close(part[0], whole[0][2:5])
    assert torch.equal(part[1], whole[1][2:5])
    assert whole[0].unique().numel() == 6


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


def test_resizing_leaves_flat_areas_and_non_square_images_as_they_are():
    assert upscale(torch.full((1, 3, 4, 6), 0.3), 4).sub(0.3).abs().max() < 1e-6
    assert upscale(torch.zeros(1, 3, 4, 6), 4).shape == (1, 3, 16, 24)
    assert downscale(torch.zeros(1, 3, 16, 24), 4).shape == (1, 3, 4, 6)


SNR = torch.tensor([1e-3, 0.25, 1.0, 4.0, 100.0], dtype=torch.float64)
# What a squared error of x0 weighs, from each paper's own words.
ON_X0 = {
    "eps": SNR,
    "x0": torch.ones_like(SNR),
    "v": 1.0 + SNR,
    "min-snr": torch.minimum(SNR, torch.tensor(5.0)),
    "p2": SNR / (1.0 + SNR),
}


@pytest.mark.parametrize("weighting", list(ON_X0))
@pytest.mark.parametrize("prediction", ["eps", "x0", "v"])
def test_weights_make_the_same_loss_of_every_prediction(weighting, prediction):
    """An x0 estimate that is off by d weighs ON_X0 d^2, whichever quantity the network puts out."""
    log_snr = SNR.log()
    alpha, sigma = alpha_sigma(log_snr)
    x, eps, off = (torch.randn(5, 1, 1, 1, dtype=torch.float64) for _ in range(3))
    z = alpha.reshape(-1, 1, 1, 1) * x + sigma.reshape(-1, 1, 1, 1) * eps
    guess_eps = (z - alpha.reshape(-1, 1, 1, 1) * (x + off)) / sigma.reshape(-1, 1, 1, 1)
    error = target_of(prediction, x + off, guess_eps, log_snr) - target_of(prediction, x, eps, log_snr)
    loss = loss_weight(DiffusionConfig(prediction=prediction, weighting=weighting), log_snr) * error.flatten().square()
    torch.testing.assert_close(loss, ON_X0[weighting] * off.flatten().square())


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"weighting": "min-snr", "prediction": "eps"}, torch.minimum(SNR, torch.tensor(5.0)) / SNR),
        ({"weighting": "min-snr", "prediction": "v"}, torch.minimum(SNR, torch.tensor(5.0)) / (SNR + 1)),
        ({"weighting": "p2", "prediction": "eps", "p2_gamma": 0.5, "p2_k": 2.0}, (2.0 + SNR) ** -0.5),
        ({"weighting": "eps", "prediction": "eps"}, torch.ones_like(SNR)),
        ({"weighting": "v", "prediction": "x0", "max_weight": 5.0}, (1.0 + SNR).clamp(max=5.0)),
    ],
)
def test_weights_are_those_that_the_papers_print(options, expected):
    torch.testing.assert_close(loss_weight(DiffusionConfig(**options), SNR.log()), expected)


@pytest.mark.parametrize("prediction", ["eps", "x0", "v"])
@pytest.mark.parametrize("low_res", [False, True])
def test_the_gradient_of_the_loss_is_right(prediction, low_res):
    """Finite differences in float64 through a real, tiny network."""
    unet = UNetConfig(
        kind="efficient", dim=8, channel_mult=(1,), blocks=(1,), attention=("self+text",), text_dim=2, head_dim=8,
        low_res=low_res, patch_size=2, cond_dim=8,
    )  # fmt: skip
    diffusion = DiffusionConfig(prediction=prediction, weighting="min-snr")
    config = StageConfig(
        name="s", image_size=8, low_res_size=2 if low_res else None, unet=unet, diffusion=diffusion
    )  # fmt: skip
    torch.manual_seed(0)
    network = build_unet(unet).double()
    weights = {name: value.detach().clone() for name, value in network.named_parameters()}
    for value in weights.values():
        value += 0.1 * torch.randn_like(value)
    checked = [
        weights[name].requires_grad_() for name in ("stem.bias", "out.weight", "down.0.stack.attention.qkv.bias")
    ]
    x = torch.rand(2, 3, 8, 8, dtype=torch.float64) * 2 - 1
    texts = TextBatch(torch.randn(2, 3, 2, dtype=torch.float64), torch.ones(2, 3, dtype=torch.bool))

    def loss(*_):
        def functional(*args):
            return torch.func.functional_call(network, weights, args)

        return diffusion_loss(functional, config, x, texts, torch.Generator().manual_seed(0))[0]

    assert torch.autograd.gradcheck(loss, tuple(checked), fast_mode=True)
