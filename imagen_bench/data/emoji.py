"""Builds the emoji sprite set that the bundled model is trained on: fetch, check, rasterise, list.

The result is a folder with one transparent 256x256 PNG a concept and style, a table of the concepts and a
manifest with the digests of everything that went in. Scenes are composed from the sprites during training
(`emoji_world`).
"""

from __future__ import annotations

import csv
import io
import json
import shutil
import subprocess
import tarfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from imagen_bench.data.emoji_sources import NAMES, SOURCES, EmojiSource
from imagen_bench.errors import InputError
from imagen_bench.files import atomic_write_bytes, atomic_write_text, digest_json, sha256_bytes, sha256_file

SPRITE_SIZE = 256
GROUPS = {3: "animals-nature", 4: "food-drink", 5: "travel-places", 6: "activities", 7: "objects"}
COLUMNS = ("concept", "group", "subgroup", "hexcode", "styles", "keywords")
MAX_MEMBER_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True)
class Concept:
    """One thing with a name: its CLDR short name, where emojibase files it, and the styles it is drawn in."""

    concept: str
    group: str
    subgroup: str
    hexcode: str
    styles: tuple[str, ...]
    keywords: tuple[str, ...]


def build_emoji_set(
    out: Path, tarballs: Path | None = None, progress: Callable[[str], None] | None = None
) -> dict[str, Any]:
    """Writes sprites, `concepts.csv` and `manifest.json` under `out`; what is there already is kept.

    Args:
        out: folder to fill; made if missing.
        tarballs: folder with the npm tarballs; missing ones are fetched into it. Default `out/tarballs`.
        progress: called with one line of text per step.

    Returns:
        The manifest: sources with versions, licences and digests, counts, and the digest of all sprites.

    Raises:
        InputError: npm is missing, a fetch failed, or a tarball's SHA-256 is not the pinned one.
    """
    say = progress or (lambda line: None)
    cache = tarballs or out / "tarballs"
    for source in (NAMES, *SOURCES.values()):
        say(f"checking {source.spec}")
        fetch_source(source, cache)
    pictures = _open_sources(cache)
    concepts = list(_concepts(cache, pictures))
    digests: dict[str, str] = {}
    for position, concept in enumerate(concepts):
        if position % 100 == 0:
            say(f"rasterising {position}/{len(concepts)} concepts")
        for style in concept.styles:
            path = sprite_path(out, style, concept.concept)
            if not path.exists():
                atomic_write_bytes(path, pictures[style].render(concept.hexcode))
            digests[f"{style}/{path.name}"] = sha256_file(path)
    return _write_tables(out, concepts, digests)


def sprite_path(root: Path, style: str, concept: str) -> Path:
    """Where the sprite of a concept in a style lies: letters and digits of the name, the rest as dashes."""
    slug = "".join(letter if letter.isascii() and letter.isalnum() else "-" for letter in concept.lower())
    return root / "sprites" / style / f"{slug}.png"


def read_concepts(root: Path) -> list[Concept]:
    """Reads `concepts.csv` of a built set.

    Raises:
        InputError: the folder holds no such table.
    """
    path = root / "concepts.csv"
    if not path.is_file():
        raise InputError(
            f"{root} holds no concepts.csv: expected an emoji set; make it with `imagen-bench data emoji --out {root}`"
        )
    with path.open(encoding="utf-8", newline="") as stream:
        return [
            Concept(
                row["concept"], row["group"], row["subgroup"], row["hexcode"],
                tuple(row["styles"].split("|")), tuple(filter(None, row["keywords"].split("|"))),
            )
            for row in csv.DictReader(stream)
        ]  # fmt: skip


def fetch_source(source: EmojiSource, cache: Path) -> Path:
    """The source's tarball in `cache`, fetched with npm where missing, checked against its pinned SHA-256."""
    path = cache / source.tarball
    if not path.is_file():
        npm = shutil.which("npm")
        if npm is None:
            raise InputError(
                f"{path} is missing and npm was not found: install Node.js, or put the tarball of {source.spec} there"
            )
        cache.mkdir(parents=True, exist_ok=True)
        done = subprocess.run(
            [npm, "pack", "--silent", source.spec], cwd=cache, capture_output=True, text=True, check=False
        )
        if done.returncode != 0 or not path.is_file():
            raise InputError(
                f"npm could not fetch {source.spec} (exit {done.returncode}): "
                f"check the network, or put {source.tarball} into {cache}"
            )
    found = sha256_file(path)
    if found != source.sha256:
        raise InputError(f"{path} has SHA-256 {found}, expected {source.sha256}: delete it and fetch it again")
    return path


