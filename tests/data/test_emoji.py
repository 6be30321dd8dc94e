from __future__ import annotations

import io
import json
import tarfile

import pytest
from PIL import Image

from imagen_bench.data import emoji, emoji_sources
from imagen_bench.data.emoji import build_emoji_set, fetch_source, read_concepts, sprite_path
from imagen_bench.data.emoji_sources import EmojiSource
from imagen_bench.errors import InputError
from imagen_bench.files import sha256_file

resvg_py = pytest.importorskip("resvg_py", reason="rasterising needs the [train] extra")

BODY = '<circle cx="8" cy="8" r="6" fill="#ff0000"/>'


def tarball(path, members):
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w:gz") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(f"package/{name}")
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))


def iconify(names, chars):
    icons = {"icons": {name: {"body": BODY} for name in names}, "width": 16, "height": 16}
    return {"icons.json": json.dumps(icons).encode(), "chars.json": json.dumps(chars).encode()}


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """Tarballs of the real layout with two concepts, and sources that pin their digests."""
    folder = tmp_path / "tarballs"
    buffer = io.BytesIO()
    Image.new("RGBA", (256, 256), (0, 0, 255, 255)).save(buffer, "WEBP", lossless=True)
    entries = [
        {"label": "pear", "hexcode": "1F350", "group": 4, "subgroup": 42, "tags": ["fruit"]},
        {"label": "kite", "hexcode": "1FA81", "group": 6, "subgroup": 63},
        {"label": "grinning face", "hexcode": "1F600", "group": 0, "subgroup": 0},
    ]
    groups = {"subgroups": {"42": "food-fruit", "63": "game"}}
    chars = {"1f350": "pear", "1fa81": "kite"}
    contents = {
        "names": {"en/data.json": json.dumps(entries).encode(), "meta/groups.json": json.dumps(groups).encode()},
        "noto": iconify(["pear", "kite"], chars),
        "twemoji": iconify(["pear"], {"1f350-fe0f": "pear"}),
        "blob": iconify(["pear"], {}),
        "fluent-3d": {"assets/1f350.webp": buffer.getvalue()},
    }  # fmt: skip
    sources = {}
    for key, members in contents.items():
        kind = {"names": "names", "fluent-3d": "webp"}.get(key, "iconify")
        source = EmojiSource(key, f"@sets/{key}", "1.0.0", "", "MIT", kind, key)
        tarball(folder / source.tarball, members)
        sources[key] = EmojiSource(key, f"@sets/{key}", "1.0.0", sha256_file(folder / source.tarball), "MIT", kind, key)
    names = sources.pop("names")
    for module in (emoji, emoji_sources):
        monkeypatch.setattr(module, "SOURCES", sources)
        monkeypatch.setattr(module, "NAMES", names)
    return folder


def test_a_set_is_built_from_its_tarballs_and_built_again_to_the_same(cache, tmp_path):
    manifest = build_emoji_set(tmp_path / "out", cache)
    assert (manifest["concepts"], manifest["sprites"]) == (2, 5)
    concepts = {item.concept: item for item in read_concepts(tmp_path / "out")}
    assert concepts["pear"].styles == ("noto", "twemoji", "blob", "fluent-3d")
    assert concepts["pear"].subgroup == "food-fruit"
    assert concepts["kite"].styles == ("noto",)
    with Image.open(sprite_path(tmp_path / "out", "noto", "pear")) as sprite:
        assert sprite.size == (256, 256)
        assert sprite.getpixel((128, 128)) == (255, 0, 0, 255)
        assert sprite.getpixel((0, 0))[3] == 0
    assert build_emoji_set(tmp_path / "out", cache)["sprites_digest"] == manifest["sprites_digest"]


def test_a_tarball_with_another_digest_is_refused(cache, tmp_path):
    path = cache / emoji.NAMES.tarball
    path.write_bytes(path.read_bytes() + b"x")
    with pytest.raises(InputError, match="expected"):
        build_emoji_set(tmp_path / "out", cache)
    assert not (tmp_path / "out" / "concepts.csv").exists()


def test_a_missing_tarball_without_npm_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setattr(emoji.shutil, "which", lambda name: None)
    with pytest.raises(InputError, match=r"install Node\.js"):
        fetch_source(emoji.NAMES, tmp_path)


def test_names_of_packages_become_the_file_names_of_npm():
    assert emoji_sources.EmojiSource("k", "@a/b", "1.2.3", "", "", "").tarball == "a-b-1.2.3.tgz"
