"""Looking an image set over before dear work: what would stop a score, or move it without a word.

One pass decodes every image once, several at a time, and keeps a few digests of each, never its pixels. Nothing
is dropped or mended: each finding names its files, and the caller decides (`HygieneReport.refuse`).
"""

from __future__ import annotations

import os
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Literal

from imagen_bench.data.captions import Captions, caption_gaps
from imagen_bench.data.image_facts import TINY_SIDE, ImageFacts, header_size, image_facts
from imagen_bench.data.references import FolderImageSet, HashedOnUse, ImageSet, read_file
from imagen_bench.errors import InputError
from imagen_bench.files import sha256_bytes

Severity = Literal["error", "warning", "note"]
SHOWN = 5
_SHOWN_OF_OTHERS = 2

_Look = Callable[[str, bytes | None], ImageFacts]
_MAX_WORKERS = 8
_AHEAD = 4


@dataclass(frozen=True)
class Finding:
    """Something about some images that a reader of the score has to know.

    Attributes:
        kind: Short name, such as "truncated".
        severity: "error" stops a score, "warning" moves it, "note" is good to know.
        names: The files, all of them.
        what: What is found, without the files.
        consequence: What becomes of them, and what to do.
    """

    kind: str
    severity: Severity
    names: tuple[str, ...]
    what: str
    consequence: str

    @property
    def line(self) -> str:
        """The finding as one line that names at most `SHOWN` files."""
        return f"{self.what}: {len(self.names):,} ({self.some(SHOWN)}); {self.consequence}"

    def some(self, count: int) -> str:
        """Return the first names, with dots where there are more."""
        return ", ".join(self.names[:count]) + (", ..." if len(self.names) > count else "")


_SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")
_BY_IMAGE: dict[str, tuple[Severity, str, str]] = {
    "unreadable": ("error", "not an image", "expected PNG, JPEG, WebP or BMP: write them again or remove them"),
    "truncated": ("error", "broken or truncated images", "write them again or remove them"),
    "giant": ("error", "images above 100 megapixels", "resize them"),
    "cmyk": ("warning", "CMYK images", "converted to RGB without their colour profile: save them as RGB"),
    "sixteen-bit": ("warning", "images of 16 bits a channel", "cut to 8 bits: save them as 8-bit"),
    "transparent": ("warning", "images with transparent pixels", "laid on white: save them as RGB"),
    "animated": ("warning", "animations", "the first frame alone counts: save single images"),
    "tiny": (
        "warning",
        f"images with a side below {TINY_SIDE} pixels",
        "a score of these says little: use larger ones",
    ),
    "blank": ("warning", "images of a single colour", "often failed or censored samples: look at them"),
    "rotated": ("note", "images with an EXIF orientation", "turned upright before they are used"),
    "palette": ("note", "images with a palette", "converted to RGB"),
}


@dataclass(frozen=True)
class HygieneReport:
    """What was found, errors first.

    Attributes:
        images: Number of images looked at.
        findings: At most one of each kind.
    """

    images: int
    findings: tuple[Finding, ...]

    def lines(self) -> list[str]:
        """Return one line for each finding: "warning: CMYK images: 2 (a.jpg, b.jpg); ..."."""
        return [f"{finding.severity}: {finding.line}" for finding in self.findings]

    def to_json(self) -> list[dict[str, Any]]:
        """Return the findings as JSON-able values, with all names."""
        return [
            {
                "kind": finding.kind,
                "severity": finding.severity,
                "count": len(finding.names),
                "names": list(finding.names),
                "line": finding.line,
            }
            for finding in self.findings
        ]

    def refuse(self, strict: bool = False) -> None:
        """Stop for errors, which would stop the score later anyway; in strict mode for warnings too.

        Raises:
            InputError: One line: the first such finding, and kinds and first names of the others.
        """
        stopping = [item for item in self.findings if item.severity == "error" or (strict and item.severity != "note")]
        if not stopping:
            return
        others = ", ".join(f"{item.kind} ({item.some(_SHOWN_OF_OTHERS)})" for item in stopping[1:])
        also = f"; also found: {others}" if others else ""
        way_out = "" if stopping[0].severity == "error" else " (or leave --strict out)"
        raise InputError(f"{stopping[0].line}{way_out}{also}")


def check_images(
    images: ImageSet,
    reference: ImageSet | None = None,
    captions: Captions | None = None,
    progress: Callable[[int], object] | None = None,
) -> HygieneReport:
    """Look over a set of images, and how it fits its reference set and its captions.

    Args:
        images: The images to score.
        reference: Images that they are compared with, searched for copies: files of equal content, and images of
            one size whose pixels are equal.
        captions: Their captions.
        progress: Called with the number of images done since the last call.
    """
    facts = _look_over(images, _facts, progress)
    findings = [*_by_image(facts), *_duplicates(facts), *_sizes(facts), *_formats(facts)]
    if captions is not None:
        findings += _captions(images.names, captions)
    if reference is not None:
        findings += _contamination(facts, reference)
    return HygieneReport(len(facts), tuple(sorted(findings, key=lambda item: _SEVERITIES.index(item.severity))))


