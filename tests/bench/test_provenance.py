"""Provenance: useful to repeat a run, silent about the person who made it."""

from __future__ import annotations

import getpass
import json
import socket
from pathlib import Path

import pytest
import torch

from imagen_bench.bench.provenance import cpu_name, host_info, versions, with_home, without_home


def test_versions_are_those_of_the_libraries() -> None:
    found = versions()
    assert found["torch"] == torch.__version__.partition("+")[0] or found["torch"] == torch.__version__
    assert {"imagen-bench", "python", "numpy", "pillow"} <= set(found)


def test_host_is_described_without_personal_data() -> None:
    host = host_info()
    assert set(host) == {"platform", "cpu", "cores", "device"}
    assert host["cores"] >= 1
    told = json.dumps([host, versions()])
    assert socket.gethostname() not in told
    assert str(Path.home()) not in told
    assert getpass.getuser() not in told.replace("root", "") or getpass.getuser() == "root"


def test_cpu_name_from_cpuinfo(tmp_path: Path) -> None:
    file = tmp_path / "cpuinfo"
    file.write_text("processor\t: 0\nmodel name\t: Some CPU   @ 2 GHz\n\nprocessor\t: 1\nmodel name\t: Other\n")
    assert cpu_name(file) == "Some CPU @ 2 GHz"
    assert cpu_name(tmp_path / "none")


def test_home_folder_is_hidden_and_found_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/someone")
    config = {"a": ["/home/someone/x", "/home/someoneelse/x", 3], "b": {"c": "/home/someone", "d": None}}
    hidden = without_home(config)
    assert hidden == {"a": ["~/x", "/home/someoneelse/x", 3], "b": {"c": "~", "d": None}}
    assert with_home(hidden["a"]) == config["a"]
    assert with_home("~user/x") == "~user/x"
    assert without_home("coco-30k:/home/someone/coco") == "coco-30k:~/coco"
    assert without_home("coco-30k:/home/someoneelse/coco") == "coco-30k:/home/someoneelse/coco"


def test_no_home_folder_hides_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/")
    assert without_home("/data/x") == "/data/x"
