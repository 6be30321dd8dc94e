"""Evaluation: from a run's images to scores.csv, weight by weight.

Image features are extracted once a weight and text features once a run; both are cached. Scores are computed
from features in the fixed order of the samples table, so that they do not depend on how or in how many starts
the images were made.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from imagen_bench.bench.feature_cache import FeatureFile, Features, cached_features
from imagen_bench.bench.generate import used_prompts
from imagen_bench.bench.metric_set import MetricSet, MetricUse, PromptSource, check_options, named_uses, open_metric_set
from imagen_bench.bench.progress import progress_bar
from imagen_bench.bench.protocol import prompt_set_key
from imagen_bench.bench.reference_pass import extract_alone
from imagen_bench.bench.run_features import READ_BATCH, feature_file, finished_weights, image_features
from imagen_bench.bench.run_folder import (
    SAMPLE_SCORE_COLUMNS,
    SCORE_COLUMNS,
    RunFolder,
    frame_to_parquet,
)
from imagen_bench.config import RunConfig, ScoresSection
from imagen_bench.data.prompts import PromptSet
from imagen_bench.errors import ConfigError
from imagen_bench.files import atomic_write_text, sha256_bytes
from imagen_bench.metrics.base import FeatureBatch, MetricResult, metrics
from imagen_bench.metrics.extractors import Extractor, ImageExtractor, open_extractor
from imagen_bench.metrics.resize import DEFAULT_RESIZE
from imagen_bench.metrics.statistics import save_statistics
from imagen_bench.metrics.weights import WeightsPlaces

if TYPE_CHECKING:
    import pandas as pd

    from imagen_bench.bench.reference_pass import Extract

OVERALL = "all"
# Rows of features that metrics are given at once.
_CHUNK = 2048


@dataclass(frozen=True)
class Scoring:
    """Everything that a run's scores are made with, opened before the first image is.

    Attributes:
        metrics: The metrics with their extractors and reference set.
        prompts: The prompt set, as it enters protocols.
        categories: Categories of the prompts, in the order of the set.
        n: Images at each weight.
    """

    metrics: MetricSet
    prompts: PromptSource
    categories: tuple[str, ...]
    n: int

    @property
    def extractor(self) -> ImageExtractor:
        """The extractor of the first metric's features."""
        return next(iter(self.metrics.spaces.values()))

    def describe(self) -> dict[str, Any]:
        """Return the sections extractor, extractors, reference and protocols of run.json."""
        reference = self.metrics.reference
        return {
            "extractor": self.extractor.id,
            "extractors": {space: extractor.id for space, extractor in self.metrics.spaces.items()},
            "reference": reference.describe() if reference is not None else None,
            "protocols": {use.name: self.metrics.protocol(use, self.prompts, self.n) for use in self.metrics.uses},
        }

    def notes(self, truncated: int) -> list[str]:
        """Return what a reader of the scores has to know, one sentence each.

        Args:
            truncated: Number of prompts that the extractor had to cut.
        """
        found = [*self.metrics.foreign_weights(), *self.metrics.assumed()]
        if truncated:
            found.append(f"{truncated} prompts are longer than the extractor reads; their ends are not scored")
        reference = self.metrics.reference
        dims = {self.metrics.spaces[space].dim for space in reference.moments} if reference is not None else set()
        for dim in sorted(dims):
            if reference is not None and min(self.n, reference.n or self.n) <= dim:
                found.append(
                    f"{self.n} images and {reference.n or 'unknown'} reference images for {dim} feature "
                    "dimensions: a covariance is rank-deficient; compare distances of as many images alone"
                )
        return found


