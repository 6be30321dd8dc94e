"""Devices by name: what is there, what is not, and what is no device."""

from __future__ import annotations

import pytest
import torch

from imagen_bench.devices import open_device
from imagen_bench.errors import ConfigError


def test_auto_is_the_gpu_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    for there, name in ((True, "cuda"), (False, "cpu")):
        monkeypatch.setattr(torch.cuda, "is_available", lambda there=there: there)
        assert open_device("auto") == torch.device(name)
    assert open_device("cpu") == torch.device("cpu")


@pytest.mark.parametrize("name", ["gpu9", "", "cpu:x", "cuda:99"])
def test_others_are_told_in_one_line(name: str) -> None:
    with pytest.raises(ConfigError, match=rf"model\.options\.device is '{name}': .*; use auto, cpu or a") as caught:
        open_device(name, "model.options.device")
    assert "\n" not in str(caught.value)
