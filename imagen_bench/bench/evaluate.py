"""Evaluation: from a run's images to scores.csv, weight by weight.

Image features are extracted once a weight and text features once a run; both are cached. Scores are computed
from features in the fixed order of the samples table, so that they do not depend on how or in how many starts
the images were made.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from imagen_bench.bench.feature_cache import Features, cached_features, extractor_folder
from imagen_bench.bench.generate import used_prompts
from imagen_bench.bench.progress import progress_bar
from imagen_bench.bench.protocol import prompt_set_key, protocol_id, protocol_words
from imagen_bench.bench.reference import open_reference
from imagen_bench.bench.run_folder import (
    SAMPLE_SCORE_COLUMNS,
    SCORE_COLUMNS,
    RunFolder,
    frame_to_parquet,
    weight_folder,
)
from imagen_bench.config import RunConfig
from imagen_bench.data.prompts import PromptSet
from imagen_bench.errors import ConfigError
from imagen_bench.files import atomic_write_text
from imagen_bench.metrics.base import FeatureBatch, Metric, MetricContext, MetricResult, metrics
from imagen_bench.metrics.extractors import Extractor, open_extractor
from imagen_bench.metrics.statistics import save_statistics

if TYPE_CHECKING:
    import pandas as pd

    from imagen_bench.metrics.statistics import GaussianStatistics

OVERALL = "all"
_READ_BATCH = 32


@dataclass(frozen=True)
class Scoring:
    """Everything that a run's scores are made with, opened before the first image is.

    Attributes:
        extractor: Feature extractor.
        reference: Moments of the reference set; None if no metric needs one.
        metrics: Names of the metrics, in the order of the config.
        prompt_set: Key of the prompt set, as it enters protocols.
        categories: Categories of the prompts, in the order of the set.
        samples_per_prompt: Images of a prompt at each weight.
        n: Images at each weight.
        seed: Seed of whatever an interval draws.
    """

    extractor: Extractor
    reference: GaussianStatistics | None
    metrics: tuple[str, ...]
    prompt_set: str
    categories: tuple[str, ...]
    samples_per_prompt: int
    n: int
    seed: int

    def new_metric(self, name: str) -> Metric:
        """Return an empty metric."""
        context = MetricContext(self.extractor.short_name, self.reference, self.seed)
        return metrics.get(name)(context)

    def describe(self) -> dict[str, Any]:
        """Return the sections extractor, reference and protocols of run.json."""
        reference = None
        if self.reference is not None:
            name, digest = self.reference.name, self.reference.digest
            reference = {"id": name, "digest": digest, "n": self.reference.n}
        return {
            "extractor": self.extractor.id,
            "reference": reference,
            "protocols": {name: self._protocol(name) for name in self.metrics},
        }

    def notes(self, truncated: int) -> list[str]:
        """Return what a reader of the scores has to know, one sentence each.

        Args:
            truncated: Number of prompts that the extractor had to cut.
        """
        found = []
        if truncated:
            found.append(f"{truncated} prompts are longer than the extractor reads; their ends are not scored")
        if self.reference is not None and min(self.n, self.reference.n) <= self.extractor.dim:
            found.append(
                f"{self.n} images and {self.reference.n} reference images for {self.extractor.dim} feature "
                "dimensions: a covariance is rank-deficient; compare distances of as many images alone"
            )
        return found

    def _protocol(self, name: str) -> dict[str, Any]:
        metric = self.new_metric(name)
        reference = self.reference if "reference" in metric.needs else None
        digest = reference.digest if reference is not None else None
        against = f"{reference.n:,} images of {reference.name}" if reference is not None else None
        common = (self.prompt_set, self.samples_per_prompt, self.extractor.id)
        return {
            "id": protocol_id(name, *common, digest, self.n),
            "words": protocol_words(metric.label, *common, against, self.n),
            "label": metric.label,
            "higher_is_better": metric.higher_is_better,
        }


def open_scoring(config: RunConfig, prompts: PromptSet, run: Path) -> Scoring:
    """Open extractor and reference set and check that the metrics can be computed with them.

    Args:
        config: The run's configuration.
        prompts: Its prompt set, unlimited.
        run: The run folder, which may hold the reference's moments from an earlier start; nothing is written.

    Raises:
        ConfigError: Unknown metric, one given twice, or one that needs a reference set where none is
        configured. ImagenBenchError: The extractor or the reference set cannot be opened.
    """
    names = config.scores.metrics
    if len(set(names)) < len(names):
        raise ConfigError(f"scores.metrics {list(names)} holds a metric twice; give each once")
    needing = [name for name in names if "reference" in metrics.get(name).needs]
    if needing and config.scores.reference is None:
        raise ConfigError(
            f"metric '{needing[0]}' compares with a reference set, found no scores.reference; "
            "name a folder, a parquet file, a statistics file or a bundled set, or leave the metric out"
        )
    extractor = open_extractor(config.scores.extractor)
    reference = None
    if needing and config.scores.reference is not None:
        cache = _feature_file(run, extractor, "reference")
        reference = open_reference(config.scores.reference, extractor, cache)
    rows = used_prompts(config, prompts)
    return Scoring(
        extractor=extractor,
        reference=reference,
        metrics=names,
        prompt_set=prompt_set_key(prompts.id, prompts.version, prompts.digest),
        categories=tuple(dict.fromkeys(row.category for row in rows)),
        samples_per_prompt=config.prompts.samples_per_prompt,
        n=len(rows) * config.prompts.samples_per_prompt,
        seed=config.seed,
    )


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
    by_weight = {
        weight: samples[samples["guidance_weight"] == weight] for weight in sorted(set(samples["guidance_weight"]))
    }
    finished = {weight: rows for weight, rows in by_weight.items() if len(rows) == scoring.n}
    text = _text_features(folder, scoring, sorted(set(samples["prompt"])))
    score_rows: list[list[Any]] = []
    sample_rows: list[pd.DataFrame] = []
    with progress_bar("scores", total=scoring.n * len(finished), show=progress) as bar:
        for weight, rows in finished.items():
            image = _image_features(folder, scoring, weight, rows)
            for name in scoring.metrics:
                results, per_sample = _score(scoring, name, rows, image, text)
                score_rows += _tidy(folder, scoring, weight, results)
                sample_rows += per_sample
            bar.update(len(rows))
    _write_scores(folder, score_rows, sample_rows)
    return len(finished)


def keep_reference(folder: RunFolder, scoring: Scoring) -> None:
    """Write the reference set's moments into the run folder: the next start need not extract them."""
    if scoring.reference is not None:
        save_statistics(_feature_file(folder.path, scoring.extractor, "reference"), scoring.reference)