def open_scoring(
    config: RunConfig, prompts: PromptSet, run: Path, progress: bool = False, extract: Extract = extract_alone
) -> Scoring:
    """Open extractors and reference set and check that the metrics can be computed with them.

    Args:
        config: The run's configuration.
        prompts: Its prompt set, unlimited.
        run: The run folder, which may hold the reference's moments from an earlier start; nothing is written there.
        progress: Show a bar on stderr while a reference set is read.
        extract: Extracts the features of the reference images.

    Raises:
        ConfigError: Unknown metric, one given twice, or one that needs a reference set where none is
        configured. ImagenBenchError: An extractor or the reference set cannot be opened.
    """
    uses = _uses(config.scores)
    check_options(uses, config.scores.options)
    spaces = _open_spaces(config.scores, uses)
    rows = used_prompts(config, prompts)
    return Scoring(
        metrics=open_metric_set(
            uses,
            spaces,
            config.scores.reference,
            config.scores.options,
            config.seed,
            earlier=lambda extractor: feature_file(run, extractor, "reference"),
            progress=progress,
            extract=extract,
        ),
        prompts=PromptSource(
            prompt_set_key(prompts.id, prompts.version, prompts.digest), config.prompts.samples_per_prompt
        ),
        categories=tuple(dict.fromkeys(row.category for row in rows)),
        n=len(rows) * config.prompts.samples_per_prompt,
    )


def _uses(scores: ScoresSection) -> tuple[MetricUse, ...]:
    names = scores.metrics
    if len(set(names)) < len(names):
        raise ConfigError(f"scores.metrics {list(names)} holds a metric twice; give each once")
    if not names:
        raise ConfigError("scores.metrics is empty: name at least one metric")
    needing = [name for name in names if metrics.get(name).needs & {"reference", "reference_features"}]
    if needing and scores.reference is None:
        raise ConfigError(
            f"metric '{needing[0]}' compares with a reference set, found no scores.reference; "
            "name a folder, a parquet file, a statistics file or a bundled set, or leave the metric out"
        )
    resize = scores.resize or DEFAULT_RESIZE
    return named_uses(names, "" if resize == DEFAULT_RESIZE else f"{resize} resize")


def check_metrics(config: RunConfig) -> None:
    """Check what a run is to be scored with, as far as that costs nothing.

    Raises:
        ConfigError: As `open_scoring`.
    """
    _uses(config.scores)


def open_extractors(config: RunConfig) -> dict[str, ImageExtractor]:
    """Open the extractors of a run by feature space, without what they are compared with.

    Raises:
        ImagenBenchError: As `open_scoring`.
    """
    return _open_spaces(config.scores, _uses(config.scores))


def _open_spaces(scores: ScoresSection, uses: Sequence[MetricUse]) -> dict[str, ImageExtractor]:
    from imagen_bench.metrics.feature_spaces import SpaceOptions, open_spaces

    options = SpaceOptions(scores.extractor, scores.resize or DEFAULT_RESIZE, WeightsPlaces(scores.weights))
    return open_spaces([use.space for use in uses], options, open_extractor)


def evaluate_run(folder: RunFolder, scoring: Scoring, progress: bool = False) -> int:
    """Score the finished weights of a run; write scores.csv and samples_scores.parquet.

    A weight that lacks images is left out, so that all scores of a file have one protocol.

    Args:
        folder: The run folder.
        scoring: What to score with.
        progress: Show a bar on stderr.

    Returns:
        The number of weights scored.
    """
    samples = folder.samples()
    finished = finished_weights(samples, scoring.n)
    texts = _text_features(folder, scoring, sorted(set(samples["prompt"])))
    score_rows: list[list[Any]] = []
    sample_rows: list[pd.DataFrame] = []
    total = len(finished) * len(scoring.metrics.uses)
    with progress_bar("scores", total=total, show=progress, unit="score") as bar:
        for weight, rows in finished.items():
            features = image_features(folder, scoring.metrics.spaces, weight, rows)
            for use in scoring.metrics.uses:
                results, per_sample = _score(scoring, use, rows, features[use.space], texts)
                score_rows += _tidy(folder, scoring, weight, use, results)
                sample_rows += per_sample
                bar.update()
    _write_scores(folder, score_rows, sample_rows)
    return len(finished)


