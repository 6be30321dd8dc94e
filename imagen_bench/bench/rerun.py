"""Repeating a run from its run.json, and saying how far images and scores of the two agree."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from imagen_bench.bench.run_folder import RunFolder
from imagen_bench.bench.same_run import config_differences
from imagen_bench.errors import RunFolderError

if TYPE_CHECKING:
    import pandas as pd

SCORE_TOLERANCE = 1e-6
"""Relative difference up to which scores of the same images count as equal."""
IMAGE_TOLERANCE = 1
"""Levels of 255 by which a pixel may differ: another CPU, GPU or library rounds otherwise."""
_SAMPLE_KEY = ["guidance_weight", "prompt_id", "index"]
_SCORE_KEY = ["guidance_weight", "category", "metric"]


@dataclass(frozen=True)
class Agreement:
    """How a repetition compares with its original.

    Attributes:
        images: Samples of the original.
        identical: Those of them whose image files are equal.
        missing: Those that the repetition lacks.
        largest_difference: Largest difference of a pixel, in levels of 255; None where images of a sample have
            other sizes.
        scores: Scores of the original.
        missing_scores: Those that the repetition lacks.
        largest_score_difference: Largest relative difference of a score.
        versions: Library versions that differ, one sentence each.
    """

    images: int
    identical: int
    missing: int
    largest_difference: int | None
    scores: int
    missing_scores: int
    largest_score_difference: float
    versions: tuple[str, ...]

    @property
    def images_agree(self) -> bool:
        """Whether every image is there and no pixel differs by more than `IMAGE_TOLERANCE`."""
        largest = self.largest_difference
        return not self.missing and largest is not None and largest <= IMAGE_TOLERANCE

    @property
    def scores_agree(self) -> bool:
        """Whether every score is there and differs by at most `SCORE_TOLERANCE`."""
        return not self.missing_scores and self.largest_score_difference <= SCORE_TOLERANCE

    @property
    def agrees(self) -> bool:
        """Whether images agree, and scores too where the images are the same files."""
        return self.images_agree and (self.scores_agree or self.identical < self.images)

    def words(self) -> str:
        """Return the comparison in lines for a terminal."""
        largest = self.largest_difference
        pixels = "sizes differ" if largest is None else f"largest difference of a pixel {largest} of 255"
        lines = [
            f"images   {self.identical:,} of {self.images:,} identical, {self.missing:,} missing; {pixels}",
            f"scores   {self.scores:,} compared, {self.missing_scores:,} missing; largest relative difference "
            f"{self.largest_score_difference:.3g}",
            *(f"version  {line}" for line in self.versions),
            f"verdict  {self._verdict()}",
        ]
        return "\n".join(lines)

    def _verdict(self) -> str:
        if self.images_agree and self.scores_agree:
            return "the same images and scores" if self.identical == self.images else "images agree, and scores too"
        if self.agrees:
            return f"images agree within {IMAGE_TOLERANCE} level; scores differ as such images do"
        return "NOT repeated: " + ("scores differ" if self.images_agree else "images differ")


def compare_with_original(original: RunFolder, again: RunFolder) -> Agreement:
    """Compare a repetition with the run that it repeats.

    Raises:
        RunFolderError: The original has no images.
    """
    before, now = original.samples(), again.samples()
    if before.empty:
        raise RunFolderError(f"{original.path} holds no images yet: there is nothing to compare a repetition with")
    joined = before.merge(now, on=_SAMPLE_KEY, how="left", suffixes=("", "_again"))
    there = joined[joined["path_again"].notna()]
    other = there[there["sha256"] != there["sha256_again"]]
    differences = [_largest_difference(original, again, row) for _, row in other.iterrows()]
    scores = original.scores().merge(again.scores(), on=_SCORE_KEY, how="left", suffixes=("", "_again"))
    found = scores[scores["value_again"].notna() | scores["value"].isna()]
    return Agreement(
        images=len(before),
        identical=len(there) - len(other),
        missing=len(joined) - len(there),
        largest_difference=None if None in differences else max((item for item in differences if item), default=0),
        scores=len(scores),
        missing_scores=len(scores) - len(found),
        largest_score_difference=_relative(found),
        versions=tuple(
            config_differences(original.run.get("versions", {}), again.run.get("versions", {}), ("then", "now"))
        ),
    )


def _largest_difference(original: RunFolder, again: RunFolder, row: pd.Series[Any]) -> int | None:
    from imagen_bench.images import read_image

    one, other = read_image(original.image(row)), read_image(again.path / row["path_again"])
    return int((one.int() - other.int()).abs().max()) if one.shape == other.shape else None


def _relative(scores: pd.DataFrame) -> float:
    difference = (scores["value"] - scores["value_again"]).abs()
    scale = scores["value"].abs().clip(lower=1e-12)
    largest = (difference / scale).max()
    return 0.0 if largest != largest else float(largest)
