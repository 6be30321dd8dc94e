"""Downloading one file: time and size are limited, and every failure is one line."""

from __future__ import annotations

import http.client
import io
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import BinaryIO
from urllib.parse import urlsplit

from imagen_bench.errors import ConfigError, InputError

# Seconds without an answer, seconds in all, and bytes; the largest set is 123 kB.
ANSWER_SECONDS = 20.0
TOTAL_SECONDS = 120.0
MAX_BYTES = 5_000_000
_BLOCK = 65_536
# Enough of an answer to tell a web page by.
_START = 512


def download(
    url: str,
    advice: str,
    *,
    answer_seconds: float = ANSWER_SECONDS,
    total_seconds: float = TOTAL_SECONDS,
    max_bytes: int = MAX_BYTES,
) -> bytes:
    """Return what lies at an address.

    Proxies are taken from the environment, as everywhere in Python.

    Args:
        url: An http or https address.
        advice: What to do instead, the end of the message where this fails.
        answer_seconds: How long the server may stay silent.
        total_seconds: How long the download may take.
        max_bytes: How long the answer may be.

    Raises:
        ConfigError: The address is no http or https address.
        InputError: No answer, an error of the server, a web page, or too slow, too large or cut short.
    """
    data = io.BytesIO()
    download_to(data, url, advice, answer_seconds=answer_seconds, total_seconds=total_seconds, max_bytes=max_bytes)
    return data.getvalue()


def download_to(
    target: BinaryIO,
    url: str,
    advice: str,
    *,
    answer_seconds: float = ANSWER_SECONDS,
    total_seconds: float,
    max_bytes: int,
    progress: Callable[[int], object] | None = None,
) -> None:
    """Write what lies at an address to an open file, block by block.

    Args:
        target: File open for writing bytes; on an error it holds a part.
        url: An http or https address.
        advice: What to do instead, the end of the message where this fails.
        answer_seconds: How long the server may stay silent.
        total_seconds: How long the download may take.
        max_bytes: How long the answer may be.
        progress: Called with the number of bytes of each block.

    Raises:
        ConfigError: The address is no http or https address.
        InputError: No answer, an error of the server, a web page, or too slow, too large or cut short.
    """
    if not _is_web_address(url):
        raise ConfigError(f"cannot download from {url!r}: expected an address that starts with https://, {advice}")
    end = time.monotonic() + total_seconds
    request = urllib.request.Request(url, headers={"User-Agent": "imagen-bench"})
    try:
        with urllib.request.urlopen(request, timeout=answer_seconds) as answer:
            start = _copy(answer, target, end, max_bytes, progress)
    except urllib.error.HTTPError as error:
        error.close()
        raise InputError(f"{url} answered {error.code} {error.reason}; try again later, {advice}") from error
    except (OSError, http.client.HTTPException, UnicodeError) as error:
        reason = getattr(error, "reason", None) or str(error) or type(error).__name__
        raise InputError(f"cannot download {url}: {reason}; check the network, {advice}") from error
    except _LimitError as error:
        raise InputError(f"cannot download {url}: {error}; try again later, {advice}") from error
    if start.lstrip()[:9].lower().startswith((b"<!doctype", b"<html")):
        raise InputError(
            f"{url} answered with a web page, perhaps a sign-in, not with the file; check the address, {advice}"
        )


def _is_web_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname)


class _LimitError(Exception):
    """The answer is too slow, too long or too short."""


def _copy(
    answer: http.client.HTTPResponse,
    target: BinaryIO,
    end: float,
    max_bytes: int,
    progress: Callable[[int], object] | None,
) -> bytes:
    """Copy an answer to a file and return its first block."""
    announced = answer.headers.get("Content-Length", "")
    start, length = b"", 0
    # read1 returns what has come, so that a server that trickles cannot outlast `end`.
    while block := answer.read1(_BLOCK):
        start = start if len(start) >= _START else start + block
        length += len(block)
        if length > max_bytes:
            raise _LimitError(f"the answer is longer than {max_bytes:,} bytes")
        if time.monotonic() > end:
            raise _LimitError(f"after {length:,} bytes the time was up")
        target.write(block)
        if progress is not None:
            progress(len(block))
    if announced.isdecimal() and length < int(announced):
        raise _LimitError(f"the answer ended after {length:,} of {int(announced):,} bytes")
    return start
