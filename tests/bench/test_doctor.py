"""The self-check: what is broken is found, told with what mends it, and the other checks go on."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from packaging.requirements import Requirement as Packaging

from imagen_bench.bench import doctor
from imagen_bench.bench.doctor import Check, requirements, run_checks
from imagen_bench.cli.main import main
from imagen_bench.home import weights_folder


def checks_of(name: str) -> list[Check]:
    return [check for check in run_checks() if check.name.startswith(name)]


def only(name: str) -> Check:
    (check,) = checks_of(name)
    return check


def test_a_sound_machine_passes_in_lines_and_in_json(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(main, ["doctor"])
    assert done.exit_code == 0, done.output
    assert done.stderr == ""
    lines = done.stdout.splitlines()
    assert {line.split()[0] for line in lines} <= {"ok", "note"}
    names = [check.name for check in run_checks()]
    assert len(lines) == len(names)
    expected = {"python", "libraries", "processor", "gpu", "numbers", "data folder", "run folders", "offline"}
    assert expected | {"model imagen-emoji", "weights inception", "weights clip-vitb32"} <= set(names)
    answer = json.loads(CliRunner().invoke(main, ["doctor", "--json"]).stdout)
    assert answer["ok"] is True
    assert [check["name"] for check in answer["checks"]] == names
    assert list(tmp_path.iterdir()) == []


def test_requirements_are_read_as_packaging_reads_them(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [
        "torch>=2.5",
        "pillow",
        "open_clip_torch>=2.30",
        'httpx>=0.27; extra == "endpoint"',
        "ruff>=1; extra == 'dev'",
    ]
    monkeypatch.setattr(doctor.metadata, "requires", lambda _: lines)
    for found, line in zip(requirements(), lines, strict=True):
        oracle = Packaging(line)
        assert (found.name, found.words) == (oracle.name, f"{oracle.name}{oracle.specifier}")
        assert found.extra == ("" if oracle.marker is None else str(oracle.marker).split('"')[1])


def test_missing_and_old_packages_are_broken_and_extras_are_notes(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = ["numpy>=99.1", "no-such-package>=1", "click>=0.0.1", 'no-such-extra>=2; extra == "endpoint"']
    monkeypatch.setattr(doctor.metadata, "requires", lambda _: lines)
    old, missing = checks_of("packages")
    assert (old.state, old.expected, old.advice) == ("broken", "numpy>=99.1", "pip install 'numpy>=99.1'")
    assert old.found.startswith("numpy ")
    assert (missing.state, missing.found) == ("broken", "no no-such-package")
    extra = only("extra")
    assert (extra.state, extra.found) == ("note", "no no-such-extra")
    assert extra.advice == "pip install 'imagen-bench[endpoint]'"
    done = CliRunner().invoke(main, ["doctor"])
    assert done.exit_code == 1
    assert done.stderr == "broken: packages; mend what the lines above say\n"


@pytest.mark.parametrize(
    ("version", "least", "enough"),
    [
        ("2.10.0", "2.9", True),
        ("2.5", "2.5.0", True),
        ("2.5.1+cpu", "2.5", True),
        ("2.4.9", "2.5", False),
        ("11", "11.0", True),
    ],
)
def test_versions_compare_by_number(monkeypatch: pytest.MonkeyPatch, version: str, least: str, enough: bool) -> None:
    monkeypatch.setattr(doctor.metadata, "version", lambda _: version)
    assert bool(list(doctor._lacking([doctor.Requirement("torch", least)]))) is not enough


def test_a_library_that_does_not_load_is_told_and_the_rest_is_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torchvision", None)
    broken, loaded = checks_of("libraries")
    assert broken.state == "broken"
    assert broken.found.startswith("torchvision does not load: ")
    assert "torch " in loaded.found
    monkeypatch.setitem(sys.modules, "torch", None)
    assert only("device").state == "broken"  # and nothing was raised


def test_folders_that_are_full_or_cannot_be_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IMAGEN_BENCH_HOME", "/proc/imagen-bench")
    place = only("data folder")
    assert place.state == "broken"
    assert place.found.startswith("/proc/imagen-bench cannot be written")
    assert "IMAGEN_BENCH_HOME" in place.advice
    usage = type(shutil.disk_usage("/"))
    for free, state in ((1e8, "broken"), (2e9, "note"), (9e9, "ok")):
        monkeypatch.setattr(doctor.shutil, "disk_usage", lambda _, free=free: usage(10**12, 0, int(free)))
        place = only("run folders")
        assert (place.state, bool(place.advice)) == (state, state != "ok")


def test_altered_and_missing_weights_of_a_bundled_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = tmp_path / "models" / "toy"
    model.mkdir(parents=True)
    weights = model / "model.safetensors"
    weights.write_bytes(b"weights")
    digest = "9f649b9add3cb83c7f64dee3d0a2e1fa4d1b0ec0ed1c0ba6ce5bd3ed2d5ba2b5"
    (model / "config.toml").write_text(f'[weights_sha256]\n"model.safetensors" = "{digest}"\n')
    monkeypatch.setattr(doctor, "asset", lambda _: tmp_path / "models")
    assert only("model toy").state == "broken"
    assert only("model toy").expected == digest[:16] + "…"
    weights.unlink()
    assert only("model toy").found == "no file model.safetensors"


def test_fetched_weights_are_here_altered_or_missing() -> None:
    assert only("weights inception").state == "note"
    assert only("weights inception").advice == "imagen-bench weights pull inception"
    file = weights_folder() / "weights-inception-2015-12-05-6726825d.pth"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"not it")
    broken = only("weights inception")
    assert broken.state == "broken"
    assert "SHA-256" in broken.found


def test_wrong_arithmetic_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("imagen_bench.metrics.frechet.frechet_distance", lambda *_: 95.7)
    assert only("numbers").state == "broken"


def test_switches_of_offline_use_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in doctor.OFFLINE_SWITCHES:
        monkeypatch.delenv(name, raising=False)
    assert only("offline").state == "ok"
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("TRANSFORMERS_OFFLINE", "0")
    check: Any = only("offline")
    assert check.found.startswith("HF_HUB_OFFLINE set")
    assert check.state == "note"
