"""Scoring images that were made elsewhere: a folder (or parquet), with captions, a reference set, or both."""

from __future__ import annotations

import io
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imagen_bench.bench.progress import progress_bar
from imagen_bench.bench.protocol import prompt_set_key, protocol_id, protocol_words
from imagen_bench.bench.reference import open_reference
from imagen_bench.bench.run_folder import SCORE_COLUMNS
from imagen_bench.data.captions import Caption, load_captions, match_captions
from imagen_bench.data.references import ImageSet, open_image_set
from imagen_bench.errors import ConfigError, InputError
from imagen_bench.files import digest_json
from imagen_bench.metrics.base import FeatureBatch, Metric, MetricContext, MetricResult, metrics

if TYPE_CHECKING:
    from imagen_bench.metrics.extractors import Extractor
    from imagen_bench.metrics.statistics import GaussianStatistics

DEFAULT_METRICS = ("clip_score", "fd")
OVERALL = "all"
_NEEDED = {
    "captions": "captions: give --captions FILE",
    "reference": "a reference set: give --reference DIR, PARQUET or STATS",
}
_FEW_PER_DIMENSION = 10


@dataclass(frozen=True)
class ScoreOptions:
    """What to score, and against what.

    Attributes:
        images: Folder of images, or a parquet file of images.
        captions: Caption file.
        reference: Bundled name, folder, parquet file or statistics file.
        extractor: Name of the extractor.
        metrics: Names of the metrics; empty for all of `DEFAULT_METRICS` whose needs are met.
        batch_size: Images a call of the extractor; moves no score.
        device: Torch device of the extractor, or "auto".
        seed: Seed of whatever an interval draws.
    """

    images: Path
    captions: Path | None = None
    reference: str | None = None
    extractor: str = "imagen-emoji"
    metrics: tuple[str, ...] = ()
    batch_size: int = 32
    device: str = "auto"
    seed: int = 0


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
        extractor: Id of the extractor.
        reference: Moments of the reference set, if there is one.
        rows: The scores.
        warnings: What a reader of the scores has to know, one sentence each.
    """

    images: str
    n: int
    prompt_set: str
    extractor: str
    reference: GaussianStatistics | None
    rows: tuple[ScoreRow, ...]
    warnings: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Return everything but the scores of single samples, as JSON-able values."""
        reference = self.reference
        return {
            "schema": 1,
            "images": self.images,
            "n": self.n,
            "prompt_set": self.prompt_set,
            "extractor": self.extractor,
            "reference": reference and {"id": reference.name, "digest": reference.digest, "n": reference.n},
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
                    "protocol": row.protocol,
                    "protocol_words": row.words,
                }
                for row in self.rows
            ],
            "warnings": list(self.warnings),
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


def score_folder(options: ScoreOptions, progress: bool = False) -> FolderScores:
    """Score a set of images.

    Args:
        options: What to score.
        progress: Show a bar on stderr.

    Raises:
        InputError: Images or captions are broken or do not match, or a metric lacks what it needs.
        ConfigError: An unknown metric, or one given twice.
        ModelError: The extractor cannot be opened.
        ProtocolError: Reference statistics of another extractor.
    """
    names = _chosen_metrics(options)
    images = open_image_set(options.images)
    captions = None
    if options.captions is not None:
        captions = match_captions(images.names, load_captions(options.captions))
    extractor = _open_extractor(options)
    reference = open_reference(options.reference, extractor) if options.reference is not None else None
    context = MetricContext(extractor.short_name, reference, options.seed)
    chosen = [metrics.get(name)(context) for name in names]
    prompts = _Prompts(options, images, captions)
    _feed(chosen, images, prompts, extractor, options.batch_size, progress)
    rows = tuple(row for metric in chosen for row in _score_rows(metric, prompts, extractor, reference))
    warnings = (*prompts.warnings, *_warnings(rows, images, extractor, reference))
    return FolderScores(images.name, len(images), prompts.key, extractor.id, reference, rows, warnings)


