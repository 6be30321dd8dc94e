"""Weights from a local HTTP server: verified before they are kept, found where they lie, named when missing."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from imagen_bench.errors import ConfigError, InputError, ModelError
from imagen_bench.metrics import weights, weights_pull
from imagen_bench.metrics.feature_spaces import SpaceOptions, open_spaces
from imagen_bench.metrics.weights import CATALOGUE, WeightsPlaces, find_weights, locate_weights
from imagen_bench.metrics.weights_pull import all_statuses, pull, status_of

CONTENT = b"weights" * 10_000
DIGEST = hashlib.sha256(CONTENT).hexdigest()


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        data = {"/good": CONTENT, "/other": CONTENT[:-1] + b"x", "/longer": CONTENT + b"x"}.get(self.path)
        if data is None:
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        return


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        thread = threading.Thread(target=running.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{running.server_address[1]}"
        running.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def home(tmp_path: Path, server: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty data folder; "inception" is the server's good file, pinned, and "dinov2-vitl14" is not pinned."""
    monkeypatch.setenv("IMAGEN_BENCH_HOME", str(tmp_path))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    entries = dict(CATALOGUE)
    entries["inception"] = replace(entries["inception"], url=f"{server}/good", sha256=DIGEST, size=len(CONTENT))
    entries["dinov2-vitl14"] = replace(entries["dinov2-vitl14"], url=f"{server}/other")
    monkeypatch.setattr(weights, "CATALOGUE", entries)
    monkeypatch.setattr(weights_pull, "CATALOGUE", entries)
    return tmp_path


def test_pulled_once_verified_and_found(home: Path) -> None:
    blocks: list[int] = []
    status = pull("inception", progress=blocks.append)
    assert (status.state, status.sha256, status.pinned) == ("ready", DIGEST, True)
    assert sum(blocks) == len(CONTENT)
    path = locate_weights("inception")
    assert path == home / "weights" / "weights-inception-2015-12-05-6726825d.pth"
    assert path.read_bytes() == CONTENT
    assert pull("inception", url="http://127.0.0.1:1/none").state == "ready"


@pytest.mark.parametrize(
    ("page", "said"),
    [
        ("other", "expected 70,000 bytes of SHA-256"),
        ("longer", "longer than 70,000 bytes"),
        ("missing", "answered 404"),
    ],
)
def test_what_is_not_the_published_file_is_not_kept(home: Path, server: str, page: str, said: str) -> None:
    with pytest.raises(InputError, match=said) as caught:
        pull("inception", url=f"{server}/{page}")
    assert "or put a copy into" in str(caught.value)
    assert not list((home / "weights").glob("*.pth"))


def test_without_a_published_digest_the_first_is_recorded() -> None:
    first = pull("dinov2-vitl14")
    assert (first.state, first.pinned) == ("ready", False)
    Path(first.path).write_bytes(b"altered")
    later = status_of("dinov2-vitl14")
    assert later.state == "broken"
    assert "recorded when it was pulled" in later.problem
    assert {status.state for status in all_statuses()} == {"missing", "broken"}


def test_missing_weights_name_the_command() -> None:
    with pytest.raises(ModelError, match="run `imagen-bench weights pull inception`, or give a file with --weights"):
        open_spaces(["inception"], SpaceOptions(device="cpu"))


def test_altered_file_in_the_folder_is_refused_but_a_named_one_is_taken(home: Path, tmp_path: Path) -> None:
    file = tmp_path / "weights" / CATALOGUE["inception"].file
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(b"altered")
    with pytest.raises(ModelError, match=r"has SHA-256 .* the published file"):
        locate_weights("inception")
    assert locate_weights("inception", WeightsPlaces({"inception": str(file)})) == file
    with pytest.raises(ModelError, match=r"no weights file '/none.pth' for inception"):
        locate_weights("inception", WeightsPlaces({"inception": "/none.pth"}))


def test_a_folder_is_searched_before_the_data_folder(home: Path, tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / CATALOGUE["dinov2-vitl14"].file).write_bytes(b"x")
    assert locate_weights("dinov2-vitl14", WeightsPlaces(folder=folder)).parent == folder


def test_unknown_names() -> None:
    with pytest.raises(ConfigError, match="unknown weights 'inceptoin': did you mean 'inception'"):
        find_weights("inceptoin")
    with pytest.raises(ConfigError, match="unknown weights 'vgg'"):
        WeightsPlaces({"vgg": "x.pth"})
    assert find_weights("ViT-B-32/openai").name == "clip-vitb32"


def test_the_real_catalogue_pins_inception() -> None:
    entry = CATALOGUE["inception"]
    assert entry.sha256 == "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2"
    assert entry.url.endswith(entry.file)
    assert (entry.size, entry.sha256[:8]) == (95_628_359, entry.file[-12:-4])
