"""Checking a copy of COCO: numbers, digests, what is missing, what is broken, and which protocols it can give."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from imagen_bench.data.coco import CocoCaptions, CocoSplit, captions_path, images_path, read_coco_captions
from imagen_bench.data.coco_images import CroppedImageSet, parse_coco_reference
from imagen_bench.data.coco_prompts import DRAWS, load_coco_prompts
from imagen_bench.data.hygiene import Finding, check_images
from imagen_bench.data.prompts import PromptSet
from imagen_bench.data.references import FolderImageSet
from imagen_bench.errors import InputError
from imagen_bench.files import atomic_write_text, sha256_file

_SUBSET = "coco-subset"


@dataclass(frozen=True)
class CocoCheck:
    """What a copy of COCO holds.

    Attributes:
        root: The copy.
        split: The part that was checked.
        subset: Whether other numbers than were published are accepted.
        captions: The caption file's content.
        captions_sha256: Its digest.
        images: The reference set that the copy gives: its images, cropped and resized.
        findings: What is wrong: numbers, images missing, not listed or broken.
        prompts: The prompt sets that can be drawn from it.
    """

    root: Path
    split: CocoSplit
    subset: bool
    captions: CocoCaptions
    captions_sha256: str
    images: CroppedImageSet
    findings: tuple[Finding, ...]
    prompts: tuple[PromptSet, ...]

    def to_json(self) -> dict[str, Any]:
        """Return all that decides a protocol, and the findings with all their names."""
        return {
            "root": str(self.root),
            "split": self.split.name,
            "complete": not self.findings,
            "captions": {
                "file": self.captions.source.relative_to(self.root).as_posix(),
                "images": len(self.captions.files),
                "captions": len(self.captions.rows),
                "sha256": self.captions_sha256,
                "as_recorded": self._as_recorded(),
            },
            "prompts": [
                {"id": found.id, "version": found.version, "n": len(found), "digest": found.digest}
                for found in self.prompts
            ],
            "reference": {"id": self.images.name, "n": len(self.images), "digest": self.images.digest},
            "findings": [
                {"kind": item.kind, "count": len(item.names), "names": list(item.names), "line": item.line}
                for item in self.findings
            ],
        }

    def lines(self) -> list[str]:
        """Return the check as lines for people."""
        same = {True: ", as recorded for the published file", False: ", not that of the published file", None: ""}
        sets = [f"{found.id}: {len(found):,} prompts, digest {found.digest[:16]}" for found in self.prompts]
        return [
            f"captions   {len(self.captions.files):,} images, {len(self.captions.rows):,} captions; "
            f"SHA-256 {self.captions_sha256[:16]}{same[self._as_recorded()]}",
            f"images     {len(self.images):,} files",
            *(f"prompts    {words}" for words in sets),
            f"reference  {self.images.name}: {len(self.images):,} images, digest {self.images.digest[:16]}",
            *(f"problem    {item.line}" for item in self.findings),
        ]

    def refuse(self) -> None:
        """Stop where the copy is not what its name says.

        Raises:
            InputError: One line with the first finding, and kind and first name of the others.
        """
        if self.findings:
            others = ", ".join(f"{item.kind} ({item.some(1)})" for item in self.findings[1:])
            also = f"; also found: {others}" if others else ""
            raise InputError(f"{str(self.root)!r} is no whole {self.split.name}: {self.findings[0].line}{also}")

    def _as_recorded(self) -> bool | None:
        recorded = self.split.captions_sha256
        return None if recorded is None else self.captions_sha256 == recorded


def check_coco(
    root: Path,
    reference: str = "coco-val2014",
    progress: Callable[[int, int], object] | None = None,
) -> CocoCheck:
    """Check a copy of COCO; every image is read and decoded once.

    Args:
        root: The copy.
        reference: The reference set to check it for, without a place: it says split, size and kernel, and
            "subset" where other numbers than were published are accepted.
        progress: Called with the number of images done since the last call, and their total.

    Raises:
        ConfigError: The reference's name is wrong.
        InputError: The caption file or the image folder is not there, or the captions cannot be read.
    """
    chosen = parse_coco_reference(reference)
    subset = chosen.choice == "subset"
    split = chosen.split
    captions = read_coco_captions(captions_path(root, split, subset))
    files = FolderImageSet(images_path(root, split, subset))
    report = check_images(files, progress=None if progress is None else lambda done: progress(done, len(files)))
    broken = [item for item in report.findings if item.severity == "error"]
    found = [*_numbers(captions, split, subset), *_unmatched(captions, files, split), *broken]
    name = replace(chosen, choice=chosen.choice if subset else "").name
    images = CroppedImageSet(files, name, chosen.side, chosen.kernel)
    prompts = () if found else _prompts(root, split, subset)
    return CocoCheck(root, split, subset, captions, sha256_file(captions.source), images, tuple(found), prompts)


def write_coco(check: CocoCheck, out: Path, progress: Callable[[int], object] | None = None) -> list[Path]:
    """Write what a whole copy gives, for other tools: prompts as csv, the reference's images as PNG, the protocol.

    Args:
        check: A check without findings.
        out: Folder to write to.
        progress: Called with the number of images written since the last call.

    Returns:
        What was written: the csv files, the image folder, protocol.json.

    Raises:
        InputError: The copy is not whole, or an image folder of another protocol is there.
    """
    check.refuse()
    protocol = out / "protocol.json"
    text = json.dumps({key: value for key, value in check.to_json().items() if key != "root"}, indent=2) + "\n"
    if protocol.is_file() and protocol.read_text(encoding="utf-8") != text:
        raise InputError(f"{str(out)!r} holds the sets of another protocol: give another --out, or remove it")
    folder = out / check.images.name
    atomic_write_text(protocol, text)
    written = [_write_prompts(out, prompts) for prompts in check.prompts]
    _write_images(check.images, folder, progress)
    return [*written, folder, protocol]


def _numbers(captions: CocoCaptions, split: CocoSplit, subset: bool) -> list[Finding]:
    counts = {"images": (len(captions.files), split.images), "captions": (len(captions.rows), split.captions)}
    wrong = tuple(f"{found:,} {what} for {expected:,}" for what, (found, expected) in counts.items())
    if subset or all(found == expected for found, expected in counts.values()):
        return []
    advice = f"take the official {split.captions_file}, or check for coco-{split.name}-subset"
    return [Finding("numbers", "error", wrong, "numbers of the caption file other than published", advice)]


def _unmatched(captions: CocoCaptions, files: FolderImageSet, split: CocoSplit) -> list[Finding]:
    listed, there = set(captions.files.values()), set(files.names)
    missing, spare = tuple(sorted(listed - there)), tuple(name for name in files.names if name not in listed)
    found = []
    if missing:
        advice = f"unpack {split.name}.zip again"
        found.append(Finding("missing", "error", missing, "images of the caption file that are not there", advice))
    if spare:
        advice = "a reference set holds every image of its folder: move them out"
        found.append(Finding("not-listed", "error", spare, "images that the caption file does not list", advice))
    return found


def _prompts(root: Path, split: CocoSplit, subset: bool) -> tuple[PromptSet, ...]:
    names = [draw.name for draw in DRAWS.values() if draw.split.name == split.name and not draw.subset]
    return tuple(load_coco_prompts(name, str(root)) for name in ([_SUBSET] if subset else names))


def _write_prompts(out: Path, prompts: PromptSet) -> Path:
    import csv
    import io

    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["prompt_id", "prompt", "image_id", "caption_id", "file_name"])
    for row in prompts.rows:
        meta = (row.meta["image_id"], row.meta["caption_id"], row.meta["file_name"])
        writer.writerow([row.prompt_id, row.prompt, *meta])
    path = out / f"{prompts.id}.csv"
    atomic_write_text(path, text.getvalue())
    return path


def _write_images(images: CroppedImageSet, folder: Path, progress: Callable[[int], object] | None) -> None:
    from imagen_bench.images import write_png

    names = iter(images.names)
    for batch in images.batches(32):
        for image in batch:
            write_png(folder / Path(next(names)).with_suffix(".png"), image)
        if progress is not None:
            progress(len(batch))
