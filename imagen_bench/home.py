"""Where imagen-bench keeps what a user fetched: the user's data folder, never the package."""

from __future__ import annotations

import os
import sys
from pathlib import Path

VARIABLE = "IMAGEN_BENCH_HOME"
_FOLDER = "imagen-bench"


def data_home() -> Path:
    """Return the user's data folder; it need not exist yet.

    `IMAGEN_BENCH_HOME` names it. Where that is unset or empty, it is the platform's usual place:
    `$XDG_DATA_HOME/imagen-bench` or `~/.local/share/imagen-bench` on Linux, `~/Library/Application
    Support/imagen-bench` on macOS, a folder below `%LOCALAPPDATA%` on Windows.
    """
    chosen = os.environ.get(VARIABLE)
    if chosen:
        return Path(chosen).expanduser().absolute()
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / _FOLDER
    if sys.platform == "win32":
        local = os.environ.get("LOCALAPPDATA")
        return (Path(local) if local else Path.home() / "AppData" / "Local") / _FOLDER
    shared = Path(os.environ.get("XDG_DATA_HOME", ""))
    # The XDG specification: a relative path is ignored.
    return (shared if shared.is_absolute() else Path.home() / ".local" / "share") / _FOLDER


def weights_folder() -> Path:
    """Return the folder of downloaded weights inside the user's data folder; it need not exist yet."""
    return data_home() / "weights"


def text_cache_folder() -> Path:
    """Return the folder of embedded prompts inside the user's data folder; it need not exist yet."""
    return data_home() / "cache" / "texts"
