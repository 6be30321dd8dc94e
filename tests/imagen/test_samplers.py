"""Oracle: for Gaussian data the exact denoiser is known, so samplers can be held to closed forms."""

from __future__ import annotations

import math

import pytest
import torch

from imagen_bench.imagen.samplers import Sampler
from imagen_bench.imagen.schedule import Schedule, alpha_sigma

MEAN, DEVIATION = 0.3, 0.5


def exact_x0(z, log_snr):
    """E[x | z] for x ~ N(MEAN, DEVIATION^2)."""
    alpha, sigma = (part.reshape(-1, 1, 1, 1) for part in alpha_sigma(log_snr))
    gain = alpha * DEVIATION**2 / (alpha**2 * DEVIATION**2 + sigma**2)
    return MEAN + gain * (z - alpha * MEAN)


def no_noise():
    raise AssertionError("a deterministic sampler asked for noise")


def flow_end(z, schedule):
    """Where the probability flow of Gaussian data carries z from t = 1 to t = 0: its rank stays."""
    start, end = schedule.log_snr(torch.tensor([1.0, 0.0], dtype=torch.float64))
    (a1, s1), (a0, s0) = alpha_sigma(start), alpha_sigma(end)
    scale = [math.sqrt(a**2 * DEVIATION**2 + s**2) for a, s in ((a1, s1), (a0, s0))]
    return a0 * MEAN + (z - a1 * MEAN) * scale[1] / scale[0]


class EvenInLogSnr:
    """Equal steps of log-SNR, the variable in which the orders of convergence are stated."""

    def log_snr(self, t):
        return 18.0 - 26.0 * t


def end_error(kind, steps, schedule):
    z = torch.linspace(-2, 2, 9, dtype=torch.float64).reshape(9, 1, 1, 1)
    sampled = Sampler(kind, steps)(z, schedule, exact_x0, no_noise)
    return (sampled - flow_end(z, schedule)).abs().max().item()


@pytest.mark.parametrize(("kind", "order"), [("ddim", 1), ("dpmpp-2m", 2)])
def test_deterministic_samplers_converge_at_their_order(kind, order):
    coarse, fine = (end_error(kind, steps, EvenInLogSnr()) for steps in (64, 256))
    assert math.log(coarse / fine) / math.log(4) == pytest.approx(order, abs=0.3)


@pytest.mark.parametrize("kind", ["ddim", "dpmpp-2m"])
def test_samplers_reach_the_end_of_the_flow_on_the_cosine_schedule(kind):
    assert end_error(kind, 256, Schedule("cosine")) < 0.01


def test_second_order_beats_first_at_equal_cost():
    errors = {kind: end_error(kind, 20, Schedule("cosine")) for kind in ("ddim", "dpmpp-2m")}
    assert errors["dpmpp-2m"] < 0.6 * errors["ddim"]


def test_ancestral_sampling_reproduces_mean_and_variance():
    generator = torch.Generator().manual_seed(3)
    shape = (20_000, 1, 1, 1)

    def noise():
        return torch.randn(shape, generator=generator, dtype=torch.float64)

    sampled = Sampler("ddpm", 200, gamma=0.3)(noise(), Schedule("cosine"), exact_x0, noise)
    assert sampled.mean().item() == pytest.approx(MEAN, abs=0.02)
    # The last step is noise-free, so the sample is a posterior mean: its variance is a little under the data's.
    assert sampled.std().item() == pytest.approx(DEVIATION, rel=0.05)


@pytest.mark.parametrize("kind", ["ddim", "ddpm", "dpmpp-2m"])
def test_one_step_returns_the_denoised_image_without_noise(kind):
    z = torch.randn(2, 3, 4, 4)
    schedule = Schedule("cosine")
    expected = exact_x0(z, schedule.log_snr(torch.ones(2)))
    assert torch.equal(Sampler(kind, 1)(z, schedule, exact_x0, no_noise), expected)


def test_gamma_spans_the_two_variance_bounds():
    """Gamma 0 is the posterior variance, gamma 1 the forward one: seen on a single step of ancestral noise."""
    schedule, calls = Schedule("cosine"), []
    z = torch.zeros(1, 1, 1, 1, dtype=torch.float64)

    def noise():
        calls.append(1)
        return torch.ones_like(z)

    def zero(z, log_snr):
        return torch.zeros_like(z)

    spread = {gamma: None for gamma in (0.0, 1.0)}
    for gamma in spread:
        recorded = []
        Sampler("ddpm", 2, gamma)(
            z, schedule, lambda z, log_snr, out=recorded: (out.append(z), zero(z, log_snr))[1], noise
        )
        spread[gamma] = recorded[1].item()
    t, s = schedule.log_snr(torch.tensor([1.0, 0.5]))
    one_minus_r = -torch.expm1(t - s)
    assert spread[0.0] == pytest.approx(math.sqrt(one_minus_r * alpha_sigma(s)[1] ** 2), rel=1e-4)
    assert spread[1.0] == pytest.approx(math.sqrt(one_minus_r * alpha_sigma(t)[1] ** 2), rel=1e-4)
