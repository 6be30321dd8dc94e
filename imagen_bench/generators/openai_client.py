"""Requests to an images endpoint: rate limit, retries with back-off, size limits, refusals told from failures.

The key goes into the Authorization header of requests to the endpoint alone: images behind an address are fetched
without it, from the same host or by https, and no redirect is followed.
"""

from __future__ import annotations

import base64
import binascii
import email.utils
import json
import random
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from imagen_bench.errors import ImagenBenchError, ModelError

if TYPE_CHECKING:
    import httpx

INSTALL = "pip install 'imagen-bench[endpoint]'"
FIRST_WAIT, LONGEST_WAIT = 1.0, 60.0
"""Seconds before the first retry, doubled for each further one, up to the second number."""

LONGEST_ASKED = 600.0
"""A Retry-After beyond this is an error and no wait."""

_TRANSIENT = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 520, 522, 524, 529})
_REFUSALS = ("content_policy_violation", "moderation_blocked", "content_filter", "responsibleaipolicyviolation")
_OUT_OF_MONEY = ("insufficient_quota", "billing_hard_limit_reached")
_SHOWN = 200


class Refused(ImagenBenchError):
    """The service declines to draw a prompt; the message is its reason."""


class _TryAgainError(Exception):
    """A failure that may pass.

    Attributes:
        wait: Seconds that the service asks to wait for, if it does.
    """

    def __init__(self, what: str, wait: float | None = None) -> None:
        super().__init__(what)
        self.wait = wait


@dataclass(frozen=True)
class Limits:
    """Bounds of a client.

    Attributes:
        retries: Further tries of a request after a failure that may pass.
        timeout: Seconds for an answer.
        requests_per_minute: None for no limit.
        max_bytes: Largest image or answer in bytes.
    """

    retries: int
    timeout: float
    requests_per_minute: float | None
    max_bytes: int