def _text_features(folder: RunFolder, scoring: Scoring, texts: Sequence[str]) -> dict[str, Features]:
    """Return the features of each text by text."""

    def extract() -> Features:
        batches = [texts[start : start + _READ_BATCH] for start in range(0, len(texts), _READ_BATCH)]
        return np.concatenate([scoring.extractor.text_features(batch).numpy() for batch in batches])

    file = _feature_file(folder.path, scoring.extractor, "text")
    features = cached_features(file, scoring.extractor.id, texts, extract)
    return dict(zip(texts, features, strict=True))


def _image_features(folder: RunFolder, scoring: Scoring, weight: float, rows: pd.DataFrame) -> Features:
    from imagen_bench.images import read_image

    files = [folder.image(row) for _, row in rows.iterrows()]

    def extract() -> Features:
        batches = [files[start : start + _READ_BATCH] for start in range(0, len(files), _READ_BATCH)]
        read = ([read_image(file) for file in batch] for batch in batches)
        return np.concatenate([scoring.extractor.image_features(images).numpy() for images in read])

    file = _feature_file(folder.path, scoring.extractor, weight_folder(weight))
    return cached_features(file, scoring.extractor.id, rows["sha256"].tolist(), extract)


def _feature_file(run: Path, extractor: Extractor, name: str) -> Path:
    folder = extractor_folder(extractor.short_name, extractor.id)
    return run / "features" / folder / f"{name}.safetensors"


def _score(
    scoring: Scoring, name: str, rows: pd.DataFrame, image: Features, text: dict[str, Features]
) -> tuple[dict[str, MetricResult], list[pd.DataFrame]]:
    """Return the results of a metric by category, and its scores of single samples where it has them."""
    metric = scoring.new_metric(name)
    metric.update(
        FeatureBatch(
            image=image,
            clusters=rows["prompt_id"].tolist(),
            text=np.stack([text[prompt] for prompt in rows["prompt"]]),
            categories=rows["category"].tolist(),
        )
    )
    overall = metric.compute()
    results = {OVERALL: overall}
    if len(scoring.categories) > 1:
        by_category = metric.compute_categories()
        results.update({key: by_category[key] for key in scoring.categories if key in by_category})
    if overall.per_sample is None:
        return results, []
    per_sample = rows[["prompt_id", "index", "guidance_weight"]].assign(metric=name, value=overall.per_sample)
    return results, [per_sample]


def _tidy(folder: RunFolder, scoring: Scoring, weight: float, results: dict[str, MetricResult]) -> list[list[Any]]:
    protocols = scoring.describe()["protocols"]
    model, prompt_set = folder.run["model"]["name"], folder.run["prompts"]["id"]
    return [
        [
            model,
            prompt_set,
            weight,
            category,
            result.name,
            result.value,
            result.low,
            result.high,
            result.n,
            protocols[result.name]["id"],
        ]
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
