"""Which finished image belongs to which sample: weights by folder, samples by file name or caption."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from imagen_bench.data.captions import load_captions, match_captions
from imagen_bench.errors import ConfigError, InputError
from imagen_bench.generators.base import SampleRequest

_WEIGHT_FOLDER = re.compile(r"w=(\d+(?:\.\d+)?)")


def weight_folders(root: Path, mapping: Mapping[str, str]) -> dict[float | None, Path]:
    """Return the folder of each guidance weight.

    Args:
        root: Folder of the images.
        mapping: Weight -> folder below `root`; where it is empty, folders named `w=<weight>` are taken.

    Returns:
        Weight -> folder; {None: root} where no folders divide the images by weight.

    Raises:
        ConfigError: A key of `mapping` is no number.
        InputError: A folder of `mapping` is missing.
    """
    if not mapping:
        matches = [_WEIGHT_FOLDER.fullmatch(path.name) for path in sorted(root.iterdir()) if path.is_dir()]
        return {float(match[1]): root / match[0] for match in matches if match} or {None: root}
    folders: dict[float | None, Path] = {}
    for text, name in mapping.items():
        try:
            weight = float(text)
        except ValueError as error:
            raise ConfigError(
                f"model.options.weights has {text!r}, expected a guidance weight such as '1.5'"
            ) from error
        if not (root / name).is_dir():
            raise InputError(f"no folder {str(root / name)!r}, which options.weights gives for w={text}")
        folders[weight] = root / name
    return folders


def find_by_name(files: Sequence[Path], folder: Path, wanted: Sequence[SampleRequest]) -> dict[SampleRequest, Path]:
    """Return the image of each sample by `<prompt id>_<index>`, `<prompt id>/<index>` or, for sample 0, `<prompt id>`.

    Raises:
        InputError: Two files are the same sample, or one file is two samples.
    """
    indexed: dict[tuple[str, int], Path] = {}
    for file in files:
        head, _, tail = file.stem.rpartition("_")
        parent = file.parent.name if file.parent != folder else ""
        for prompt_id, index in ((head, tail), (parent, file.stem)):
            if prompt_id and _is_index(index):
                other = indexed.setdefault((prompt_id, int(index)), file)
                if other != file:
                    raise InputError(
                        f"{str(other)!r} and {str(file)!r} are both sample {int(index)} of prompt '{prompt_id}': "
                        "remove one"
                    )
    bare = {(file.stem, 0): file for file in reversed(files)}
    named = bare | indexed
    found = {sample: named[key] for sample in wanted if (key := (sample.prompt_id, sample.index)) in named}
    taken: dict[Path, SampleRequest] = {}
    for sample, file in found.items():
        other_sample = taken.setdefault(file, sample)
        if other_sample != sample:
            ids = f"'{other_sample.prompt_id}' and '{sample.prompt_id}'"
            raise InputError(f"{str(file)!r} fits two prompts, {ids}: name images <prompt id>_<index>.png")
    return found


def find_by_caption(
    files: Sequence[Path], folder: Path, captions: Path, wanted: Sequence[SampleRequest]
) -> dict[SampleRequest, Path]:
    """Return the image of each sample by its text; the images of a text are dealt out to its samples in order.

    Where several prompts share a text, they take turns: all their samples 0 first.

    Raises:
        InputError: The captions do not fit the images.
    """
    rows = match_captions([file.relative_to(folder).as_posix() for file in files], load_captions(captions))
    by_text: dict[str, list[Path]] = {}
    for file, own in zip(files, rows, strict=True):
        for text in dict.fromkeys(caption.text for caption in own):
            by_text.setdefault(text, []).append(file)
    ids: dict[str, dict[str, int]] = {}
    for sample in wanted:
        same_text = ids.setdefault(sample.prompt.strip(), {})
        same_text.setdefault(sample.prompt_id, len(same_text))
    found = {}
    for sample in wanted:
        text = sample.prompt.strip()
        place = sample.index * len(ids[text]) + ids[text][sample.prompt_id]
        images = by_text.get(text, [])
        if place < len(images):
            found[sample] = images[place]
    return found


def _is_index(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 10
