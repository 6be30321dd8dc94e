"""Oracle: for Gaussian data the exact denoiser is known, so samplers can be held to closed forms."""

from __future__ import annotations

import itertools
import math

import pytest
import torch

from imagen_bench.imagen.samplers import Sampler
from imagen_bench.imagen.schedule import Schedule, alpha_sigma

KINDS = ["ddim", "ddpm", "dpmpp-2m", "heun"]
DETERMINISTIC = ["ddim", "dpmpp-2m", "heun"]
MEAN = torch.tensor([0.3, -0.2, 0.1], dtype=torch.float64)
ROOT = torch.tensor([[0.5, 0.0, 0.0], [0.3, 0.2, 0.0], [-0.1, 0.1, 0.4]], dtype=torch.float64)
COVARIANCE = ROOT @ ROOT.T


def scales(log_snr):
    return (part.item() for part in alpha_sigma(torch.tensor(log_snr, dtype=torch.float64)))


def exact_x0(z, log_snr):
    """E[x | z] for x ~ N(MEAN, COVARIANCE), three correlated channels of one pixel."""
    alpha, sigma = scales(log_snr)
    marginal = alpha**2 * COVARIANCE + sigma**2 * torch.eye(3, dtype=torch.float64)
    gain = alpha * COVARIANCE @ torch.linalg.inv(marginal)
    x = z.flatten(1).double()
    return (MEAN + (x - alpha * MEAN) @ gain.T).reshape(z.shape)


def no_noise():
    raise AssertionError("a deterministic sampler asked for noise")


def flow_map(sampler, schedule):
    """A deterministic sampler on Gaussian data is affine, z -> A z + b: A as columns, and b."""
    basis = torch.cat([torch.zeros(1, 3), torch.eye(3)]).double().reshape(4, 3, 1, 1)
    ends = sampler(basis, schedule, exact_x0, no_noise).flatten(1)
    return (ends[1:] - ends[0]).T, ends[0]


class EvenInLogSnr:
    """Equal steps of log-SNR, the variable in which the orders of convergence are stated."""

    def log_snr(self, t):
        return 18.0 - 26.0 * t


def flow_end(z, schedule):
    """Where the probability flow carries z from t = 1 to t = 0: each eigenvector of the covariance by itself."""
    start, end = schedule.log_snr(torch.tensor([1.0, 0.0], dtype=torch.float64)).tolist()
    (a1, s1), (a0, s0) = scales(start), scales(end)
    variances, vectors = torch.linalg.eigh(COVARIANCE)
    stretch = ((a0**2 * variances + s0**2) / (a1**2 * variances + s1**2)).sqrt()
    return a0 * MEAN + (z - a1 * MEAN) @ vectors @ torch.diag(stretch) @ vectors.T