def keep_reference(folder: RunFolder, scoring: Scoring) -> None:
    """Write the reference set's moments into the run folder: the next start need not extract them."""
    if scoring.metrics.reference is not None and scoring.metrics.reference.n:
        for space, moments in scoring.metrics.reference.moments.items():
            save_statistics(feature_file(folder.path, scoring.metrics.spaces[space], "reference"), moments)


Texts = Mapping[tuple[str, str], Mapping[str, Features]]
"""Features of each text, by feature space and by what stands before the text."""


def _text_features(folder: RunFolder, scoring: Scoring, texts: Sequence[str]) -> Texts:
    found = {}
    for space, prefix in scoring.metrics.text_needs():
        extractor = scoring.metrics.text_extractor(space)
        prefixed = [prefix + text for text in texts]
        batches = [prefixed[start : start + READ_BATCH] for start in range(0, len(texts), READ_BATCH)]

        def extract(extractor: Extractor = extractor, batches: Sequence[Sequence[str]] = batches) -> Features:
            return np.concatenate([extractor.text_features(batch).numpy() for batch in batches])

        name = "text" + (f"-{sha256_bytes(prefix.encode())[:8]}" if prefix else "")
        features = cached_features(feature_file(folder.path, extractor, name), extractor.id, prefixed, extract)
        found[space, prefix] = dict(zip(texts, features, strict=True))
    return found


def _score(
    scoring: Scoring, use: MetricUse, rows: pd.DataFrame, features: FeatureFile, texts: Texts
) -> tuple[dict[str, MetricResult], list[pd.DataFrame]]:
    """Return the results of a metric by category, and its scores of single samples where it has them."""
    metric = scoring.metrics.new_metric(use)
    by_text = texts.get((use.space, metric.text_prefix))
    for start in range(0, len(rows), _CHUNK):
        part = rows.iloc[start : start + _CHUNK]
        metric.update(
            FeatureBatch(
                image=features.read(start, start + len(part)),
                clusters=part["prompt_id"].tolist(),
                text=None if by_text is None else np.stack([by_text[prompt] for prompt in part["prompt"]]),
                categories=part["category"].tolist(),
                text_prefix=metric.text_prefix,
            )
        )
    overall = metric.compute()
    results = {OVERALL: overall}
    if len(scoring.categories) > 1:
        by_category = metric.compute_categories()
        results.update({key: by_category[key] for key in scoring.categories if key in by_category})
    if overall.per_sample is None:
        return results, []
    per_sample = rows[["prompt_id", "index", "guidance_weight"]].assign(metric=use.name, value=overall.per_sample)
    return results, [per_sample]


def _tidy(
    folder: RunFolder, scoring: Scoring, weight: float, use: MetricUse, results: dict[str, MetricResult]
) -> list[list[Any]]:
    protocol = scoring.metrics.protocol(use, scoring.prompts, scoring.n)["id"]
    model, prompt_set = folder.run["model"]["name"], folder.run["prompts"]["id"]
    return [
        [model, prompt_set, weight, category, use.name, result.value, result.low, result.high, result.n, protocol]
        for category, result in results.items()
    ]


def _write_scores(folder: RunFolder, score_rows: Sequence[Sequence[Any]], sample_rows: Iterable[pd.DataFrame]) -> None:
    import pandas as pd

    scores = pd.DataFrame(score_rows, columns=list(SCORE_COLUMNS))
    columns = list(SAMPLE_SCORE_COLUMNS)
    empty = pd.DataFrame({name: [] for name in columns})
    tables = list(sample_rows)
    per_sample = pd.concat(tables, ignore_index=True)[columns] if tables else empty
    frame_to_parquet(per_sample, folder.path / "samples_scores.parquet")
    atomic_write_text(folder.path / "scores.csv", scores.to_csv(index=False, lineterminator="\n"))