class _Iconify:
    """An iconify package: SVG bodies by name, and a table from hexcode to name."""

    def __init__(self, tarball: Path) -> None:
        icons = json.loads(_member(tarball, "package/icons.json"))
        chars = json.loads(_member(tarball, "package/chars.json"))
        self._icons, self._aliases = icons["icons"], icons.get("aliases", {})
        self._size = (icons.get("width", 16), icons.get("height", 16))
        self._names = {_plain_hex(code): name for code, name in chars.items()}

    def adopt_names(self, other: _Iconify) -> None:
        """Takes another set's names by hexcode, for a package that comes without its own table."""
        if not self._names:
            self._names = other._names

    def __contains__(self, hexcode: str) -> bool:
        return self._names.get(hexcode) in self._icons or self._names.get(hexcode) in self._aliases

    def render(self, hexcode: str) -> bytes:
        import resvg_py

        name = self._names[hexcode]
        icon = self._icons.get(name) or self._icons[self._aliases[name]["parent"]]
        width, height = icon.get("width", self._size[0]), icon.get("height", self._size[1])
        box = f"{icon.get('left', 0)} {icon.get('top', 0)} {width} {height}"
        spaces = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
        svg = f'<svg {spaces} viewBox="{box}">{icon["body"]}</svg>'
        return bytes(resvg_py.svg_to_bytes(svg_string=svg, width=SPRITE_SIZE, height=SPRITE_SIZE))


class _Webp:
    """A package of ready 256x256 webp pictures named by hexcode."""

    def __init__(self, tarball: Path) -> None:
        self._pictures: dict[str, bytes] = {}
        with tarfile.open(tarball) as archive:
            for member in archive:
                stem = Path(member.name).stem
                if member.isfile() and member.name.endswith(".webp") and member.size < MAX_MEMBER_BYTES:
                    stream = archive.extractfile(member)
                    if stream is not None:
                        self._pictures[_plain_hex(stem)] = stream.read()

    def __contains__(self, hexcode: str) -> bool:
        return hexcode in self._pictures

    def render(self, hexcode: str) -> bytes:
        from PIL import Image

        picture = Image.open(io.BytesIO(self._pictures[hexcode])).convert("RGBA")
        if picture.size != (SPRITE_SIZE, SPRITE_SIZE):
            picture = picture.resize((SPRITE_SIZE, SPRITE_SIZE), Image.Resampling.LANCZOS)
        buffer = io.BytesIO()
        picture.save(buffer, "PNG")
        return buffer.getvalue()


def _open_sources(cache: Path) -> dict[str, _Iconify | _Webp]:
    named = _Iconify(cache / SOURCES["noto"].tarball)
    pictures: dict[str, _Iconify | _Webp] = {}
    for key, source in SOURCES.items():
        if source.kind == "webp":
            pictures[key] = _Webp(cache / source.tarball)
        else:
            pictures[key] = package = _Iconify(cache / source.tarball)
            package.adopt_names(named)
    return pictures


def _concepts(cache: Path, pictures: dict[str, _Iconify | _Webp]) -> Iterator[Concept]:
    """Concepts of the groups used, in emojibase's order, with the styles that draw them."""
    tarball = cache / NAMES.tarball
    subgroups = json.loads(_member(tarball, "package/meta/groups.json"))["subgroups"]
    for entry in json.loads(_member(tarball, "package/en/data.json")):
        if entry.get("group") not in GROUPS or "’" in entry["label"]:
            continue
        hexcode = _plain_hex(entry["hexcode"])
        styles = tuple(style for style, source in pictures.items() if hexcode in source)
        if styles:
            yield Concept(
                entry["label"], GROUPS[entry["group"]], subgroups[str(entry["subgroup"])], hexcode, styles,
                tuple(entry.get("tags", ())),
            )  # fmt: skip


def _write_tables(out: Path, concepts: Sequence[Concept], digests: dict[str, str]) -> dict[str, Any]:
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(COLUMNS)
    for item in concepts:
        writer.writerow(
            [
                item.concept,
                item.group,
                item.subgroup,
                item.hexcode,
                "|".join(item.styles),
                "|".join(item.keywords),
            ]
        )
    atomic_write_text(out / "concepts.csv", table.getvalue())
    manifest = {
        "sources": {
            source.spec: {"licence": source.licence, "style": source.style, "sha256": source.sha256}
            for source in (NAMES, *SOURCES.values())
        },
        "sprite_size": SPRITE_SIZE,
        "concepts": len(concepts),
        "sprites": len(digests),
        "sprites_digest": digest_json(digests),
        "concepts_digest": sha256_bytes(table.getvalue().encode()),
    }
    atomic_write_text(out / "manifest.json", json.dumps(manifest, indent=2) + "\n")
    return manifest


def _plain_hex(code: str) -> str:
    """Hexcode in lower case without variation selectors, the form that all sets can be joined on."""
    return "-".join(part for part in code.lower().split("-") if part != "fe0f")


def _member(tarball: Path, name: str) -> bytes:
    with tarfile.open(tarball) as archive:
        member = archive.getmember(name)
        stream = archive.extractfile(member)
        if stream is None or member.size > MAX_MEMBER_BYTES:
            raise InputError(f"{tarball}: {name} is no readable file of at most {MAX_MEMBER_BYTES} bytes")
        return stream.read()
