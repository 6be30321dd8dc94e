"""The rater page's markup: its policy, and data that cannot become markup."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Sequence
from html.parser import HTMLParser

import pytest

from imagen_bench.human.arms import Arm
from imagen_bench.human.export import export_study
from imagen_bench.human.page import script_json


class Parts(HTMLParser):
    """Collects elements, and the text of style and script as a browser would hash it."""

    def __init__(self) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.inline: dict[str, str] = {}
        self._open = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._open = tag if not dict(attrs).get("type") else ""

    def handle_endtag(self, tag: str) -> None:
        self._open = ""

    def handle_data(self, data: str) -> None:
        if self._open in ("style", "script"):
            self.inline[self._open] = self.inline.get(self._open, "") + data


@pytest.fixture(scope="module")
def page(shared_arms: Sequence[Arm], tmp_path_factory: pytest.TempPathFactory) -> Parts:
    study = export_study(shared_arms, tmp_path_factory.mktemp("out") / "study", sheets=1)
    parts = Parts()
    parts.feed((study.folder / "public" / "sheet_S01.html").read_text(encoding="utf-8"))
    return parts


def test_the_policy_allows_this_script_and_style_and_local_pictures_only(page: Parts) -> None:
    (policy,) = [
        attrs["content"] or "" for tag, attrs in page.elements if attrs.get("http-equiv") == "Content-Security-Policy"
    ]
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    hashes = {
        tag: f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
        for tag, text in page.inline.items()
    }
    assert rules == {
        "default-src": "'none'",
        "img-src": "'self' data:",
        "style-src": hashes["style"],
        "script-src": hashes["script"],
        "base-uri": "'none'",
        "form-action": "'none'",
    }


def test_nothing_is_loaded_and_nothing_is_inline_that_the_policy_would_block(page: Parts) -> None:
    for tag, attrs in page.elements:
        assert tag not in ("link", "iframe", "object", "embed", "base")
        assert not {"src", "href", "style", "action"} & set(attrs), (tag, attrs)
        assert not [name for name in attrs if name.startswith("on")]
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(", page.inline["script"])


def test_every_input_has_a_label_and_every_image_a_text(page: Parts) -> None:
    labels = {attrs.get("for") for tag, attrs in page.elements if tag == "label"}
    for tag, attrs in page.elements:
        if tag == "img":
            assert attrs["alt"]
        if tag in ("input", "textarea") and attrs.get("type") not in ("radio", "checkbox"):
            assert attrs["id"] in labels
    tags = [tag for tag, _ in page.elements]
    assert "fieldset" in tags
    assert "legend" in tags


@pytest.mark.parametrize("text", ["</script><script>", "<!--", "a & b", "\u2028\u2029", 'q"\\'])
def test_json_in_a_script_element_stays_data(text: str) -> None:
    safe = script_json({"prompt": text})
    assert json.loads(safe) == {"prompt": text}
    assert not set(safe) & set("<>&\u2028\u2029")
