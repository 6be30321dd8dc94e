from __future__ import annotations

import pytest
import torch

from imagen_bench.imagen.loss import Rows
from imagen_bench.imagen.train_parts import NetworkPass, random_crop


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
    assert [(part.start, part.stop) for part in Rows(0, n, n).parts(count)] == expected


def test_parts_of_a_share_count_from_its_start():
    share = Rows(0, 12, 12).parts(3)[1]
    assert share == Rows(4, 8, 12)
    assert share.parts(2) == [Rows(4, 6, 12), Rows(6, 8, 12)]
    assert share.of(torch.arange(12)).tolist() == [4, 5, 6, 7]


def test_crops_of_some_rows_are_those_of_the_whole_batch():
    x = torch.rand(6, 1, 16, 16)
    whole = random_crop(x, 4, torch.Generator().manual_seed(0), grid=2)
    part = random_crop(x[2:5], 4, torch.Generator().manual_seed(0), 2, Rows(2, 5, 6))
    assert torch.equal(part, whole[2:5])


def test_bf16_is_autocast_of_the_network_alone():
    linear = torch.nn.Linear(2, 2)
    assert NetworkPass(linear, "bf16")(torch.ones(1, 2)).dtype == torch.bfloat16
    assert NetworkPass(linear, "fp32")(torch.ones(1, 2)).dtype == torch.float32
