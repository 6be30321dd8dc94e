"""Downloads against a local HTTP server that misbehaves in each way that servers do."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest

from imagen_bench.data import prompt_store
from imagen_bench.data.prompt_check import CopyDiffersError
from imagen_bench.data.prompt_pull import download
from imagen_bench.errors import ConfigError, InputError

SHEET = """"Prompts","Category","Challenge"
"A cat's meow.","Zoo","Sound"
"Two öxen, one red.","Zoo","Colour"
"\""Hello"", in oil.","Art",""
"A collection of nail is here.","Art","Style"
"An etching of rain.","Art","Style"
""".replace('\\"', '"').encode()


class Handler(BaseHTTPRequestHandler):
    released: ClassVar[threading.Event]

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path in ("/sheet", "/sheet.csv"):
            self.answer(SHEET)
        elif path == "/other":
            self.answer(SHEET.replace(b"rain", b"snow"))
        elif path == "/login":
            self.answer(b"\n<!DOCTYPE html><html>sign in</html>")
        elif path == "/moved":
            self.send_response(302)
            self.send_header("Location", "/sheet")
            self.end_headers()
        elif path == "/cut":
            self.answer(SHEET, announced=len(SHEET) + 10)
        elif path == "/silent":
            self.released.wait(10)
        elif path == "/trickle":
            self.send_response(200)
            self.end_headers()
            while not self.released.wait(0.02):
                self.wfile.write(b"x")
        else:
            self.send_error(404)

    def answer(self, data: bytes, announced: int | None = None) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(announced or len(data)))
        self.end_headers()
        self.wfile.write(data)

    def handle(self) -> None:
        with suppress(ConnectionError):
            super().handle()

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    Handler.released = threading.Event()
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield f"http://127.0.0.1:{http.server_port}"
        Handler.released.set()
        http.shutdown()
        thread.join()


def test_the_answer_comes_as_it_is_and_redirects_are_followed(server: str) -> None:
    assert download(f"{server}/sheet", "stop") == SHEET
    assert download(f"{server}/moved", "stop") == SHEET


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("/none", r"/none answered 404 Not Found; try again later, or stop"),
        ("/login", r"answered with a web page"),
        ("/cut", r"the answer ended after \d+ of \d+ bytes"),
        ("/sheet", r"the answer is longer than 100 bytes"),
        ("/silent", r"cannot download .*timed out"),
        ("/trickle", r"after \d+ bytes the time was up"),
    ],
)
def test_every_failure_is_one_line_that_says_what_to_do(server: str, path: str, message: str) -> None:
    limit = 100 if path == "/sheet" else 5000
    # Only what has to time out gets little time: a busy machine may keep any answer waiting.
    answer_seconds = 0.3 if path == "/silent" else 20.0
    total_seconds = 0.5 if path in ("/silent", "/trickle") else 20.0
    url = f"{server}{path}"
    start = time.monotonic()
    with pytest.raises(InputError, match=message) as caught:
        download(url, "or stop", answer_seconds=answer_seconds, total_seconds=total_seconds, max_bytes=limit)
    assert time.monotonic() - start < 15
    assert str(caught.value).endswith("or stop")
    assert "\n" not in str(caught.value)


def test_nobody_listening_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        with pytest.raises(InputError, match=rf"cannot download http://127\.0\.0\.1:{port}/: .*check the network"):
            download(f"http://127.0.0.1:{port}/", "or stop", answer_seconds=2)


@pytest.mark.parametrize(
    "url", ["file:///etc/hostname", "ftp://host/a", "sheet.csv", "https://", "http:///a", "https://[::1"]
)
def test_other_addresses_are_refused(url: str) -> None:
    with pytest.raises(ConfigError, match="expected an address that starts with https://"):
        download(url, "or stop")


@pytest.mark.usefixtures("fetched_set")
@pytest.mark.parametrize("path", ["/sheet?tqx=out:csv", "/sheet.csv", "/moved"])
def test_pull_verifies_and_keeps(server: str, path: str) -> None:
    found = prompt_store.pull("toy", f"{server}{path}")
    assert prompt_store.load_stored("toy") == found
    assert len(found) == 5


@pytest.mark.usefixtures("fetched_set")
def test_pull_of_another_text_names_the_address_and_stores_nothing(server: str, tmp_path: Path) -> None:
    with pytest.raises(CopyDiffersError) as caught:
        prompt_store.pull("toy", f"{server}/other")
    message = str(caught.value)
    assert message.startswith(f"{server}/other is not toy: 4 of 5 rows agree")
    assert message.endswith("nothing was stored; give another address with --url, or read a copy of yours with "
                            "`imagen-bench prompts add toy FILE`")  # fmt: skip
    assert caught.value.differences == ("row 5 (Art, art-3) is changed in line 6: found 'An etching of snow.' (Art)",)
    assert not (tmp_path / "home").exists()


@pytest.mark.usefixtures("fetched_set")
def test_pull_of_a_file_in_the_wrong_format_names_the_address(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prompt_store, "download", lambda url, advice: b"no,table\n1,2\n")
    with pytest.raises(
        InputError, match=r"^https://toy\.invalid/toy, line 1: no column 'prompt'.* prompts add toy FILE`"
    ):
        prompt_store.pull("toy")


def test_an_address_that_is_no_ascii_is_one_line() -> None:
    with pytest.raises(InputError, match="cannot download http://127"):
        download("http://127.0.0.1:1/ö", "or stop")


@pytest.mark.network
@pytest.mark.skipif("IMAGEN_BENCH_TEST_NETWORK" not in os.environ, reason="set IMAGEN_BENCH_TEST_NETWORK to ask them")
@pytest.mark.parametrize("name", prompt_store.OUTSIDE_SETS)
def test_the_publishers_still_have_the_sets(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IMAGEN_BENCH_HOME", str(tmp_path))
    assert len(prompt_store.pull(name)) == prompt_store.outside_definition(name).prompts
