"""The bilinear resize of TensorFlow 1 against torch-fidelity's, which follows its source."""

from __future__ import annotations

import pytest
import torch
from torch_fidelity.interpolate_compat_tensorflow import interpolate_bilinear_2d_like_tensorflow1x

from imagen_bench.metrics.resize import RESIZE_MODES, to_network_input


@pytest.mark.parametrize(
    ("height", "width"), [(64, 64), (256, 256), (299, 299), (300, 298), (512, 512), (1024, 768), (33, 517), (1, 2)]
)
def test_tensorflow1_bilinear_at_any_shape(height: int, width: int) -> None:
    images = torch.randint(
        0, 256, (2, 3, height, width), dtype=torch.uint8, generator=torch.Generator().manual_seed(height)
    )
    expected = interpolate_bilinear_2d_like_tensorflow1x(images.float(), size=(299, 299), align_corners=False)
    found = to_network_input(RESIZE_MODES["torch-fidelity"], images)
    torch.testing.assert_close(found, (expected - 128) / 128, rtol=0, atol=5e-7)


def test_tensorflow1_places_are_counted_from_the_corner() -> None:
    ramp = torch.arange(598, dtype=torch.float32).clamp(max=255).expand(1, 3, 4, 598)
    found = to_network_input(RESIZE_MODES["torch-fidelity"], ramp)
    expected = (2 * torch.arange(299.0)).clamp(max=255)
    torch.testing.assert_close(found[0, 0, 0] * 128 + 128, expected, rtol=0, atol=1e-4)
