"""A server that answers like OpenAI's images endpoint, or badly, by what the prompt asks for."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from PIL import Image

KEY = "sk-test-0123456789"


class Endpoint(ThreadingHTTPServer):
    """Keeps the requests that it got, and how many run at once; answers none before `expected_at_once` have met."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.bodies: list[dict[str, Any]] = []
        self.starts: list[float] = []
        self.headers_seen: list[tuple[str, str | None]] = []
        self.at_once = self.most_at_once = 0
        self.expected_at_once = 1
        self.lock = threading.Condition()

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"

    def tries_of(self, prompt: str) -> int:
        return sum(body["prompt"] == prompt for body in self.bodies)


class Handler(BaseHTTPRequestHandler):
    server: Endpoint

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        with self.server.lock:
            self.server.bodies.append(body)
            self.server.starts.append(time.monotonic())
            self.server.headers_seen.append((self.path, self.headers.get("authorization")))
            self.server.at_once += 1
            self.server.most_at_once = max(self.server.most_at_once, self.server.at_once)
            self.server.lock.notify_all()
            self.server.lock.wait_for(lambda: self.server.most_at_once >= self.server.expected_at_once, timeout=30)
        try:
            self._answer(body, self.server.tries_of(body["prompt"]))
        except (BrokenPipeError, ConnectionResetError):
            pass
        finally:
            with self.server.lock:
                self.server.at_once -= 1

    def do_GET(self) -> None:
        self.server.headers_seen.append((self.path, self.headers.get("authorization")))
        self._send(200, picture("by address", "64x48"), "image/png")

    def log_message(self, format: str, *args: object) -> None:
        pass

    def _answer(self, body: dict[str, Any], tries: int) -> None:
        prompt = body["prompt"]
        if prompt == "slow":
            time.sleep(1.0)
        if prompt == "half json":
            self._send(200, b'{"data": [', "application/json")
        elif prompt == "huge":
            self._send(200, b"x" * 3_000_000, "application/json")
        elif prompt == "address":
            self._json(200, {"data": [{"url": f"{self.server.base_url}/files/1.png"}]})
        elif prompt in FAILURES and tries <= FAILURES[prompt][0]:
            self._json(*FAILURES[prompt][1:])
        else:
            self._json(200, drawn(picture(prompt, body["size"])))

    def _json(self, status: int, answer: object, retry_after: str | None = None) -> None:
        self._send(status, json.dumps(answer).encode(), "application/json", retry_after)

    def _send(self, status: int, content: bytes, kind: str, retry_after: str | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        if retry_after is not None:
            self.send_header("Retry-After", retry_after)
        self.end_headers()
        self.wfile.write(content)


def drawn(content: bytes) -> dict[str, Any]:
    return {"data": [{"b64_json": base64.b64encode(content).decode()}]}


def color_of(text: str) -> tuple[int, int, int]:
    red, green, blue = hashlib.sha256(text.encode()).digest()[:3]
    return red, green, blue


def picture(text: str, size: str) -> bytes:
    width, height = map(int, size.split("x"))
    buffer = io.BytesIO()
    Image.new("RGB", (width, height), color_of(text)).save(buffer, "PNG")
    return buffer.getvalue()


ALWAYS = 1000
# Prompt -> how many times it fails, status, answer, Retry-After.
FAILURES: dict[str, tuple[Any, ...]] = {
    "busy": (2, 429, {"error": {"code": "rate_limit_exceeded", "message": "slow down"}}, "0"),
    "broken once": (1, 500, {"error": {"message": "oops"}}),
    "always broken": (ALWAYS, 503, {"error": {"message": f"down, {KEY} in the message"}}),
    "wait for days": (ALWAYS, 429, {"error": {"message": "tomorrow"}}, "86400"),
    "no credit": (ALWAYS, 429, {"error": {"code": "insufficient_quota", "message": "pay"}}),
    "wrong key": (ALWAYS, 401, {"error": {"code": "invalid_api_key", "message": f"bad key {KEY}"}}),
    "forbidden": (ALWAYS, 400, {"error": {"code": "moderation_blocked", "message": "rejected by the safety system"}}),
    "no image": (ALWAYS, 200, {"created": 1}),
    "text": (ALWAYS, 200, drawn(b"<html>")),
    "not base64": (ALWAYS, 200, {"data": [{"b64_json": "!!!"}]}),
    "other size": (ALWAYS, 200, drawn(picture("x", "32x32"))),
    "foreign address": (ALWAYS, 200, {"data": [{"url": "http://169.254.169.254/latest/meta-data"}]}),
}


@contextmanager
def serving() -> Iterator[Endpoint]:
    """Run a server on a free port of this machine."""
    server = Endpoint()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
