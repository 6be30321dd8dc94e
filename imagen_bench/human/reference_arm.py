"""Real images for the prompts of a run: matched by caption, or by a file name that is the prompt's id."""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Set
from pathlib import Path, PurePosixPath

from imagen_bench.assets import asset
from imagen_bench.bench.provenance import with_home
from imagen_bench.bench.reference import BUNDLED
from imagen_bench.bench.run_folder import RunFolder
from imagen_bench.data.captions import CAPTION_COLUMNS, load_captions, match_captions
from imagen_bench.data.references import IMAGE_COLUMN, FolderImageSet, ParquetImageSet, open_image_set
from imagen_bench.errors import InputError
from imagen_bench.files import sha256_bytes, sha256_file
from imagen_bench.human.arms import PromptSamples, ReferenceArm, ShownSample

_BUNDLED_IMAGES = "images.parquet"


def run_reference(run: Path) -> ReferenceArm:
    """Return the reference set that a run was scored against, as an arm.

    Raises:
        InputError: The run has none, or only its statistics.
    """
    name = RunFolder.open(run).run.get("config", {}).get("scores", {}).get("reference")
    if not name:
        raise InputError(f"{run} was scored against no reference set; give the real images with --reference")
    source = asset(BUNDLED[name]).with_name(_BUNDLED_IMAGES) if name in BUNDLED else Path(with_home(name))
    if source.suffix == ".safetensors":
        raise InputError(f"{run} was scored against the statistics {name}; give the real images with --reference")
    return ReferenceArm(source)


def read_reference(arm: ReferenceArm, prompts: Sequence[PromptSamples]) -> dict[str, PromptSamples]:
    """Find a real image for each prompt; every image is used once, and prompts without one are left out.

    Captions are compared without regard to case and to runs of blanks.

    Args:
        arm: The images.
        prompts: Prompts of the models, in their order.

    Returns:
        One image a prompt, by prompt id, in the order of `prompts`.

    Raises:
        InputError: The images or captions cannot be read, or no prompt has an image.
    """
    by_caption = arm.captions is not None or isinstance(open_image_set(arm.images), ParquetImageSet)
    keys = {row.prompt_id: _plain(row.prompt if by_caption else row.prompt_id) for row in prompts}
    wanted = set(keys.values())
    pools: dict[str, list[ShownSample]] = {}
    for key, sample in _candidates(arm, wanted):
        pools.setdefault(key, []).append(sample)
    used: set[Path] = set()
    found: dict[str, PromptSamples] = {}
    for row in prompts:
        pool = pools.get(keys[row.prompt_id], [])
        match = next((sample for sample in pool if sample.path not in used), None)
        if match is not None:
            used.add(match.path)
            found[row.prompt_id] = PromptSamples(row.prompt_id, row.prompt, row.category, (match,))
    if not found:
        how = "captions that are prompts of the run" if by_caption else "file names that are prompt ids, or --captions"
        raise InputError(f"{arm.images} has no image for any of the {len(prompts)} prompts; expected {how}")
    return found


def _candidates(arm: ReferenceArm, wanted: Set[str]) -> Iterator[tuple[str, ShownSample]]:
    """Yield each image that is wanted, with what it is matched by: its captions or its name."""
    images = open_image_set(arm.images)
    if isinstance(images, FolderImageSet):
        texts = [[PurePosixPath(name).stem] for name in images.names]
        if arm.captions is not None:
            matched = match_captions(images.names, load_captions(arm.captions))
            texts = [[caption.text for caption in captions] for captions in matched]
        for path, keys in zip(images.paths, texts, strict=True):
            fitting = wanted & {_plain(key) for key in keys}
            if fitting:
                sample = ShownSample(0, None, path, sha256_file(path))
                yield from ((key, sample) for key in fitting)
    elif arm.captions is not None:
        raise InputError(f"{arm.images} holds its own captions; leave --captions out")
    else:
        for file in [arm.images] if arm.images.is_file() else sorted(arm.images.rglob("*.parquet")):
            yield from _parquet_candidates(file, wanted)


def _parquet_candidates(file: Path, wanted: Set[str]) -> Iterator[tuple[str, ShownSample]]:
    import pyarrow.parquet as pq

    names = pq.read_schema(file).names
    column = next((name for name in CAPTION_COLUMNS if name in names), None)
    if column is None:
        raise InputError(f"{file} has columns {', '.join(names)}; expected one of {', '.join(CAPTION_COLUMNS)} too")
    number = 0
    for batch in pq.ParquetFile(file).iter_batches(batch_size=256, columns=[IMAGE_COLUMN, column]):
        for row in batch.to_pylist():
            # COCO's parquet editions hold all captions of an image in one cell.
            texts = row[column] if isinstance(row[column], list) else [row[column]]
            fitting = wanted & {_plain(str(text)) for text in texts}
            if fitting:
                data = row[IMAGE_COLUMN]["bytes"]
                sample = ShownSample(0, None, file / f"row {number}", sha256_bytes(data), data)
                yield from ((key, sample) for key in fitting)
            number += 1


def _plain(text: str) -> str:
    return " ".join(text.casefold().split())
