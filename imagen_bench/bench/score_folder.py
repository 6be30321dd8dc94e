"""Scoring images that were made elsewhere: a folder (or parquet), with captions, a reference set, or both."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imagen_bench.bench.folder_scores import FolderScores, ScoreRow
from imagen_bench.bench.metric_set import MetricSet, MetricUse, PromptSource, check_options, named_uses, open_metric_set
from imagen_bench.bench.progress import progress_bar
from imagen_bench.bench.protocol import prompt_set_key
from imagen_bench.bench.reference import reference_images
from imagen_bench.data.captions import Caption, load_captions, match_captions
from imagen_bench.data.hygiene import HygieneReport, check_images
from imagen_bench.data.references import ImageSet, open_image_set
from imagen_bench.errors import ConfigError, InputError
from imagen_bench.files import digest_json
from imagen_bench.metrics.base import FeatureBatch, Metric, metrics
from imagen_bench.metrics.resize import DEFAULT_RESIZE
from imagen_bench.metrics.statistics import save_statistics
from imagen_bench.metrics.weights import WeightsPlaces

if TYPE_CHECKING:
    from imagen_bench.metrics.extractors import ImageExtractor
    from imagen_bench.metrics.feature_pass import Features
    from imagen_bench.metrics.feature_spaces import SpaceOptions

DEFAULT_METRICS = ("clip_score", "fd")
OVERALL = "all"
_NEEDED = {
    "captions": "captions: give --captions FILE",
    "reference": "a reference set: give --reference DIR, PARQUET or STATS",
    "reference_features": "the images of a reference set: give --reference DIR or PARQUET",
}
_OPTION_OF = {"captions": "captions", "reference": "reference", "reference_features": "reference"}


@dataclass(frozen=True)
class ScoreOptions:
    """What to score, and against what.

    Attributes:
        images: Folder of images, or a parquet file of images.
        captions: Caption file.
        reference: Bundled name, folder, parquet file or statistics file.
        extractor: Name of the CLIP model.
        metrics: Names of the metrics; empty for all of `DEFAULT_METRICS` whose needs are met.
        batch_size: Images a call of the extractor; moves no score.
        device: Torch device of the extractor, or "auto".
        seed: Seed of whatever an interval draws.
        resize: Resize mode of the Inception network.
        weights: Where weights are looked for.
        metric_options: Options of single metrics, by metric.
        save_statistics: File for the reference's moments.
        concordance: FID in all resize modes instead of `metrics`.
        strict: Refuse images about which anything but a note is found.
    """

    images: Path
    captions: Path | None = None
    reference: str | None = None
    extractor: str = "imagen-emoji"
    metrics: tuple[str, ...] = ()
    batch_size: int = 32
    device: str = "auto"
    seed: int = 0
    resize: str = DEFAULT_RESIZE
    weights: WeightsPlaces = field(default_factory=WeightsPlaces)
    metric_options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    save_statistics: Path | None = None
    concordance: bool = False
    strict: bool = False

    def space_options(self) -> SpaceOptions:
        """Return how feature spaces are opened."""
        from imagen_bench.metrics.feature_spaces import SpaceOptions

        return SpaceOptions(self.extractor, self.resize, self.weights, self.device)


def score_folder(options: ScoreOptions, progress: bool = False) -> FolderScores:
    """Score a set of images.

    Args:
        options: What to score.
        progress: Show a bar on stderr.

    Raises:
        InputError: Images or captions are broken or do not match, or a metric lacks what it needs.
        ConfigError: An unknown metric, one given twice, or a wrong option of one.
        ModelError: An extractor cannot be opened.
        ProtocolError: Reference statistics of another extractor.
    """
    uses = _chosen_uses(options)
    check_options(uses, options.metric_options)
    _check_saved(options, uses)
    images = open_image_set(options.images)
    captions = None
    if options.captions is not None:
        captions = match_captions(images.names, load_captions(options.captions))
    spaces = _open_spaces(options, uses)
    against = _reference_source(options, uses)
    report = _looked_over(images, against, options.strict, progress)
    chosen = open_metric_set(
        uses,
        spaces,
        against,
        options.metric_options,
        options.seed,
        batch_size=options.batch_size,
        progress=progress,
    )
    prompts = _Prompts(options, images, captions)
    computed = {use: chosen.new_metric(use) for use in uses}
    _feed(chosen, computed, images, prompts, options.batch_size, progress)
    rows = tuple(row for use in uses for row in _score_rows(chosen, use, computed[use], prompts))
    warnings = (*prompts.warnings, *_warnings(rows, images, chosen))
    extractors = {space: extractor.id for space, extractor in chosen.spaces.items()}
    if options.save_statistics is not None and chosen.reference is not None:
        save_statistics(options.save_statistics, next(iter(chosen.reference.moments.values())))
    return FolderScores(images.name, len(images), prompts.key, extractors, chosen.reference, rows, warnings, report)


def _reference_source(options: ScoreOptions, uses: tuple[MetricUse, ...]) -> str | ImageSet | None:
    """Open the reference's images; a statistics file stays a name, and a reference that no metric needs is none."""
    needed = any(metrics.get(use.name).needs - {"captions"} for use in uses)
    if options.reference is None or not needed:
        return None
    return reference_images(options.reference) or options.reference