def _look_over(images: ImageSet, look: _Look, progress: Callable[[int], object] | None = None) -> list[ImageFacts]:
    """Look at every image, several at a time; the set then knows its hashes and need not be read for them again."""
    found: list[ImageFacts] = []
    workers = min(_MAX_WORKERS, os.cpu_count() or 1)
    with ThreadPoolExecutor(workers) as pool:
        waiting: deque[Future[ImageFacts]] = deque()

        def finish(left: int) -> None:
            while len(waiting) > left:
                found.append(waiting.popleft().result())
                if progress is not None:
                    progress(1)

        for name, data in _contents(images):
            waiting.append(pool.submit(look, name, data))
            finish(_AHEAD * workers)
        finish(0)
    if isinstance(images, HashedOnUse) and all(facts.sha256 for facts in found):
        images.remember([facts.sha256 for facts in found])
    return found


def _contents(images: ImageSet) -> Iterator[tuple[str, bytes | None]]:
    """Yield names and contents; None for a file that cannot be read, where the set can go on after it."""
    if not isinstance(images, FolderImageSet):
        yield from images.files()
        return
    for name, path in zip(images.names, images.paths, strict=True):
        try:
            yield name, read_file(path)
        except InputError:
            yield name, None


def _by_image(facts: Sequence[ImageFacts]) -> list[Finding]:
    found = []
    for kind, (severity, what, consequence) in _BY_IMAGE.items():
        names = tuple(item.name for item in facts if kind in item.problems)
        if names:
            found.append(Finding(kind, severity, names, what, consequence))
    return found


def _duplicates(facts: Sequence[ImageFacts]) -> list[Finding]:
    first: dict[str, str] = {}
    names = []
    for item in facts:
        if item.pixels is not None and first.setdefault(item.pixels, item.name) != item.name:
            names.append(f"{item.name} = {first[item.pixels]}")
    what, consequence = "images equal to another, pixel by pixel", "each counts as a sample: look for a seed used twice"
    return [Finding("duplicates", "warning", tuple(names), what, consequence)] if names else []


def _sizes(facts: Sequence[ImageFacts]) -> list[Finding]:
    sizes = Counter(item.size for item in facts if item.size is not None)
    if len(sizes) < 2:
        return []
    (usual, count), *_ = sizes.most_common()
    names = tuple(f"{item.name} {_by(item.size)}" for item in facts if item.size is not None and item.size != usual)
    what = f"images of another size than {_by(usual)}, which {count:,} have"
    return [Finding("mixed-sizes", "warning", names, what, "resizing moves FID: generate at one size")]


def _by(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"


def _formats(facts: Sequence[ImageFacts]) -> list[Finding]:
    names = tuple(item.name for item in facts if item.format == "JPEG")
    if not names:
        return []
    others = sorted({item.format for item in facts if item.format} - {"JPEG"})
    what = f"JPEG files among {', '.join(others)}" if others else "JPEG files"
    consequence = "JPEG artefacts move FID: save generated images as PNG"
    return [Finding("jpeg", "warning" if others else "note", names, what, consequence)]


def _captions(names: Sequence[str], captions: Captions) -> list[Finding]:
    gaps = caption_gaps(names, captions)
    advice = f"mend {captions.source!r}, or give the images that it describes"
    found = []
    if gaps.lost:
        found.append(Finding("no-caption", "error", gaps.lost, "images without a caption", advice))
    if gaps.spare:
        found.append(Finding("no-image", "error", gaps.spare, "captions without an image", advice))
    return found


def _contamination(facts: Sequence[ImageFacts], reference: ImageSet) -> list[Finding]:
    sizes = {item.size for item in facts if item.size is not None}

    def look(name: str, data: bytes | None) -> ImageFacts:
        """Decode only what could have equal pixels: a reference set may be large."""
        if data is None or header_size(data) in sizes:
            return _facts(name, data)
        return ImageFacts(name, sha256_bytes(data), ())

    originals: dict[str, str] = {}
    for item in _look_over(reference, look):
        for digest in (item.sha256, item.pixels):
            if digest:
                originals.setdefault(digest, item.name)
    names = []
    for item in facts:
        original = originals.get(item.sha256) or originals.get(item.pixels or "")
        if original is not None:
            names.append(f"{item.name} = {original}")
    what = f"images equal to one of the reference {reference.name}"
    consequence = "a distance to their own originals says nothing"
    return [Finding("contamination", "warning", tuple(names), what, consequence)] if names else []


def _facts(name: str, data: bytes | None) -> ImageFacts:
    return ImageFacts(name, "", ("unreadable",)) if data is None else image_facts(name, data)
