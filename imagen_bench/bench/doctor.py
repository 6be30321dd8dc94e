"""What works on this machine and what is missing: each check is one line of found, expected and what to do."""

from __future__ import annotations

import os
import platform
import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module, metadata
from pathlib import Path
from typing import Literal

from imagen_bench.assets import asset
from imagen_bench.bench.provenance import cpu_name
from imagen_bench.config import read_toml
from imagen_bench.errors import ImagenBenchError
from imagen_bench.files import sha256_file
from imagen_bench.home import VARIABLE, data_home

State = Literal["ok", "note", "broken"]
DISTRIBUTION = "imagen-bench"
OFFLINE_SWITCHES = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_DATASETS_OFFLINE")
# Below the first, nothing can be written safely; below the second, a run of thousands of images does not fit.
_NO_SPACE_GB, _LITTLE_SPACE_GB = 0.2, 5.0
# Libraries whose compiled parts may not fit each other although their versions do.
_LOADED = ("torch", "torchvision", "transformers", "open_clip", "pyarrow", "scipy")
_REQUIREMENT = re.compile(r"^([A-Za-z0-9._-]+)\s*(?:>=\s*([0-9][0-9.]*))?[^;]*(?:;\s*extra\s*==\s*[\"']([\w-]+)[\"'])?")


@dataclass(frozen=True)
class Check:
    """One thing that was looked at.

    Attributes:
        name: What.
        state: "ok"; "note" for what only some uses need; "broken" for what every use needs.
        found: What is there.
        expected: What should be, where that is not obvious.
        advice: What to do; empty where nothing is to be done.
    """

    name: str
    state: State
    found: str
    expected: str = ""
    advice: str = ""


@dataclass(frozen=True)
class Requirement:
    """A package that imagen-bench needs: the lowest version, and the extra that it belongs to ("" for all uses)."""

    name: str
    least: str
    extra: str = ""

    @property
    def words(self) -> str:
        """As pip takes it."""
        return f"{self.name}>={self.least}" if self.least else self.name


def run_checks() -> list[Check]:
    """Look at everything; a check that fails in an unforeseen way is broken, and the others go on.

    Nothing is downloaded, and nothing written besides an empty file that is removed again.
    """
    checks: list[Check] = []
    for look in (_python, _packages, _libraries, _extras, _device, _numbers, _places, _bundled, _weights, _offline):
        try:
            checks += look()
        except Exception as error:
            name = look.__name__.strip("_")
            checks.append(Check(name, "broken", _line(error), advice="reinstall: pip install --force-reinstall"))
    return checks


def requirements(distribution: str = DISTRIBUTION) -> list[Requirement]:
    """Return what a distribution requires, as its own metadata says; nothing where it is not installed."""
    try:
        lines = metadata.requires(distribution) or []
    except metadata.PackageNotFoundError:
        return []
    found = [_REQUIREMENT.match(line) for line in lines]
    return [Requirement(match[1], match[2] or "", match[3] or "") for match in found if match]


def _python() -> Iterator[Check]:
    try:
        wanted = metadata.metadata(DISTRIBUTION)["Requires-Python"] or ">=3.11"
    except metadata.PackageNotFoundError:
        wanted = ">=3.11"
    enough = _release(platform.python_version()) >= _release(wanted)
    advice = "" if enough else "install a newer Python, and imagen-bench in a virtual environment of it"
    yield Check("python", "ok" if enough else "broken", platform.python_version(), wanted, advice)


def _packages() -> Iterator[Check]:
    needed = [requirement for requirement in requirements() if not requirement.extra]
    if not needed:
        advice = "pip install imagen-bench"
        yield Check("packages", "note", "imagen-bench runs from a folder and is not installed", "installed", advice)
        return
    lacking = list(_lacking(needed))
    for requirement, found in lacking:
        yield Check("packages", "broken", found, requirement.words, f"pip install '{requirement.words}'")
    if not lacking:
        yield Check("packages", "ok", f"{len(needed)} required packages, all within their bounds")


def _lacking(needed: Iterable[Requirement]) -> Iterator[tuple[Requirement, str]]:
    """Yield packages that are missing or too old, with what is there."""
    for requirement in needed:
        try:
            version = metadata.version(requirement.name)
        except metadata.PackageNotFoundError:
            yield requirement, f"no {requirement.name}"
            continue
        if requirement.least and _release(version) < _release(requirement.least):
            yield requirement, f"{requirement.name} {version}"


def _libraries() -> Iterator[Check]:
    versions = []
    for name in _LOADED:
        try:
            versions.append(f"{name} {getattr(import_module(name), '__version__', '')}".strip())
        except Exception as error:
            advice = "install torch and torchvision from one index, or reinstall the package that fails"
            yield Check("libraries", "broken", f"{name} does not load: {_line(error)}", "loads", advice)
    if versions:
        yield Check("libraries", "ok", ", ".join(versions))


def _extras() -> Iterator[Check]:
    extras: dict[str, list[Requirement]] = {}
    for requirement in requirements():
        if requirement.extra and requirement.extra != "dev":
            extras.setdefault(requirement.extra, []).append(requirement)
    for extra, needed in extras.items():
        lacking = list(_lacking(needed))
        if lacking:
            wanted = ", ".join(requirement.words for requirement, _ in lacking)
            found = "; ".join(words for _, words in lacking)
            yield Check(f"extra {extra}", "note", found, wanted, f"pip install 'imagen-bench[{extra}]'")
        else:
            yield Check(f"extra {extra}", "ok", ", ".join(requirement.name for requirement in needed))


