from __future__ import annotations

import math

import pytest
import torch

from imagen_bench.imagen.schedule import (
    LOG_SNR_MAX,
    LOG_SNR_MIN,
    Schedule,
    alpha_sigma,
    diffuse,
    output_to_x0,
    target_of,
    time_of,
)


def test_cosine_signal_is_the_cosine_of_time():
    t = torch.linspace(0.02, 0.98, 49, dtype=torch.float64)
    alpha, sigma = alpha_sigma(Schedule("cosine").log_snr(t))
    torch.testing.assert_close(alpha, torch.cos(0.5 * math.pi * t))
    torch.testing.assert_close(sigma, torch.sin(0.5 * math.pi * t))


def test_linear_follows_the_thousand_discrete_betas():
    betas = torch.linspace(1e-4, 0.02, 1000, dtype=torch.float64)
    alpha_bar = torch.cumprod(1.0 - betas, 0)
    steps = torch.arange(1, 1001, dtype=torch.float64)
    alpha, _ = alpha_sigma(Schedule("linear").log_snr(steps / 1000))
    # The continuous schedule is a published fit of the discrete one, not an identity.
    assert (alpha**2 - alpha_bar).abs().max() < 0.015


@pytest.mark.parametrize("kind", ["cosine", "linear"])
def test_log_snr_falls_and_stays_finite_at_both_ends(kind):
    log_snr = Schedule(kind).log_snr(torch.linspace(0, 1, 1001))
    assert torch.isfinite(log_snr).all()
    assert (log_snr.diff() <= 0).all()
    assert log_snr.max() <= LOG_SNR_MAX
    assert log_snr.min() >= LOG_SNR_MIN


def test_shift_to_256_moves_log_snr_by_the_resolution_ratio():
    t = torch.linspace(0.2, 0.8, 7)
    moved = Schedule("cosine", shift=256).log_snr(t) - Schedule("cosine").log_snr(t)
    torch.testing.assert_close(moved, torch.full_like(t, 2 * math.log(64 / 256)))


def test_time_of_inverts_the_cosine_schedule():
    t = torch.linspace(0.01, 0.99, 33, dtype=torch.float64)
    torch.testing.assert_close(time_of(Schedule("cosine").log_snr(t)), t)


@pytest.mark.parametrize("prediction", ["eps", "x0", "v"])
def test_every_prediction_gives_back_the_same_image_and_noise(prediction):
    generator = torch.Generator().manual_seed(0)
    x, eps = torch.randn(2, 5, 3, 4, 4, generator=generator, dtype=torch.float64)
    log_snr = torch.tensor([-6.0, -2.0, 0.0, 3.0, 9.0], dtype=torch.float64)
    z = diffuse(x, eps, log_snr)
    x0 = output_to_x0(prediction, target_of(prediction, x, eps, log_snr), z, log_snr)
    torch.testing.assert_close(x0, x)
    alpha, sigma = (part.reshape(-1, 1, 1, 1) for part in alpha_sigma(log_snr))
    torch.testing.assert_close((z - alpha * x0) / sigma, eps)
