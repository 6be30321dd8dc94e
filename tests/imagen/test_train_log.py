from __future__ import annotations

import builtins

import pytest
import torch

from imagen_bench.errors import ConfigError
from imagen_bench.imagen.train_log import Table, tensorboard, thirds


def test_rows_behind_a_step_and_a_torn_row_are_dropped(tmp_path):
    table = Table(tmp_path / "log.csv", ("step", "loss"))
    table.add([{"step": 2, "loss": 0.5}])
    table.add([{"step": 4, "loss": 0.25}])
    with table.path.open("a") as stream:
        stream.write("1")
    table.drop_after(3)
    assert table.path.read_text() == "step,loss\n2,0.5\n"


def test_a_table_of_an_older_version_gets_the_new_columns(tmp_path):
    (tmp_path / "log.csv").write_text("step,loss\n2,0.5\n")
    table = Table(tmp_path / "log.csv", ("step", "loss", "norm"))
    table.drop_after(2)
    table.add([{"step": 4, "loss": 0.25, "norm": 1}])
    assert table.path.read_text() == "step,loss,norm\n2,0.5,\n4,0.25,1\n"


def test_dropping_from_a_table_that_is_not_there_makes_none(tmp_path):
    Table(tmp_path / "log.csv", ("step",)).drop_after(2)
    assert not list(tmp_path.iterdir())


def test_means_of_the_thirds_of_time():
    times = torch.tensor([0.1, 0.3, 0.5, 0.9, 0.7])
    losses = torch.tensor([1.0, 2.0, 4.0, 8.0, 16.0])
    assert thirds(times, losses) == {
        "loss": "6.20000",
        "loss_low": "1.50000",
        "loss_mid": "4.00000",
        "loss_high": "12.00000",
    }


def test_without_tensorboard_one_line_tells_what_to_do(tmp_path, monkeypatch):
    real = builtins.__import__

    def missing(name, *more):
        if name.startswith("torch.utils.tensorboard"):
            raise ModuleNotFoundError("No module named 'tensorboard'")
        return real(name, *more)

    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(ConfigError, match=r"not installed: pip install 'imagen-bench\[track\]'"):
        tensorboard(tmp_path, 0)
