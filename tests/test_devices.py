"""Devices by name: what is there, what is not, and what is no device; memory that stays with the process."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest
import torch

from imagen_bench.devices import keep_freed_memory, open_device
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


# Six layers of 16 MiB each: the pages that the system had to clear in five passes, once everything is warm.
FRESH_PAGES = """
import resource, sys, torch
from imagen_bench.devices import keep_freed_memory
if sys.argv[1] == "keep":
    assert keep_freed_memory()
faults = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_minflt
network = torch.nn.Sequential(*[torch.nn.Conv2d(16, 16, 3, padding=1) for _ in range(6)])
x = torch.zeros(4, 16, 256, 256)
with torch.inference_mode():
    for _ in range(4):
        network(x)
    before = faults()
    for _ in range(5):
        network(x)
print(faults() - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the C library is not glibc")
def test_freed_memory_is_used_again() -> None:
    pages = {}
    for mode in ("keep", "default"):
        command = [sys.executable, "-c", FRESH_PAGES, mode]
        pages[mode] = int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert 4 * pages["keep"] < pages["default"]


def test_another_system_keeps_its_own_ways(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    assert keep_freed_memory() is False