def _device() -> Iterator[Check]:
    import torch

    threads = f"{torch.get_num_threads()} threads of torch, {os.cpu_count()} cores, {cpu_name()}"
    yield Check("processor", "ok", threads)
    if not torch.cuda.is_available():
        advice = "for a GPU: its driver, and a build of torch for it (https://pytorch.org/get-started)"
        yield Check("gpu", "note", "none that torch can use; everything runs on the processor", advice=advice)
        return
    for place in range(torch.cuda.device_count()):
        facts = torch.cuda.get_device_properties(place)
        yield Check("gpu", "ok", f"cuda:{place} {facts.name}, {facts.total_memory / 1e9:.0f} GB")


def _numbers() -> Iterator[Check]:
    """Compare a distance with its closed form: what an optimised library gets wrong, scores would too."""
    import numpy as np

    from imagen_bench.metrics.frechet import frechet_distance

    size = 64
    scales = np.linspace(1.0, 4.0, size)
    rotation = np.linalg.qr(np.random.default_rng(0).standard_normal((size, size)))[0]
    first, second = rotation @ np.diag(scales) @ rotation.T, rotation @ np.diag(scales**2) @ rotation.T
    expected = size * 0.25 + float(((np.sqrt(scales) - scales) ** 2).sum())
    found = frechet_distance(np.zeros(size), first, np.full(size, 0.5), second)
    right = abs(found - expected) < 1e-9 * expected
    advice = "" if right else "reinstall numpy and scipy from PyPI, and run the check again"
    said = "a Fréchet distance in 64 dimensions equals its closed form" if right else f"Fréchet distance {found:.9f}"
    yield Check("numbers", "ok" if right else "broken", said, f"{expected:.9f}", advice)


def _places() -> Iterator[Check]:
    yield from _place("data folder", data_home(), f"set {VARIABLE} to a folder that can be written and has room")
    yield from _place("run folders", Path.cwd(), "give a folder that can be written and has room as --out")


def _place(name: str, folder: Path, advice: str) -> Iterator[Check]:
    """Check that a folder can be written, or made, and how much fits into it."""
    there = next((place for place in (folder, *folder.parents) if place.exists()), Path("/"))
    try:
        with tempfile.NamedTemporaryFile(dir=there, prefix=".imagen-bench-"):
            pass
    except OSError as error:
        yield Check(name, "broken", f"{folder} cannot be written ({error.strerror})", "writable", advice)
        return
    free = shutil.disk_usage(there).free / 1e9
    state: State = "broken" if free < _NO_SPACE_GB else "note" if free < _LITTLE_SPACE_GB else "ok"
    told = "" if state == "ok" else advice
    yield Check(name, state, f"{folder}, {free:.1f} GB free", f"{_LITTLE_SPACE_GB:g} GB or more", told)


def _bundled() -> Iterator[Check]:
    """Compare the files of the bundled models with the digests in their config.toml."""
    for config in sorted(asset("models").glob("*/config.toml")):
        pinned = read_toml(config).get("weights_sha256")
        if isinstance(pinned, Mapping):
            yield _model(config.parent, {str(name): str(digest) for name, digest in pinned.items()})


def _model(folder: Path, pinned: Mapping[str, str]) -> Check:
    name, reinstall = f"model {folder.name}", "install imagen-bench again"
    for part, digest in pinned.items():
        if not (folder / part).is_file():
            return Check(name, "broken", f"no file {part}", digest[:16] + "…", reinstall)
        found = sha256_file(folder / part)
        if found != digest:
            return Check(name, "broken", f"{part} has SHA-256 {found[:16]}…", digest[:16] + "…", reinstall)
    return Check(name, "ok", f"{len(pinned)} files of weights have their published digests")


def _weights() -> Iterator[Check]:
    from imagen_bench.metrics.weights_pull import all_statuses

    for status in all_statuses():
        pull = f"imagen-bench weights pull {status.name}"
        if status.state == "missing":
            yield Check(f"weights {status.name}", "note", f"not here; for {status.used_by}", advice=pull)
        elif status.state == "broken":
            yield Check(f"weights {status.name}", "broken", status.problem, advice=f"remove the file, then {pull}")
        else:
            yield Check(f"weights {status.name}", "ok", f"{status.path}, SHA-256 {(status.sha256 or '')[:16]}…")


def _offline() -> Iterator[Check]:
    on = [name for name in OFFLINE_SWITCHES if os.environ.get(name, "").lower() not in ("", "0", "false", "no", "off")]
    if on:
        advice = "unset them before `pull` commands" if len(on) > 1 else "unset it before `pull` commands"
        yield Check("offline", "note", f"{', '.join(on)} set: the Hugging Face libraries fetch nothing", advice=advice)
    else:
        yield Check("offline", "ok", "no switch is set; only `pull` and --download use the network all the same")


def _release(version: str) -> tuple[int, ...]:
    """Return the numbers of a version: (2, 5) of ">=2.5", (2, 5, 1) of "2.5.1+cpu"; trailing zeros do not count."""
    match = re.search(r"\d+(?:\.\d+)*", version)
    numbers = [int(part) for part in match[0].split(".")] if match else []
    while numbers and not numbers[-1]:
        numbers.pop()
    return tuple(numbers)


def _line(error: BaseException) -> str:
    said = " ".join(str(error).split())[:200]
    return said if isinstance(error, ImagenBenchError) else f"{type(error).__name__}: {said}"
