"""Fetching published weights once, with their SHA-256, and checking those that are here.

What is kept was verified first: against the digest that the catalogue pins, else against the one that the Hugging
Face hub states for the file. Where neither exists (DINOv2), the digest of the first download is recorded in
`digests.json` beside the files, and `verify` tells whether the file still is that one.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from imagen_bench.data.prompt_pull import download_to
from imagen_bench.errors import InputError
from imagen_bench.files import atomic_path, atomic_write_text, sha256_file
from imagen_bench.home import weights_folder
from imagen_bench.metrics.weights import CATALOGUE, Weights, find_weights

DIGESTS = "digests.json"
# CLIP ViT-L/14-336 has 1.7 GB.
MAX_BYTES = 4_000_000_000
TOTAL_SECONDS = 4 * 3600.0
_HUB_HOST = "huggingface.co"
_SHA256_DIGITS = 64
State = Literal["ready", "missing", "broken"]


@dataclass(frozen=True)
class WeightsStatus:
    """Some weights as they are on this machine.

    Attributes:
        name: Name in the catalogue.
        state: "ready", "missing" (not pulled yet) or "broken" (`problem` says why).
        used_by: Which metrics need them.
        licence: As their publisher states it.
        url: Where they come from.
        path: Where they lie, or would lie.
        sha256: Digest of the file that is here.
        pinned: Whether the catalogue holds the digest.
        problem: What is wrong with a broken file.
    """

    name: str
    state: State
    used_by: str
    licence: str
    url: str
    path: str
    sha256: str | None
    pinned: bool
    problem: str = ""


def status_of(name: str, folder: Path | None = None) -> WeightsStatus:
    """Check one entry of the catalogue; the file is read whole.

    Raises:
        ConfigError: No such entry.
    """
    entry, folder = find_weights(name), folder or weights_folder()
    path = folder / entry.file
    sha256, state, problem = None, "missing", ""
    if path.is_file():
        sha256, state = sha256_file(path), "ready"
        expected = entry.sha256 or _recorded(folder).get(entry.file)
        if expected is not None and sha256 != expected:
            state = "broken"
            source = "published" if entry.sha256 else "recorded when it was pulled"
            problem = (
                f"{str(path)!r} has SHA-256 {sha256[:16]}…, expected {expected[:16]}… ({source}): remove it and run "
                f"`imagen-bench weights pull {entry.name}`"
            )
    pinned = entry.sha256 is not None
    return WeightsStatus(entry.name, state, entry.used_by, entry.licence, entry.url, str(path), sha256, pinned, problem)  # type: ignore[arg-type]


def all_statuses(folder: Path | None = None) -> list[WeightsStatus]:
    """Check every entry of the catalogue."""
    return [status_of(name, folder) for name in CATALOGUE]


def pull(
    name: str,
    url: str | None = None,
    folder: Path | None = None,
    progress: Callable[[int], object] | None = None,
) -> WeightsStatus:
    """Download some weights, verify them and keep them; what is here and verified is not fetched again.

    Args:
        name: Name in the catalogue, or open_clip's name of one of its CLIP models.
        url: Another address, such as a mirror.
        folder: Where to keep them; by default `weights/` of the user's data folder.
        progress: Called with the number of bytes of each block.

    Raises:
        ConfigError: No such entry, or no web address.
        InputError: The download failed, or is not the published file.
    """
    entry, folder = find_weights(name), folder or weights_folder()
    before = status_of(entry.name, folder)
    if before.state == "ready":
        return before
    address = url or entry.url
    advice = f"or put a copy into {str(folder)!r} as {entry.file}"
    expected = entry.sha256 or _stated_by_hub(address, advice)
    with atomic_path(folder / entry.file) as temporary:
        with temporary.open("wb") as stream:
            download_to(
                stream,
                address,
                advice,
                total_seconds=TOTAL_SECONDS,
                max_bytes=entry.size or MAX_BYTES,
                progress=progress,
            )
        found = sha256_file(temporary)
        if expected is not None and found != expected:
            size = temporary.stat().st_size
            raise InputError(
                f"{address} answered with {size:,} bytes of SHA-256 {found[:16]}…, expected {_size(entry)}SHA-256 "
                f"{expected[:16]}…: nothing was kept; try again, {advice}"
            )
    _record(folder, entry.file, found)
    return status_of(entry.name, folder)


def _size(entry: Weights) -> str:
    return f"{entry.size:,} bytes of " if entry.size is not None else ""


def _stated_by_hub(url: str, advice: str) -> str | None:
    """Return the SHA-256 that the Hugging Face hub states for a file; None for other addresses."""
    if urlsplit(url).hostname != _HUB_HOST:
        return None
    from huggingface_hub import get_hf_file_metadata

    try:
        stated = get_hf_file_metadata(url).etag or ""
    except Exception as error:
        # The hub's client, its HTTP library and the network each raise their own.
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise InputError(f"cannot ask {_HUB_HOST} for {url}: {reason}; check the network, {advice}") from error
    if len(stated) != _SHA256_DIGITS:
        raise InputError(f"{_HUB_HOST} states no SHA-256 for {url} ({stated[:40]!r}): give another --url, {advice}")
    return stated


def _recorded(folder: Path) -> dict[str, str]:
    try:
        found = json.loads((folder / DIGESTS).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return {str(key): str(value) for key, value in found.items()} if isinstance(found, dict) else {}


def _record(folder: Path, file: str, sha256: str) -> None:
    digests = {**_recorded(folder), file: sha256}
    atomic_write_text(folder / DIGESTS, json.dumps(digests, indent=2, sort_keys=True) + "\n")
