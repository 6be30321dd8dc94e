from __future__ import annotations

import numpy as np
import pytest
import torch

from imagen_bench.imagen.guidance import Threshold, guide, percentile_of
from imagen_bench.imagen.schedule import output_to_x0


def test_weight_one_is_off_and_zero_is_unconditional():
    conditional, unconditional = torch.randn(2, 3, 4)
    assert torch.equal(guide(conditional, unconditional, 1.0), conditional)
    assert torch.equal(guide(conditional, unconditional, 0.0), unconditional)


def test_guidance_on_v_equals_guidance_on_x0():
    z, v_conditional, v_unconditional = torch.randn(3, 2, 3, 4, 4, dtype=torch.float64)
    log_snr = torch.tensor([-1.0, 2.0], dtype=torch.float64)
    on_v = output_to_x0("v", guide(v_conditional, v_unconditional, 3.0), z, log_snr)
    both = [output_to_x0("v", v, z, log_snr) for v in (v_conditional, v_unconditional)]
    torch.testing.assert_close(on_v, guide(both[0], both[1], 3.0))


def test_dynamic_threshold_is_numpys_percentile_of_each_image():
    x0 = (
        torch.randn(3, 3, 8, 8, generator=torch.Generator().manual_seed(1))
        * torch.tensor([0.2, 1.0, 4.0])[:, None, None, None]
    )
    for image, given in zip(Threshold("dynamic", 95.0)(x0), x0.numpy(), strict=True):
        s = max(1.0, float(np.percentile(np.abs(given), 95.0)))
        np.testing.assert_allclose(image.numpy(), np.clip(given, -s, s) / s, rtol=1e-5, atol=1e-6)


def test_dynamic_threshold_leaves_images_in_range_alone_and_bounds_the_rest():
    x0 = torch.randn(4, 3, 16, 16) * 5
    out = Threshold("dynamic", 90.0)(x0)
    assert out.abs().max() <= 1.0 + 1e-6
    inside = x0.clamp(-0.9, 0.9)
    assert torch.equal(Threshold("dynamic")(inside), inside)


def test_dynamic_threshold_of_an_image_does_not_depend_on_its_batch():
    x0 = torch.randn(5, 3, 8, 8) * torch.tensor([1.0, 9.0, 2.0, 0.1, 4.0])[:, None, None, None]
    together = Threshold("dynamic", 97.0)(x0)
    assert all(torch.equal(Threshold("dynamic", 97.0)(x0[i : i + 1])[0], together[i]) for i in range(5))


def test_cap_of_one_makes_dynamic_static_and_none_does_nothing():
    x0 = torch.randn(2, 3, 8, 8) * 3
    assert torch.equal(Threshold("dynamic", cap=1.0)(x0), Threshold("static")(x0))
    assert torch.equal(Threshold("static")(x0), x0.clamp(-1, 1))
    assert torch.equal(Threshold("none")(x0), x0)


def test_dynamic_threshold_by_hand():
    """Two images of five values: rank 0.75 * 4 = 3 is 3 for the first, and 0.8 for the second, where s stays 1."""
    x0 = torch.tensor([[4.0, -1.0, 3.0, 0.5, -2.0], [0.8, -1.5, 0.2, -0.4, 0.1]]).reshape(2, 1, 1, 5)
    out = Threshold("dynamic", 75.0)(x0).reshape(2, 5)
    expected = torch.tensor([[1.0, -1 / 3, 1.0, 0.5 / 3, -2 / 3], [0.8, -1.0, 0.2, -0.4, 0.1]])
    torch.testing.assert_close(out, expected)
    capped = Threshold("dynamic", 75.0, cap=2.0)(x0).reshape(2, 5)[0]
    torch.testing.assert_close(capped, torch.tensor([1.0, -0.5, 1.0, 0.25, -1.0]))


@pytest.mark.parametrize("percent", [0.1, 50.0, 95.0, 99.5, 100.0])
def test_percentiles_are_numpys(percent):
    values = torch.rand(3, 101, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    expected = np.percentile(values.numpy(), percent, axis=1)
    np.testing.assert_allclose(percentile_of(values, percent).numpy(), expected, rtol=1e-12)