def end_error(kind, steps, schedule, spacing="time"):
    z = torch.randn(16, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    sampled = Sampler(kind, steps, spacing=spacing)(z.reshape(16, 3, 1, 1), schedule, exact_x0, no_noise).flatten(1)
    return (sampled - flow_end(z, schedule)).abs().max().item()


@pytest.mark.parametrize(("kind", "order"), [("ddim", 1), ("dpmpp-2m", 2), ("heun", 2)])
def test_deterministic_samplers_converge_at_their_order(kind, order):
    coarse, fine = (end_error(kind, steps, EvenInLogSnr()) for steps in (64, 256))
    assert math.log(coarse / fine) / math.log(4) == pytest.approx(order, abs=0.3)


@pytest.mark.parametrize("kind", DETERMINISTIC)
@pytest.mark.parametrize("schedule", [Schedule("cosine"), Schedule("linear"), Schedule("cosine", shift=256)])
def test_deterministic_samplers_give_the_mean_and_covariance_of_the_data(kind, schedule):
    matrix, offset = flow_map(Sampler(kind, 200), schedule)
    torch.testing.assert_close(offset, MEAN, rtol=0, atol=0.02)
    torch.testing.assert_close(matrix @ matrix.T, COVARIANCE, rtol=0, atol=0.02)


def ancestral_moments(steps, gamma):
    """Exact mean and covariance of the ancestral sampler: one row of the batch for each noise that is drawn."""
    rows = 3 * steps + 1
    drawn = 0

    def noise():
        nonlocal drawn
        values = torch.zeros(rows, 3, dtype=torch.float64)
        values[1 + 3 * drawn : 4 + 3 * drawn] = torch.eye(3, dtype=torch.float64)
        drawn += 1
        return values.reshape(rows, 3, 1, 1)

    ends = Sampler("ddpm", steps, gamma)(noise(), Schedule("cosine"), exact_x0, noise).flatten(1)
    assert drawn == steps, "the last step must draw no noise"
    spread = ends[1:] - ends[0]
    return ends[0], spread.T @ spread


@pytest.mark.parametrize("gamma", [0.0, 0.3, 1.0])
def test_ancestral_sampling_approaches_the_mean_and_covariance_of_the_data(gamma):
    errors = []
    for steps in (50, 200):
        mean, covariance = ancestral_moments(steps, gamma)
        torch.testing.assert_close(mean, MEAN, rtol=0, atol=0.02)
        errors.append((covariance - COVARIANCE).abs().max().item())
    assert errors[1] < 0.4 * errors[0]
    assert errors[1] < 0.02


def test_second_order_beats_first_at_equal_cost():
    schedule = Schedule("cosine")
    errors = {kind: end_error(kind, steps, schedule, None) for kind, steps in (("ddim", 20), ("dpmpp-2m", 20))}
    assert errors["dpmpp-2m"] < 0.6 * errors["ddim"]
    karras = {kind: end_error(kind, steps, schedule, "karras") for kind, steps in (("ddim", 79), ("heun", 40))}
    assert karras["heun"] < 0.5 * karras["ddim"]


@pytest.mark.parametrize("kind", KINDS)
def test_one_step_returns_the_denoised_image_without_noise(kind):
    z, schedule, sampler = torch.randn(2, 3, 1, 1), Schedule("cosine"), Sampler(kind, 1)
    expected = exact_x0(z, sampler.levels(schedule)[0])
    assert torch.equal(sampler(z, schedule, exact_x0, no_noise), expected)


@pytest.mark.parametrize("kind", KINDS)
def test_the_network_runs_as_often_as_stated(kind):
    calls, z = [], torch.randn(1, 3, 1, 1, dtype=torch.float64)
    sampler = Sampler(kind, 7)
    sampler(
        z, Schedule("cosine"), lambda z, log_snr: (calls.append(log_snr), exact_x0(z, log_snr))[1], lambda: z * 0 + 1
    )
    assert len(calls) == sampler.evaluations == (13 if kind == "heun" else 7)


@pytest.mark.parametrize("spacing", ["time", "log-snr", "karras"])
@pytest.mark.parametrize("schedule", [Schedule("cosine"), Schedule("linear"), Schedule("cosine", 1024)])
def test_levels_rise_from_noise_to_image(spacing, schedule):
    levels = Sampler("ddim", 40, spacing=spacing).levels(schedule)
    assert len(levels) == 40
    assert all(a <= b for a, b in itertools.pairwise(levels))
    assert levels[-1] > levels[0]


def test_karras_levels_are_those_of_the_paper():
    """Karras et al. 2022, eq. 5 with rho = 7, sigma 80 to 0.002: the reference values are computed here."""
    levels = Sampler("heun", 18).levels(Schedule("cosine"))
    sigmas = [(80 ** (1 / 7) + i / 17 * (0.002 ** (1 / 7) - 80 ** (1 / 7))) ** 7 for i in range(18)]
    assert [math.exp(-0.5 * level) for level in levels] == pytest.approx(sigmas, rel=1e-9)


def test_gamma_spans_the_two_variance_bounds():
    """Gamma 0 is the posterior variance, gamma 1 the forward one: seen on a single step of ancestral noise."""
    schedule, z = Schedule("cosine"), torch.zeros(1, 1, 1, 1, dtype=torch.float64)
    spread = {}
    for gamma in (0.0, 0.5, 1.0):
        seen = []

        def zero(z, log_snr, seen=seen):
            seen.append(z.item())
            return torch.zeros_like(z)

        Sampler("ddpm", 2, gamma)(z, schedule, zero, lambda: torch.ones_like(z))
        spread[gamma] = seen[1]
    t, s = schedule.log_snr(torch.tensor([1.0, 0.5], dtype=torch.float64))
    one_minus_r = -torch.expm1(t - s)
    assert spread[0.0] == pytest.approx(math.sqrt(one_minus_r * alpha_sigma(s)[1] ** 2))
    assert spread[1.0] == pytest.approx(math.sqrt(one_minus_r * alpha_sigma(t)[1] ** 2))
    assert spread[0.5] == pytest.approx(math.sqrt(spread[0.0] * spread[1.0]))
