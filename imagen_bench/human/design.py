"""The design of a study: its mode, which arms meet, the parts it is dealt into, and when raters are excluded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

from imagen_bench.errors import InputError
from imagen_bench.human.questions import Mode

MAX_SHEETS = 1000
MAX_SHARE = 0.5
DEFAULT_CONTROLS: dict[Mode, float] = {"sxs": 0.0, "photorealism": 0.1, "alignment": 0.1, "likert5": 0.0}
"""Share of control items: Imagen's COCO study had them, its DrawBench study and Otani et al. had none."""
TWO_SIDED: tuple[Mode, ...] = ("sxs", "photorealism")

Pair = tuple[str, str | None]
"""Labels of the two arms that meet, or of the one arm whose images are shown alone."""


@dataclass(frozen=True)
class Exclusion:
    """The rule by which raters are excluded, fixed before anyone answers.

    Attributes:
        min_control_pass: Smallest share of controls answered right (Imagen's COCO study: 0.8).
        min_answered: Smallest share of questions answered.
        speed_fraction: Raters faster than this share of the median are flagged, not excluded.
    """

    min_control_pass: float = 0.8
    min_answered: float = 0.5
    speed_fraction: float = 0.333


@dataclass(frozen=True)
class Design:
    """How a study is laid out.

    Attributes:
        mode: What is asked; a section of the questions.
        sheets: Sheets, one a rater, for each part of the study.
        by_category: Whether each category is a part of its own, as in Imagen's DrawBench study.
        items_per_sheet: Largest number of real items in a part; None for no such limit.
        controls: Items with a known answer, as a share of the real ones.
        repeats: Items shown again with sides swapped, as a share of the real ones.
        seed: Draws prompts and, together with the study's secret, sides and orders.
    """

    mode: Mode = "sxs"
    sheets: int = 2
    by_category: bool = False
    items_per_sheet: int | None = None
    controls: float = 0.0
    repeats: float = 0.0
    seed: int = 0

    @property
    def two_sided(self) -> bool:
        """Whether an item shows two pictures."""
        return self.mode in TWO_SIDED


def check_design(design: Design, exclusion: Exclusion) -> None:
    """Check the numbers of a design.

    Raises:
        InputError: A number is out of its range, or two ways of making parts are asked for.
    """
    for name, value in (("sheets", design.sheets), ("items_per_sheet", design.items_per_sheet)):
        if value is not None and value < 1:
            raise InputError(f"{name} is {value}, expected at least 1")
    if design.sheets > MAX_SHEETS:
        raise InputError(f"sheets is {design.sheets}, expected at most {MAX_SHEETS}; export several studies")
    if design.by_category and design.items_per_sheet is not None:
        raise InputError("both by_category and items_per_sheet are given; choose one way of making parts")
    for name, share in (("controls", design.controls), ("repeats", design.repeats)):
        if not 0 <= share <= MAX_SHARE:
            raise InputError(f"{name} is {share:g}, expected a share of the items from 0 to {MAX_SHARE:g}")
    for name in ("min_control_pass", "min_answered", "speed_fraction"):
        limit: float = getattr(exclusion, name)
        if not 0 <= limit <= 1:
            raise InputError(f"{name} is {limit:g}, expected a share from 0 to 1")


def choose_pairs(
    labels: Sequence[str],
    reference: str | None,
    mode: Mode,
    asked: Sequence[tuple[str, str]] = (),
    baseline: str | None = None,
) -> list[Pair]:
    """Return which arms meet.

    Args:
        labels: Labels of all arms, the reference included.
        reference: Label of the real images, if they are an arm.
        mode: One-image modes show every arm alone; `photorealism` sets every model against the reference.
        asked: Pairs by label or by number, counted from 1; empty for all pairs.
        baseline: An arm, by label or number, that all others are set against.

    Raises:
        InputError: Too few arms, an unknown label, or a pair that cannot be.
    """
    if mode not in TWO_SIDED:
        if asked or baseline:
            raise InputError(f"mode {mode} shows one image at a time, so no arms are paired; leave pairs out")
        return [(label, None) for label in labels]
    if mode == "photorealism":
        if reference is None or len(labels) < 2:
            raise InputError("mode photorealism sets models against real images; give --reference and at least one run")
        if asked or baseline:
            raise InputError("mode photorealism sets every model against the real images; leave pairs out")
        return [(label, reference) for label in labels if label != reference]
    if len(labels) < 2:
        raise InputError(f"mode {mode} compares at least two arms, found {len(labels)}; name another run")
    if asked and baseline:
        raise InputError("both pairs and a baseline are given; choose one")
    if baseline is not None:
        fixed = _label(baseline, labels)
        return [(label, fixed) for label in labels if label != fixed]
    return _asked_pairs(asked, labels) if asked else list(combinations(labels, 2))


def _asked_pairs(asked: Sequence[tuple[str, str]], labels: Sequence[str]) -> list[Pair]:
    pairs: list[Pair] = []
    for one, other in asked:
        pair = (_label(one, labels), _label(other, labels))
        if pair[0] == pair[1]:
            raise InputError(f"pair {one}:{other} sets an arm against itself; choose two that differ")
        if pair in pairs or pair[::-1] in pairs:
            raise InputError(f"pair {one}:{other} is asked for twice; name each pair once")
        pairs.append(pair)
    return pairs


def _label(name: str, labels: Sequence[str]) -> str:
    """Return the label that a name or a number means."""
    if name in labels:
        return name
    if name.isdecimal() and 1 <= int(name) <= len(labels):
        return labels[int(name) - 1]
    numbered = ", ".join(f"{number} {label}" for number, label in enumerate(labels, start=1))
    raise InputError(f"no arm {name!r}; choose by label or number: {numbered}")
