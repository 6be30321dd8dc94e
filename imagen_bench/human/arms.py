"""The arms of a study: which samples of which run, or which real images, are shown for each prompt."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from imagen_bench.bench.run_folder import RunFolder
from imagen_bench.errors import InputError, ProtocolError, RunFolderError
from imagen_bench.files import digest_json, sha256_bytes

IMAGEN_SAMPLES_PER_SIDE = 8


@dataclass(frozen=True)
class Arm:
    """A model in the study: the images of a run at one guidance weight.

    Attributes:
        label: Name in the results; never shown to raters.
        run: Run folder with the images.
        guidance_weight: Weight of the run's sweep whose images are shown.
    """

    label: str
    run: Path
    guidance_weight: float


@dataclass(frozen=True)
class ReferenceArm:
    """Real images in the study.

    Attributes:
        images: Folder of images, or parquet file of images with a caption column.
        captions: Caption file of a folder; None where the images are named `<prompt id>.png` or so.
        label: Name in the results; never shown to raters.
    """

    images: Path
    captions: Path | None = None
    label: str = "reference"


@dataclass(frozen=True)
class ShownSample:
    """One image of a set.

    Attributes:
        index: Its index in the run; 0 for a real image.
        seed: Its seed in the run; None for a real image.
        path: Its file, or what to call it in messages where `data` holds it.
        sha256: The digest that the run recorded, or that the file had when it was matched.
        data: Content of the image file, where it comes out of a larger file.
    """

    index: int
    seed: int | None
    path: Path
    sha256: str
    data: bytes | None = None

    def content(self) -> bytes:
        """Return the image file's bytes.

        Raises:
            RunFolderError: The file is gone or is not the image that was recorded.
        """
        try:
            data = self.path.read_bytes() if self.data is None else self.data
        except OSError as error:
            raise RunFolderError(f"cannot read {self.path} ({error.strerror}); restore it or run again") from error
        if sha256_bytes(data) != self.sha256:
            raise RunFolderError(f"{self.path} is not the image that the run recorded; restore it or run again")
        return data


@dataclass(frozen=True)
class PromptSamples:
    """The images of one prompt in one arm, in the order of their index."""

    prompt_id: str
    prompt: str
    category: str
    samples: tuple[ShownSample, ...]


ArmSamples = Mapping[str, PromptSamples]


def run_weights(run: Path) -> tuple[float, ...]:
    """Return the guidance weights that a run has images of, ascending.

    Raises:
        RunFolderError: No run folder, or a run without images.
    """
    frame = RunFolder.open(run).samples()
    if frame.empty:
        raise RunFolderError(f"{run} holds no finished images yet; finish the run first")
    return tuple(sorted({float(weight) for weight in frame["guidance_weight"]}))


def read_arm(arm: Arm) -> dict[str, PromptSamples]:
    """Read an arm's samples by prompt id, in the run's order.

    Raises:
        RunFolderError: No run folder, or a run without images.
        InputError: The run has no images at the arm's guidance weight; the message lists those it has.
    """
    weights = run_weights(arm.run)
    if arm.guidance_weight not in weights:
        known = ", ".join(f"{weight:g}" for weight in weights)
        raise InputError(f"{arm.run} has no images at guidance weight {arm.guidance_weight:g}; choose one of {known}")
    folder = RunFolder.open(arm.run)
    frame = folder.samples()
    frame = frame[frame["guidance_weight"] == arm.guidance_weight].sort_values("index", kind="stable")
    found: dict[str, PromptSamples] = {}
    for prompt_id, rows in frame.groupby("prompt_id", sort=True):
        samples = [
            ShownSample(int(row["index"]), int(row["seed"]), folder.image(row), str(row["sha256"]))
            for _, row in rows.iterrows()
        ]
        first = rows.iloc[0]
        found[str(prompt_id)] = PromptSamples(
            str(prompt_id), str(first["prompt"]), str(first["category"]), tuple(samples)
        )
    return found


def check_pair(first: ArmSamples, second: ArmSamples, names: tuple[str, str]) -> None:
    """Check that two arms answered the same prompts.

    Args:
        first: Samples of one arm.
        second: Samples of the other.
        names: Their labels, for messages.

    Raises:
        ProtocolError: A prompt is missing in one arm, or has another text or category there.
    """
    for left, right, name in ((first, second, names[1]), (second, first, names[0])):
        missing = [prompt_id for prompt_id in left if prompt_id not in right]
        if missing:
            raise ProtocolError(
                f"{name} has no image of {len(missing)} prompts of the other run ({missing[0]} first); "
                "compare finished runs of the same prompts"
            )
    for prompt_id, one in first.items():
        other = second[prompt_id]
        if (one.prompt, one.category) != (other.prompt, other.category):
            raise ProtocolError(
                f"prompt {prompt_id} is {one.prompt!r} [{one.category}] in {names[0]} and {other.prompt!r} "
                f"[{other.category}] in {names[1]}; compare runs of the same prompt set"
            )


def samples_per_side(arms: Iterable[ArmSamples], asked: int | None) -> int:
    """Return how many images each side shows: what was asked for, else as many as all prompts have, up to 8.

    Imagen's raters saw 8 random samples a side (arXiv 2205.11487, appendix C).

    Raises:
        InputError: More are asked for than a prompt has.
    """
    fewest = min(len(row.samples) for arm in arms for row in arm.values())
    if asked is not None and asked > fewest:
        raise InputError(
            f"{asked} samples per side were asked for, but a prompt has only {fewest}; "
            f"ask for at most {fewest}, or run with more samples per prompt"
        )
    return min(fewest, IMAGEN_SAMPLES_PER_SIDE) if asked is None else asked


def choose_prompts(arm: ArmSamples, limit: int | None, seed: int) -> list[str]:
    """Choose which prompts the study shows: all, or `limit` drawn at random and evenly over the categories.

    Returns:
        Prompt ids in the arm's order.
    """
    if limit is None or limit >= len(arm):
        return list(arm)
    rng = random.Random(seed)
    pools: dict[str, list[str]] = {}
    for prompt_id, row in arm.items():
        pools.setdefault(row.category, []).append(prompt_id)
    for pool in pools.values():
        rng.shuffle(pool)
    deepest = max(map(len, pools.values()))
    turns = [pool[turn] for turn in range(deepest) for pool in pools.values() if turn < len(pool)]
    chosen = set(turns[:limit])
    return [prompt_id for prompt_id in arm if prompt_id in chosen]


def keep(arm: ArmSamples, prompt_ids: Sequence[str], count: int | None = None) -> dict[str, PromptSamples]:
    """Return the arm with these prompts and the `count` first samples of each; all samples for None."""
    rows = [arm[prompt_id] for prompt_id in prompt_ids]
    return {row.prompt_id: PromptSamples(row.prompt_id, row.prompt, row.category, row.samples[:count]) for row in rows}


def samples_digest(arm: ArmSamples) -> str:
    """Return a digest of what an arm shows: prompts, sample indices, seeds and image digests."""
    return digest_json(
        [
            [
                row.prompt_id,
                row.prompt,
                row.category,
                [[shown.index, shown.seed, shown.sha256] for shown in row.samples],
            ]
            for row in arm.values()
        ]
    )
