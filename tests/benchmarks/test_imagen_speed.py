from __future__ import annotations

import argparse
import dataclasses
import importlib
import sys
from pathlib import Path

import pytest


@pytest.fixture
def speed(monkeypatch):
    monkeypatch.syspath_prepend(Path(__file__).parent)
    yield importlib.import_module("imagen_speed")
    for name in ("imagen_speed", "imagen_peers"):
        sys.modules.pop(name, None)


def test_rows_are_medians_and_extremes_of_all_rounds(speed):
    def measured(forward, training, sampling):
        return {
            "parameters": 2_000_000, "residual_blocks": 20, "flop_per_image": 3e9, "note": "",
            "peak_bytes": 2**30, "matmul_flop_per_second": 8e10,
            "forward": forward, "training": training, "sampling": sampling,
        }  # fmt: skip

    mine = speed.summarise(
        "imagen-bench", speed.BASE, [measured([0.4, 0.8], [2.0], [8.0]), measured([0.6], [4.0], [4.0])]
    )
    other = speed.summarise("MinImagen", speed.BASE, [measured([1.2], [1.5], [12.0])])
    speed.add_ratios([mine, other])
    assert mine["forward_ms"] == pytest.approx(150)
    assert mine["forward_ms_min"] == pytest.approx(100)
    assert mine["training_ms"] == pytest.approx(750)
    assert mine["images_per_second"] == pytest.approx(0.75)
    assert mine["gflop_per_second"] == pytest.approx(20)
    assert other["ratio_to_ours"] == pytest.approx({"forward": 2.0, "training": 0.5, "peak": 1.0, "sampling": 2.25})
    table = speed.to_markdown(speed.BASE, [mine, other])
    assert "| 20 | 2.0 | 3.0 | 150 (100) | 20 (25%) | 750 (500) | 0.750 (1.000) | 1.00 | 1.00, 1.00, 1.00 |" in table
    assert "| 2.00, 0.50, 2.25 |" in table


def test_a_network_without_a_rival_of_its_layout_has_no_ratio(speed):
    alone = {"implementation": "diffusers", "forward_ms": 1.0}
    speed.add_ratios([alone])
    assert "ratio_to_ours" not in alone


@pytest.mark.parametrize(
    # 4 down, 2 in the middle, 4 up; or 2 down and 1 that halves, 2 in the middle, 4 up and 1 that doubles.
    ("name", "kind", "blocks", "count"),
    [("imagen-bench", "mirrored", (2, 2), 10), ("imagen-bench, ADM's layout", "base", (1, 1), 10)],
)
def test_our_rows_are_measured(speed, monkeypatch, name, kind, blocks, count):
    import torch

    monkeypatch.setattr(torch, "set_num_threads", lambda count: None)
    shape = speed.Shape("base", 16, 1, 16, (1, 2), (2, 2), (False, True), adm_blocks=(1, 1))
    row = speed.measure(name, shape, threads=1, quick=True)
    from imagen_bench.imagen.config import UNetConfig
    from imagen_bench.imagen.efficient_unet import build_unet

    config = UNetConfig(
        kind=kind, dim=16, channel_mult=(1, 2), blocks=blocks, attention=("none", "self+text"), text_dim=512
    )
    assert row["parameters"] == sum(parameter.numel() for parameter in build_unet(config).parameters())
    assert row["residual_blocks"] == count
    assert len(row["forward"]) == len(row["training"]) == len(row["sampling"]) == 1
    assert row["sampling"][0] > row["forward"][0] > 0
    # A 3x3 convolution of the input alone is more than this; the whole is far below 1 GFLOP.
    assert 2 * 9 * 3 * 16 * 16 * 16 < row["flop_per_image"] < 1e9


def test_shapes_are_chosen_by_name_and_get_device_and_batch(speed):
    options = argparse.Namespace(quick=False, shape=["base"], device="cuda:1", batch=64)
    (shape,) = speed.shapes_of(options).values()
    assert (shape.name, shape.device, shape.batch) == ("base", "cuda:1", 64)
    options = argparse.Namespace(quick=False, shape=None, device="cpu", batch=0)
    assert [shape.batch for shape in speed.shapes_of(options).values()] == [4, 4, 1]


def test_mixed_precision_is_measured(speed, monkeypatch):
    import torch

    monkeypatch.setattr(torch, "set_num_threads", lambda count: None)
    dtypes = []
    linear = torch.nn.functional.linear
    monkeypatch.setattr(
        torch.nn.functional, "linear", lambda *given: dtypes.append((out := linear(*given)).dtype) or out
    )
    shape = speed.Shape("base", 16, 1, 16, (1,), (1,), (False,), adm_blocks=(1,))
    speed.measure("imagen-bench", shape, threads=1, quick=True, precision="bf16")
    assert set(dtypes) == {torch.bfloat16}


def test_a_package_that_is_missing_has_no_version(speed):
    peer = speed.PEERS["imagen-bench"]
    assert peer.version
    assert dataclasses.replace(peer, package="no-such-package").version == ""
