from __future__ import annotations

import numpy as np
import torch

from imagen_bench.imagen.guidance import Threshold, guide
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
