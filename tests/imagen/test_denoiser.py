from __future__ import annotations

import math

import pytest
import torch

from imagen_bench.imagen.config import StageConfig, UNetConfig
from imagen_bench.imagen.denoiser import Denoiser, Guidance
from imagen_bench.imagen.guidance import Threshold
from imagen_bench.imagen.schedule import output_to_x0
from imagen_bench.imagen.text import TextBatch

UNET = UNetConfig(dim=8, channel_mult=(1,), blocks=(1,), attention=("none",), text_dim=2)


class Plain(torch.nn.Module):
    """Answers with a function of z, noise level and text, and counts the rows of its calls."""

    def __init__(self):
        super().__init__()
        self.rows = []

    def forward(self, z, log_snr, tokens, mask, low_res=None, aug_log_snr=None):
        self.rows.append(len(z))
        text = (tokens * mask[..., None]).sum((1, 2)) + 5.0 * mask.any(1)
        return torch.tanh(z) + (0.1 * log_snr + text).reshape(-1, 1, 1, 1)


class Prepared(Plain):
    """The same, with everything that the text needs computed once."""

    def __init__(self):
        super().__init__()
        self.prepared = 0

    def prepare_text(self, tokens, mask):
        self.prepared += 1
        return (tokens * mask[..., None]).sum((1, 2)) + 5.0 * mask.any(1)

    def forward(self, z, log_snr, text, mask=None, low_res=None, aug_log_snr=None):
        self.rows.append(len(z))
        return torch.tanh(z) + (0.1 * log_snr + text).reshape(-1, 1, 1, 1)


def stage(prediction):
    return StageConfig(name="base", image_size=4, unet=UNET, diffusion={"prediction": prediction})


TEXT = TextBatch(torch.tensor([[[0.1, 0.2]], [[-0.3, 0.1]]]), torch.ones(2, 1, dtype=torch.bool))
Z = torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("prediction", ["eps", "x0", "v"])
@pytest.mark.parametrize("weight", [0.0, 1.0, 4.0])
def test_guided_x0_is_the_papers_formula_thresholded(prediction, weight):
    network, log_snr = Plain(), torch.full((2,), -1.0)
    conditional = network(Z, log_snr, TEXT.tokens, TEXT.mask)
    unconditional = network(Z, log_snr, torch.zeros_like(TEXT.tokens), torch.zeros_like(TEXT.mask))
    mixed = weight * conditional + (1.0 - weight) * unconditional
    expected = output_to_x0(prediction, mixed, Z, log_snr).clamp(-1, 1)
    given = Denoiser(network, stage(prediction), TEXT, Guidance(weight), Threshold("static"))(Z, -1.0)
    torch.testing.assert_close(given, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("weight", "rows"), [(0.0, 2), (1.0, 2), (4.0, 4)])
def test_the_network_runs_once_and_without_needless_passes(weight, rows):
    network = Plain()
    Denoiser(network, stage("x0"), TEXT, Guidance(weight), Threshold())(Z, 0.0)
    assert network.rows == [rows]


def test_guidance_holds_inside_its_interval_alone():
    guidance = Guidance(4.0, (0.3, 5.0))
    inside, noisy, clean = (-2.0 * math.log(sigma) for sigma in (1.0, 5.1, 0.2))
    assert [guidance.at(level) for level in (inside, noisy, clean)] == [4.0, 1.0, 1.0]
    network = Plain()
    denoiser = Denoiser(network, stage("x0"), TEXT, guidance, Threshold("none"))
    outside = denoiser(Z, noisy)
    torch.testing.assert_close(outside, Denoiser(network, stage("x0"), TEXT, Guidance(), Threshold("none"))(Z, noisy))
    denoiser(Z, inside)
    assert network.rows == [2, 2, 4]


@pytest.mark.parametrize("weight", [0.0, 1.0, 4.0])
def test_a_network_that_prepares_its_text_does_so_once(weight):
    plain, prepared = Plain(), Prepared()
    denoisers = [Denoiser(network, stage("v"), TEXT, Guidance(weight), Threshold()) for network in (plain, prepared)]
    for level in (-2.0, 0.0, 3.0):
        torch.testing.assert_close(denoisers[0](Z, level), denoisers[1](Z, level))
    assert prepared.prepared == 1
    assert prepared.rows == plain.rows
