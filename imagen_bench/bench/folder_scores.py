"""The scores of a folder of images, as text for programs: JSON and CSV."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from imagen_bench.bench.run_folder import SCORE_COLUMNS
from imagen_bench.metrics.base import MetricResult

if TYPE_CHECKING:
    from imagen_bench.bench.reference import Reference
    from imagen_bench.data.hygiene import HygieneReport


@dataclass(frozen=True)
class ScoreRow:
    """A score, of all images (category "all") or of one category, with the protocol that made it."""

    category: str
    result: MetricResult
    protocol: str
    words: str


@dataclass(frozen=True)
class FolderScores:
    """The scores of a set of images, and how they were made.

    Attributes:
        images: Name of the set.
        n: Number of images.
        prompt_set: Key of the captions, as it enters the protocols.
        extractors: Id of the extractor of each feature space.
        reference: The reference set, if there is one.
        rows: The scores.
        warnings: What a reader of the scores has to know, one sentence each.
        hygiene: What was found about the images before they were scored.
    """

    images: str
    n: int
    prompt_set: str
    extractors: dict[str, str]
    reference: Reference | None
    rows: tuple[ScoreRow, ...]
    warnings: tuple[str, ...]
    hygiene: HygieneReport

    def to_json(self) -> dict[str, Any]:
        """Return everything but the scores of single samples, as JSON-able values."""
        reference = self.reference
        return {
            "schema": 1,
            "images": self.images,
            "n": self.n,
            "prompt_set": self.prompt_set,
            "extractor": next(iter(self.extractors.values())),
            "extractors": self.extractors,
            "reference": reference and reference.describe(),
            "scores": [
                {
                    "metric": row.result.name,
                    "label": row.result.label,
                    "category": row.category,
                    "value": row.result.value,
                    "low": row.result.low,
                    "high": row.result.high,
                    "n": row.result.n,
                    "higher_is_better": row.result.higher_is_better,
                    **({"details": dict(row.result.details)} if row.result.details else {}),
                    "protocol": row.protocol,
                    "protocol_words": row.words,
                }
                for row in self.rows
            ],
            "warnings": list(self.warnings),
            "hygiene": self.hygiene.to_json(),
        }

    def to_csv(self) -> str:
        """Return the scores in the columns of a run folder's scores.csv; the guidance weight is unknown."""
        import csv

        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(SCORE_COLUMNS)
        for row in self.rows:
            result = row.result
            numbers = (result.value, result.low, result.high, result.n)
            prompts = self.prompt_set.partition("@")[0]
            writer.writerow([self.images, prompts, None, row.category, result.name, *numbers, row.protocol])
        return text.getvalue()
