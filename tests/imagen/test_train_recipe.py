from __future__ import annotations

import pytest
import torch
from pydantic import ValidationError

from imagen_bench.errors import ConfigError
from imagen_bench.imagen.train_recipe import RecipeConfig, learning_rate, make_optimiser, share_of
from imagen_bench.workers import Workers


def recipe(**more):
    return RecipeConfig(**{"steps": 100, "batch_size": 8, "learning_rate": 1.0} | more)


def test_learning_rate_warms_up_stays_and_falls_to_zero():
    plan = recipe(warmup=10, decay=20)
    rates = [learning_rate(plan, step) for step in range(101)]
    assert rates[0] == pytest.approx(0.1)
    assert rates[10:80] == [1.0] * 70
    assert rates[90] == pytest.approx(0.5)
    assert rates[100] == 0.0


def test_parts_of_a_batch_must_be_equal():
    with pytest.raises(ValidationError, match="batch_size 8 does not divide into accumulate = 3 parts"):
        recipe(accumulate=3)


def test_workers_share_a_batch_equally_or_not_at_all():
    shares = [share_of(recipe(accumulate=2), Workers(rank, 4)) for rank in range(4)]
    assert [(share.start, share.stop, share.total) for share in shares] == [(0, 2, 8), (2, 4, 8), (4, 6, 8), (6, 8, 8)]
    with pytest.raises(ConfigError, match="does not divide among 3 workers with accumulate = 1: expected a multiple"):
        share_of(recipe(), Workers(0, 3))


@pytest.mark.parametrize(("kind", "expected"), [("adamw", torch.optim.AdamW), ("adafactor", torch.optim.Adafactor)])
def test_the_optimiser_is_the_one_of_torch_with_the_recipe_in_it(kind, expected):
    weight = torch.nn.Parameter(torch.full((4, 4), 2.0))
    optimiser = make_optimiser(recipe(optimiser=kind, learning_rate=1e-2, weight_decay=0.0), [weight])
    assert type(optimiser) is expected
    weight.grad = torch.full((4, 4), 0.3)
    optimiser.step()
    # The first step of Adam is the rate; Adafactor's is the rate times the size of the weights (root mean square 2).
    step = 1e-2 if kind == "adamw" else 2e-2
    torch.testing.assert_close(weight.detach(), torch.full((4, 4), 2.0 - step), rtol=0, atol=1e-6)


def test_adafactor_on_an_old_torch_is_one_line(monkeypatch):
    monkeypatch.delattr(torch.optim, "Adafactor")
    with pytest.raises(ConfigError, match="has no Adafactor: update torch"):
        make_optimiser(recipe(optimiser="adafactor"), [])
