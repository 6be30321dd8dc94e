from __future__ import annotations

import pytest
import torch

from imagen_bench.imagen.train_parts import NetworkPass, parts_of, random_crop


def test_crops_start_on_whole_low_resolution_pixels_each_at_its_own_place():
    x = torch.arange(256.0).reshape(1, 1, 16, 16).expand(6, 1, 16, 16)
    crops = random_crop(x, 4, torch.Generator().manual_seed(0), grid=2)
    assert crops.shape == (6, 1, 4, 4)
    corners = [int(crop[0, 0, 0]) for crop in crops]
    assert all(corner % 2 == 0 and corner // 16 % 2 == 0 for corner in corners)
    assert len(set(corners)) > 3
    for crop, corner in zip(crops, corners, strict=True):
        top, left = divmod(corner, 16)
        assert torch.equal(crop, x[0, :, top : top + 4, left : left + 4])


def test_crops_reach_every_place():
    x = torch.arange(16.0).reshape(1, 1, 4, 4).expand(400, 1, 4, 4)
    crops = random_crop(x, 2, torch.Generator().manual_seed(0), grid=1)
    assert {int(crop[0, 0, 0]) for crop in crops} == {0, 1, 2, 4, 5, 6, 8, 9, 10}


@pytest.mark.parametrize(
    ("n", "count", "expected"), [(8, 2, [(0, 4), (4, 8)]), (3, 2, [(0, 2), (2, 3)]), (2, 8, [(0, 1), (1, 2)])]
)
def test_parts_cover_a_batch(n, count, expected):
    assert [(part.start, part.stop) for part in parts_of(n, count)] == expected


def test_a_pass_sees_its_rows_alone():
    seen = []

    def double(z, level, low_res):
        seen.append((len(z), len(level), low_res))
        return 2 * z

    network = torch.nn.Module()
    network.forward = double
    z = torch.arange(4.0).reshape(4, 1, 1, 1)
    part = NetworkPass(network, rows=slice(1, 3))(z, torch.zeros(4), None)
    assert part.flatten().tolist() == [0, 2, 4, 0]
    assert NetworkPass(network)(z, torch.zeros(4), None).flatten().tolist() == [0, 2, 4, 6]
    assert seen == [(2, 2, None), (4, 4, None)]


def test_bf16_is_autocast_of_the_network_alone():
    linear = torch.nn.Linear(2, 2)
    assert NetworkPass(linear, "bf16")(torch.ones(1, 2)).dtype == torch.bfloat16
    assert NetworkPass(linear, "fp32")(torch.ones(1, 2)).dtype == torch.float32