def _looked_over(images: ImageSet, against: str | ImageSet | None, strict: bool, progress: bool) -> HygieneReport:
    """Look the images over and refuse what cannot be scored, before the slow part."""
    with progress_bar("look over", total=len(images), show=progress) as bar:
        report = check_images(images, None if isinstance(against, str) else against, progress=bar.update)
    report.refuse(strict)
    return report


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
        self.source = PromptSource(self.key, counts.pop() if len(counts) == 1 else 1)


def _chosen_uses(options: ScoreOptions) -> tuple[MetricUse, ...]:
    """Return the metrics to compute, each of which has what it needs."""
    if options.concordance:
        from imagen_bench.bench.concordance import concordance_uses

        if options.metrics:
            raise ConfigError("concordance is FID in every resize mode: leave the metrics out, or the concordance")
        _check_needs(options, ("fid",))
        return concordance_uses()
    note = "" if options.resize == DEFAULT_RESIZE else f"{options.resize} resize"
    if options.metrics:
        if len(set(options.metrics)) < len(options.metrics):
            raise ConfigError(f"metrics {', '.join(options.metrics)} hold one twice: give each once")
        _check_needs(options, options.metrics)
        return named_uses(options.metrics, note)
    names = tuple(name for name in DEFAULT_METRICS if not _lacking(options, name))
    if not names:
        raise InputError("nothing to score with: give --captions FILE for clip_score, --reference for fd, or both")
    return named_uses(names, note)


def _lacking(options: ScoreOptions, name: str) -> list[str]:
    return sorted(need for need in metrics.get(name).needs if getattr(options, _OPTION_OF[need]) is None)


def _check_needs(options: ScoreOptions, names: tuple[str, ...]) -> None:
    for name in names:
        for need in _lacking(options, name):
            raise InputError(f"metric {name!r} needs {_NEEDED[need]}")


def _check_saved(options: ScoreOptions, uses: tuple[MetricUse, ...]) -> None:
    """Refuse to save the statistics of no feature space or of several, before anything is extracted."""
    if options.save_statistics is None:
        return
    if options.reference is not None and options.reference.endswith(".npz"):
        raise ConfigError(
            f"{options.reference!r} does not say its extractor or number of images, so it cannot be saved as "
            "statistics that do: give the reference images"
        )
    spaces = list(dict.fromkeys(use.space for use in uses if "reference" in metrics.get(use.name).needs))
    if len(spaces) != 1:
        found = f"these use {len(spaces)} ({', '.join(spaces)})" if spaces else "these use no moments of the reference"
        raise ConfigError(
            f"a statistics file holds one feature space, {found}: choose with --metrics one of fid, fd, fd_dinov2"
        )


def _open_spaces(options: ScoreOptions, uses: tuple[MetricUse, ...]) -> dict[str, ImageExtractor]:
    from imagen_bench.metrics.feature_spaces import open_spaces

    if options.concordance:
        from imagen_bench.bench.concordance import open_concordance_spaces

        return open_concordance_spaces(options.space_options())
    return open_spaces([use.space for use in uses], options.space_options())


def _feed(
    chosen: MetricSet,
    computed: Mapping[MetricUse, Metric],
    images: ImageSet,
    prompts: _Prompts,
    batch_size: int,
    progress: bool,
) -> None:
    """Extract the features of all images and their prompts, batch by batch, and give them to the metrics."""
    from imagen_bench.metrics.feature_pass import FeaturePass

    start = 0
    with progress_bar("score", total=len(images), show=progress) as bar:
        for features in FeaturePass(chosen.spaces).features(images.decoders(), batch_size):
            count = len(next(iter(features.values())))
            part = slice(start, start + count)
            texts = _text_features(chosen, prompts.texts[part])
            for use, metric in computed.items():
                metric.update(
                    FeatureBatch(
                        image=features[use.space],
                        clusters=prompts.clusters[part],
                        text=texts.get((use.space, metric.text_prefix)),
                        categories=prompts.categories[part],
                        text_prefix=metric.text_prefix,
                    )
                )
            start += count
            bar.update(count)


def _text_features(chosen: MetricSet, texts: tuple[str, ...]) -> dict[tuple[str, str], Features]:
    """Return the features of prompts by feature space and prefix."""
    found = {}
    for space, prefix in chosen.text_needs() if texts else ():
        found[space, prefix] = chosen.text_extractor(space).text_features([prefix + text for text in texts]).numpy()
    return found


def _score_rows(chosen: MetricSet, use: MetricUse, metric: Metric, prompts: _Prompts) -> list[ScoreRow]:
    overall = metric.compute()
    protocol = chosen.protocol(use, prompts.source, overall.n)
    results = {OVERALL: overall, **metric.compute_categories()}
    return [
        ScoreRow(category, chosen.labelled(use, result), protocol["id"], protocol["words"])
        for category, result in results.items()
    ]


def _warnings(rows: tuple[ScoreRow, ...], images: ImageSet, chosen: MetricSet) -> list[str]:
    found = [*chosen.foreign_weights(), *chosen.assumed(), *chosen.few_images(len(images))]
    if chosen.reference is not None and images.digest == chosen.reference.digest:
        found.append("the images are those of the reference set: the distance says nothing")
    if chosen.truncated():
        found.append(f"{chosen.truncated()} prompt(s) are longer than the extractor reads and were cut")
    without = sorted({row.result.label for row in rows if row.category == OVERALL and row.result.low is None})
    found += [f"{label}: too few prompts for an interval" for label in without]
    return found
