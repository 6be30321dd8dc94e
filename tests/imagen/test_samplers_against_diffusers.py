"""Oracle: the schedulers of `diffusers`, step for step on the same noise levels, predictions and noise."""

from __future__ import annotations

import math
import warnings

import pytest
import torch

from imagen_bench.imagen.samplers import Sampler
from imagen_bench.imagen.schedule import Schedule, alpha_sigma

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    diffusers = pytest.importorskip("diffusers")

TRAINED = 1000
STEPS = 10
TIMES = [999 - 100 * index for index in range(STEPS)]


def betas():
    """The cosine schedule at t = 1/1000 to 0.999, as discrete betas; the last time stays off the clamp."""
    times = torch.linspace(0.001, 0.999, TRAINED, dtype=torch.float64)
    alpha_bar = alpha_sigma(Schedule("cosine").log_snr(times))[0] ** 2
    return (1.0 - alpha_bar / torch.cat([torch.ones(1, dtype=torch.float64), alpha_bar[:-1]])).tolist()


class Table:
    """The discrete noise levels as a schedule, in the order in which the oracle visits them."""

    def __init__(self, scheduler):
        alpha_bar = scheduler.alphas_cumprod.double()
        self.levels = [torch.logit(alpha_bar[t]).item() for t in TIMES] + [20.0]

    def log_snr(self, t):
        return torch.tensor([self.levels[round((1.0 - time) * STEPS)] for time in t.tolist()], dtype=torch.float64)


def denoise(z, log_snr):
    """Any smooth function will do: both sides must ask it at the same places."""
    return torch.tanh(0.7 * z + 0.1 * math.tanh(0.2 * log_snr))


def theirs(scheduler, z, table, scaled=False, generator=None):
    """The oracle's loop, fed with x0; `scaled` for the one that works in z / alpha.

    With a generator the last step is ours: the oracle draws noise there, unless its last time is 0.
    """
    if scaled:
        z = z / alpha_sigma(torch.tensor(table.levels[0], dtype=torch.float64))[0]
    more = {} if generator is None else {"generator": generator}
    for t in scheduler.timesteps:
        if generator is not None and t == TIMES[-1]:
            return denoise(z, table.levels[-2])
        level = table.levels[TIMES.index(int(t))]
        alpha = alpha_sigma(torch.tensor(level, dtype=torch.float64))[0] if scaled else 1.0
        z = scheduler.step(denoise(z * alpha, level), t, z, **more).prev_sample
    return z


def scheduler_of(name, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        scheduler = getattr(diffusers, name)(
            num_train_timesteps=TRAINED, trained_betas=betas(), prediction_type="sample", **options
        )
        scheduler.set_timesteps(timesteps=TIMES)
    return scheduler


def start():
    return torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def no_noise():
    raise AssertionError("a deterministic sampler asked for noise")


@pytest.mark.parametrize(
    ("kind", "name", "options", "scaled"),
    [
        (
            "dpmpp-2m",
            "DPMSolverMultistepScheduler",
            {"algorithm_type": "dpmsolver++", "solver_order": 2, "final_sigmas_type": "zero"},
            False,
        ),
        ("heun", "HeunDiscreteScheduler", {}, True),
    ],
)
def test_deterministic_samplers_agree(kind, name, options, scaled):
    scheduler = scheduler_of(name, **options)
    table = Table(scheduler)
    ours = Sampler(kind, STEPS, spacing="time")(start(), table, denoise, no_noise)
    torch.testing.assert_close(ours, theirs(scheduler, start(), table, scaled), rtol=1e-4, atol=1e-4)


def test_ddim_agrees():
    scheduler = ddim_like("DDIMScheduler", clip_sample=False, set_alpha_to_one=True)
    table = Table(scheduler)
    ours = Sampler("ddim", STEPS)(start(), table, denoise, no_noise)
    torch.testing.assert_close(ours, theirs(scheduler, start(), table), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("variance_type", "gamma"), [("fixed_small", 0.0), ("fixed_large", 1.0)])
def test_ancestral_sampling_agrees_at_both_bounds_of_its_variance(variance_type, gamma):
    scheduler = ddim_like("DDPMScheduler", clip_sample=False, variance_type=variance_type)
    table = Table(scheduler)
    generators = [torch.Generator().manual_seed(4) for _ in range(2)]

    def noise():
        return torch.randn(2, 3, 4, 4, generator=generators[0], dtype=torch.float64)

    ours = Sampler("ddpm", STEPS, gamma)(start(), table, denoise, noise)
    torch.testing.assert_close(ours, theirs(scheduler, start(), table, generator=generators[1]), rtol=1e-4, atol=1e-4)


def ddim_like(name, **options):
    """Schedulers that work out the time of the next level themselves, from an even spacing."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        scheduler = getattr(diffusers, name)(
            num_train_timesteps=TRAINED, trained_betas=betas(), prediction_type="sample",
            timestep_spacing="trailing", **options,
        )  # fmt: skip
        scheduler.set_timesteps(STEPS)
    assert scheduler.timesteps.tolist() == TIMES
    return scheduler