class ImagesClient:
    """A client of `<base_url>/images/generations`; its methods may be called from several threads.

    Args:
        base_url: Address of the API.
        key: Bearer token, or None.
        limits: Retries, times and sizes.

    Raises:
        ModelError: httpx is not installed.
    """

    def __init__(self, base_url: str, key: str | None, limits: Limits) -> None:
        try:
            import httpx
        except ImportError as error:
            raise ModelError(f"the generator 'openai-images' needs httpx ({error}): {INSTALL}") from error
        self._httpx, self._limits, self._key = httpx, limits, key
        self._url = f"{base_url}/images/generations"
        self._client = httpx.Client(timeout=limits.timeout, follow_redirects=False)
        self._lock = threading.Lock()
        self._next_start = 0.0
        self._counts = {"requests": 0, "retries": 0}

    def counts(self) -> dict[str, int]:
        """Requests and retries so far."""
        with self._lock:
            return dict(self._counts)

    def image(self, body: Mapping[str, Any]) -> bytes:
        """Request one image.

        Returns:
            The content of an image file.

        Raises:
            Refused: The service declines the prompt.
            ModelError: It failed for good, or its answer holds no image.
        """
        attempt = 0
        while True:
            self._wait_for_turn(attempt)
            try:
                return self._image_of(self._post(body))
            except _TryAgainError as failure:
                if attempt == self._limits.retries:
                    raise ModelError(f"{self._url} failed {attempt + 1} times: {failure}; try again later") from failure
                time.sleep(_waiting_time(attempt, failure.wait))
                attempt += 1

    def _wait_for_turn(self, attempt: int) -> None:
        """Count a request, and start it no sooner than the rate limit allows."""
        with self._lock:
            self._counts["requests"] += 1
            self._counts["retries"] += attempt > 0
            now = time.monotonic()
            start = max(now, self._next_start)
            if self._limits.requests_per_minute is not None:
                self._next_start = start + 60.0 / self._limits.requests_per_minute
        if start > now:
            time.sleep(start - now)

    def _post(self, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """The answer to a request.

        Raises:
            _TryAgainError: A failure that may pass.
            Refused: The service declines the prompt.
            ModelError: Any other failure.
        """
        headers = {"Authorization": f"Bearer {self._key}"} if self._key else {}
        status, got, content = self._read("POST", self._url, json=dict(body), headers=headers)
        if status == 200:
            try:
                answer = json.loads(content)
            except ValueError as error:
                raise _TryAgainError(f"the answer is not JSON ({content[:40]!r})") from error
            if isinstance(answer, dict):
                return answer
            raise _TryAgainError(f"the answer is a {type(answer).__name__}, expected an object")
        code, message = _error_of(content)
        said = self._without_key(f"HTTP {status}: {message or code or 'no reason given'}")
        if status in (400, 403, 422) and (code.lower() in _REFUSALS or "content policy" in message.lower()):
            raise Refused(self._without_key(message or code))
        if code in _OUT_OF_MONEY:
            raise ModelError(f"{self._url} says that the account has no credit left ({said}); add some and continue")
        if status in _TRANSIENT:
            raise _TryAgainError(said, _retry_after(got))
        hint = "check the key" if status in (401, 403) else "check base_url, model and the other options"
        raise ModelError(f"{self._url} answered {said}; {hint}")

    def _image_of(self, answer: Mapping[str, Any]) -> bytes:
        data = answer.get("data")
        entry = data[0] if isinstance(data, list) and data else None
        if not isinstance(entry, dict):
            raise _TryAgainError(f"the answer holds no image (keys: {', '.join(map(str, answer)) or 'none'})")
        if isinstance(entry.get("b64_json"), str):
            try:
                return base64.b64decode(entry["b64_json"], validate=True)
            except binascii.Error as error:
                raise ModelError(f"{self._url} sent an image that is not base64 ({error})") from error
        if isinstance(entry.get("url"), str):
            return self._fetch(entry["url"])
        raise ModelError(f"{self._url} sent an image as {', '.join(entry) or 'nothing'}, expected b64_json or url")

    def _fetch(self, url: str) -> bytes:
        """The image behind an address: by https, or from the endpoint's own host."""
        there, here = urlsplit(url), urlsplit(self._url)
        if there.scheme != "https" and (there.scheme, there.netloc) != (here.scheme, here.netloc):
            raise ModelError(
                f"{self._url} points to {url[:_SHOWN]!r}, expected https or its own host; it is not fetched"
            )
        status, _, content = self._read("GET", url)
        if status != 200:
            raise _TryAgainError(f"the image's address answered HTTP {status}")
        return content

    def _read(self, method: str, url: str, **request: Any) -> tuple[int, httpx.Headers, bytes]:
        """Status, headers and content of an answer of limited size, within a time limit for the whole of it."""
        deadline = time.monotonic() + self._limits.timeout
        try:
            with self._client.stream(method, url, **request) as response:
                content = bytearray()
                for piece in response.iter_bytes():
                    content += piece
                    if len(content) > self._limits.max_bytes:
                        raise ModelError(
                            f"{url[:_SHOWN]} sent more than {self._limits.max_bytes / 1e6:g} MB; raise "
                            "options.max_megabytes if that is right"
                        )
                    if time.monotonic() > deadline:
                        raise _TryAgainError(f"no whole answer within {self._limits.timeout:g} s")
                return response.status_code, response.headers, bytes(content)
        except self._httpx.TimeoutException as error:
            raise _TryAgainError(f"no answer within {self._limits.timeout:g} s") from error
        except (self._httpx.HTTPError, self._httpx.InvalidURL) as error:
            raise _TryAgainError(self._without_key(f"{type(error).__name__}: {error}")) from error

    def _without_key(self, text: str) -> str:
        shown = text.replace(self._key, "***") if self._key else text
        return " ".join(shown.split())[:_SHOWN]


def _waiting_time(attempt: int, asked: float | None) -> float:
    """Seconds before the next try: what the service asks for, else doubling with some chance in it."""
    if asked is not None:
        if asked > LONGEST_ASKED:
            raise ModelError(f"the service asks to wait for {asked:.0f} s; run the same command again later")
        return asked
    wait: float = min(LONGEST_WAIT, FIRST_WAIT * 2.0**attempt)
    return wait * (0.5 + random.random() / 2)


def _retry_after(headers: httpx.Headers) -> float | None:
    """Seconds of a Retry-After header: a number, or a date."""
    text = headers.get("retry-after", "")
    try:
        return max(0.0, float(text))
    except ValueError:
        pass
    try:
        return max(0.0, email.utils.parsedate_to_datetime(text).timestamp() - time.time())
    except (ValueError, TypeError):
        return None


def _error_of(content: bytes) -> tuple[str, str]:
    """Code and message of an error answer; empty where it has none."""
    try:
        error = json.loads(content)["error"]
    except (ValueError, KeyError, TypeError):
        return "", content[:_SHOWN].decode("utf-8", "replace").strip()
    if not isinstance(error, dict):
        return "", str(error)
    return str(error.get("code") or error.get("type") or ""), str(error.get("message") or "")