class _Prompts:
    """The prompt of each image, as metrics and protocols see it; without captions, the image's own name."""

    def __init__(self, options: ScoreOptions, images: ImageSet, captions: list[tuple[Caption, ...]] | None) -> None:
        self.warnings: list[str] = []
        if captions is None:
            self.texts: tuple[str, ...] = ()
            self.clusters: tuple[str, ...] = images.names
            self.categories: tuple[str, ...] = ()
            self.key = prompt_set_key("no-prompts", "none", digest_json([]))
        else:
            first = [several[0] for several in captions]
            self.texts = self.clusters = tuple(caption.text for caption in first)
            self.categories = tuple(c.category for c in first) if any(c.category for c in first) else ()
            digest = digest_json(sorted([c.text, c.category] for c in first))
            self.key = prompt_set_key(options.captions.stem if options.captions else "", "captions", digest)
            several = sum(len(of_image) > 1 for of_image in captions)
            if several:
                self.warnings.append(f"{several} image(s) have several captions: the first of each is its prompt")
        counts = set(Counter(self.clusters).values())
        self.samples_per_prompt = counts.pop() if len(counts) == 1 else 1


def _chosen_metrics(options: ScoreOptions) -> tuple[str, ...]:
    given = {need for need in _NEEDED if getattr(options, need) is not None}
    if not options.metrics:
        names = tuple(name for name in DEFAULT_METRICS if metrics.get(name).needs <= given)
        if not names:
            raise InputError("nothing to score with: give --captions FILE for clip_score, --reference for fd, or both")
        return names
    if len(set(options.metrics)) < len(options.metrics):
        raise ConfigError(f"metrics {', '.join(options.metrics)} hold one twice: give each once")
    for name in options.metrics:
        for need in sorted(metrics.get(name).needs - given):
            raise InputError(f"metric {name!r} needs {_NEEDED[need]}")
    return options.metrics


def _open_extractor(options: ScoreOptions) -> Extractor:
    from imagen_bench.metrics.extractors import open_extractor

    return open_extractor(options.extractor, options.device)


def _feed(
    chosen: list[Metric],
    images: ImageSet,
    prompts: _Prompts,
    extractor: Extractor,
    batch_size: int,
    progress: bool,
) -> None:
    """Extract the features of all images and their prompts, batch by batch, and give them to the metrics."""
    start = 0
    with progress_bar("score", total=len(images), show=progress) as bar:
        for batch in images.batches(batch_size):
            part = slice(start, start + len(batch))
            features = FeatureBatch(
                image=extractor.image_features(batch).numpy(),
                clusters=prompts.clusters[part],
                text=extractor.text_features(prompts.texts[part]).numpy() if prompts.texts else None,
                categories=prompts.categories[part],
            )
            for metric in chosen:
                metric.update(features)
            start += len(batch)
            bar.update(len(batch))


def _score_rows(
    metric: Metric, prompts: _Prompts, extractor: Extractor, reference: GaussianStatistics | None
) -> list[ScoreRow]:
    overall = metric.compute()
    used = reference if "reference" in metric.needs else None
    against = f"{used.n:,} images of {used.name}" if used is not None else None
    common = (prompts.key, prompts.samples_per_prompt, extractor.id)
    identity = protocol_id(metric.name, *common, used.digest if used is not None else None, overall.n)
    words = protocol_words(metric.label, *common, against, overall.n)
    results = {OVERALL: overall, **metric.compute_categories()}
    return [ScoreRow(category, result, identity, words) for category, result in results.items()]


def _warnings(
    rows: tuple[ScoreRow, ...], images: ImageSet, extractor: Extractor, reference: GaussianStatistics | None
) -> list[str]:
    found = []
    n, dim = len(images), extractor.dim
    if any("reference" in metrics.get(row.result.name).needs for row in rows) and reference is not None:
        for count, what in ((n, "images"), (reference.n, f"images of the reference {reference.name}")):
            if count <= dim:
                found.append(
                    f"{count} {what} for {dim} feature dimensions: the covariance is rank-deficient, the "
                    "distance is mostly a matter of the number of images"
                )
            elif count < _FEW_PER_DIMENSION * dim:
                found.append(
                    f"{count} {what} for {dim} feature dimensions are few: the distance is biased upward, "
                    "compare it only with distances of as many images"
                )
        if images.digest == reference.digest:
            found.append("the images are those of the reference set: the distance says nothing")
    if extractor.truncated:
        found.append(f"{extractor.truncated} prompt(s) are longer than the extractor reads and were cut")
    without = sorted({row.result.label for row in rows if row.category == OVERALL and row.result.low is None})
    found += [f"{label}: too few prompts for an interval" for label in without]
    return found
