"""What a run was made with: library versions and a description of the machine, without personal data.

No host name, user name or absolute path of a home folder enters a run folder, so it can be published as it
is.
"""

from __future__ import annotations

import os
import platform
from importlib import metadata
from pathlib import Path
from typing import Any

LIBRARIES = (
    "torch",
    "torchvision",
    "transformers",
    "diffusers",
    "accelerate",
    "open_clip_torch",
    "numpy",
    "scipy",
    "pandas",
    "pyarrow",
    "pillow",
    "safetensors",
)


def package_version() -> str:
    """Return the version of imagen-bench, "0+unknown" in a checkout that is not installed."""
    return _version("imagen-bench") or "0+unknown"


def versions() -> dict[str, str]:
    """Return the versions of imagen-bench, Python and those libraries of `LIBRARIES` that are installed."""
    found = {"imagen-bench": package_version(), "python": platform.python_version()}
    found.update({name: version for name in LIBRARIES if (version := _version(name))})
    return found


def host_info() -> dict[str, Any]:
    """Return platform, CPU name, cores this process may use, and the GPU's name (or "cpu")."""
    import torch

    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"
    return {
        "platform": f"{platform.system()} {platform.machine()}",
        "cpu": cpu_name(),
        "cores": _usable_cores(),
        "device": device,
    }


def cpu_name(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """Return the processor's marketing name from Linux's cpuinfo, else the architecture."""
    if cpuinfo.is_file():
        for line in cpuinfo.read_text(errors="replace").splitlines():
            key, _, value = line.partition(":")
            if key.strip() == "model name" and value.strip():
                return " ".join(value.split())
    return platform.processor() or platform.machine() or "unknown"


def without_home(value: Any) -> Any:
    """Write paths below the user's home folder with "~", in every string of a JSON-able value."""
    return _map_strings(value, _hide_home)


def with_home(value: Any) -> Any:
    """Undo `without_home`: expand strings that start with "~/"."""
    return _map_strings(value, lambda text: str(Path(text).expanduser()) if text.startswith("~/") else text)


def _hide_home(text: str) -> str:
    home = str(Path("~").expanduser())
    if home in ("", "/") or not (text == home or text.startswith(home + os.sep)):
        return text
    return "~" + text[len(home) :]


def _map_strings(value: Any, change: Any) -> Any:
    if isinstance(value, str):
        return change(value)
    if isinstance(value, dict):
        return {key: _map_strings(item, change) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_map_strings(item, change) for item in value]
    return value


def _usable_cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _version(distribution: str) -> str | None:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None
