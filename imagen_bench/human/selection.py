"""Which samples a study shows: the prompts that all arms answer, and as many images of each as are asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from imagen_bench.errors import InputError
from imagen_bench.human.arms import (
    Arm,
    PromptSamples,
    ReferenceArm,
    check_pair,
    choose_prompts,
    keep,
    read_arm,
    samples_per_side,
)
from imagen_bench.human.design import Design
from imagen_bench.human.reference_arm import read_reference

Rows = Mapping[str, PromptSamples]


@dataclass(frozen=True)
class Selection:
    """The samples of a study; all arms hold the same prompts in the same order.

    Attributes:
        shown: What real items show, for each arm's label.
        pool: The same and, where there are controls, all other prompts with enough samples.
        reference: Label of the real images, if they are an arm.
        samples_per_side: Images in each set.
        warnings: What was left out.
    """

    shown: Mapping[str, Rows]
    pool: Mapping[str, Rows]
    reference: str | None
    samples_per_side: int
    warnings: tuple[str, ...]

    @property
    def prompts(self) -> list[str]:
        """Ids of the prompts that real items show."""
        return list(next(iter(self.shown.values())))

    @property
    def spare(self) -> list[str]:
        """Ids of the prompts of the pool that no real item shows."""
        shown = set(self.prompts)
        return [prompt_id for prompt_id in next(iter(self.pool.values())) if prompt_id not in shown]


def select_samples(
    arms: Sequence[Arm | ReferenceArm], design: Design, samples: int | None, prompts: int | None
) -> Selection:
    """Read the arms and choose what is shown.

    Raises:
        InputError: No run among the arms, two sets of real images, the same arm twice, or a number that does
            not fit.
        ProtocolError: The runs are of different prompts.
        RunFolderError: A run is broken.
    """
    for name, value in (("samples_per_side", samples), ("prompts", prompts)):
        if value is not None and value < 1:
            raise InputError(f"{name} is {value}, expected at least 1")
    if samples is not None and samples > 1 and design.mode != "sxs":
        raise InputError(f"mode {design.mode} shows single images, found {samples} samples per side; leave it out")
    read, warnings = _read_arms(arms)
    reference = next((arm.label for arm in arms if isinstance(arm, ReferenceArm)), None)
    first = next(iter(read.values()))
    chosen = choose_prompts(first, prompts, design.seed)
    asked = samples if design.mode == "sxs" else 1
    count = samples_per_side([keep(rows, chosen) for rows in read.values()], asked)
    enough = [prompt_id for prompt_id in first if min(len(rows[prompt_id].samples) for rows in read.values()) >= count]
    pool = enough if design.controls else chosen
    return Selection(
        {label: keep(rows, chosen, count) for label, rows in read.items()},
        {label: keep(rows, pool, count) for label, rows in read.items()},
        reference,
        count,
        tuple(warnings),
    )


def _read_arms(arms: Sequence[Arm | ReferenceArm]) -> tuple[dict[str, Rows], list[str]]:
    """Return the arms' samples by label, restricted to the prompts that have a real image, and what was left out."""
    models = [arm for arm in arms if isinstance(arm, Arm)]
    references = [arm for arm in arms if isinstance(arm, ReferenceArm)]
    _check_arms(models, references)
    read: dict[str, Rows] = {arm.label: read_arm(arm) for arm in models}
    first = models[0].label
    for arm in models[1:]:
        check_pair(read[first], read[arm.label], (first, arm.label))
        # The same prompts in one order.
        read[arm.label] = keep(read[arm.label], list(read[first]))
    if not references:
        return read, []
    real = read_reference(references[0], list(read[first].values()))
    lost = len(read[first]) - len(real)
    warnings = [f"{lost} of {len(read[first])} prompts have no real image and are left out"] if lost else []
    kept: dict[str, Rows] = {label: keep(rows, list(real)) for label, rows in read.items()}
    return {**kept, references[0].label: real}, warnings


def _check_arms(models: Sequence[Arm], references: Sequence[ReferenceArm]) -> None:
    if not models:
        raise InputError("a study shows the images of at least one run, found none; name a run folder")
    if len(references) > 1:
        raise InputError(f"found {len(references)} sets of real images, expected at most one; export several studies")
    seen: set[tuple[str, float]] = set()
    for arm in models:
        place = (str(arm.run.resolve()), arm.guidance_weight)
        if place in seen:
            raise InputError(
                f"two arms are {arm.run} at guidance weight {arm.guidance_weight:g}; choose arms that differ"
            )
        seen.add(place)
    labels = [arm.label for arm in models] + [arm.label for arm in references]
    twice = next((label for label in labels if labels.count(label) > 1), None)
    if twice is not None:
        raise InputError(f"two arms are labelled {twice!r}; give them different labels")
