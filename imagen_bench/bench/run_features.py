"""Features of a run's images, extracted once a weight into the run folder, by one process or by all workers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from imagen_bench.bench.feature_cache import FeatureFile, Features, extractor_folder
from imagen_bench.bench.progress import progress_bar
from imagen_bench.bench.run_folder import RunFolder, weight_folder
from imagen_bench.metrics.extractors import ImageExtractor
from imagen_bench.workers import Workers

if TYPE_CHECKING:
    import pandas as pd

READ_BATCH = 32
"""Images, or texts, that an extractor sees at once."""
# Images that a worker claims at once: whole batches, so that no feature depends on who extracts it.
_SHARE = 4 * READ_BATCH


def image_features(
    folder: RunFolder, extractors: Mapping[str, ImageExtractor], weight: float, rows: pd.DataFrame
) -> dict[str, FeatureFile]:
    """Return the features of a weight's images by space; those that are not in the run folder come from one pass.

    Args:
        folder: The run folder.
        extractors: Extractors by feature space.
        weight: The guidance weight.
        rows: Its rows of the samples table.
    """
    files = _feature_files(folder, extractors, weight, rows)
    lacking = _lacking(files)
    if lacking:
        _write_features(files, lacking, _extract(folder, {space: extractors[space] for space in lacking}, rows))
    return files


def share_features(
    folder: RunFolder, extractors: Mapping[str, ImageExtractor], n: int, workers: Workers, progress: bool = False
) -> int:
    """Extract the image features that a run's finished weights lack, with all workers; the main one writes them.

    Args:
        folder: The run folder; its samples table is written.
        extractors: Extractors by feature space.
        n: Images at a finished weight.
        workers: The processes that share the work; each calls this.
        progress: Show a bar on stderr.

    Returns:
        The number of images whose features were lacking.
    """
    plan = _Plan.of(folder, extractors, n)
    lacking: dict[float, list[str]] = workers.from_main(plan.lacking)
    if lacking:
        count = workers.counter()
        show = progress and workers.is_main
        with progress_bar("features", total=n * len(lacking), show=show) as bar:
            for weight, spaces in lacking.items():
                batches = plan.extract(weight, spaces, workers, lambda more: bar.update(count(more) - bar.n))
                if workers.is_main:
                    _write_features(plan.files[weight], spaces, batches)
            bar.update(n * len(lacking) - bar.n)
    workers.wait()
    return n * len(lacking)


@dataclass(frozen=True)
class _Plan:
    """The finished weights of a run, and the files that their features belong in, by feature space."""

    folder: RunFolder
    extractors: Mapping[str, ImageExtractor]
    rows: Mapping[float, pd.DataFrame]
    files: Mapping[float, Mapping[str, FeatureFile]]

    @classmethod
    def of(cls, folder: RunFolder, extractors: Mapping[str, ImageExtractor], n: int) -> _Plan:
        rows = finished_weights(folder.samples(), n)
        files = {weight: _feature_files(folder, extractors, weight, rows[weight]) for weight in rows}
        return cls(folder, extractors, rows, files)

    def lacking(self) -> dict[float, list[str]]:
        """Return the spaces that lack features, by weight; weights that lack none are left out."""
        found = {weight: _lacking(files) for weight, files in self.files.items()}
        return {weight: spaces for weight, spaces in found.items() if spaces}

    def extract(
        self, weight: float, spaces: Sequence[str], workers: Workers, tell: Callable[[int], object]
    ) -> Iterable[dict[str, Features]]:
        """Return the batches of a weight in order, in the main worker; alone, each as it comes."""
        chosen, rows = {space: self.extractors[space] for space in spaces}, self.rows[weight]
        if workers.alone:
            return _told(_extract(self.folder, chosen, rows), tell)
        found = []
        for place in workers.claim(-(-len(rows) // _SHARE)):
            part = rows.iloc[place * _SHARE : (place + 1) * _SHARE]
            found += [(place, n, batch) for n, batch in enumerate(_told(_extract(self.folder, chosen, part), tell))]
        gathered = [item for items in workers.gather(found) for item in items]
        return [batch for *_, batch in sorted(gathered, key=lambda item: item[:2])]


def finished_weights(samples: pd.DataFrame, n: int) -> dict[float, pd.DataFrame]:
    """Return the samples of the weights that have all `n` of them, in ascending order of the weights."""
    weights = sorted(set(samples["guidance_weight"]))
    by_weight = {weight: samples[samples["guidance_weight"] == weight] for weight in weights}
    return {weight: rows for weight, rows in by_weight.items() if len(rows) == n}


def feature_file(run: Path, extractor: ImageExtractor, name: str) -> Path:
    """Return where a run folder keeps features of this extractor under a name."""
    folder = extractor_folder(extractor.short_name, extractor.id)
    return run / "features" / folder / f"{name}.safetensors"


def _feature_files(
    folder: RunFolder, extractors: Mapping[str, ImageExtractor], weight: float, rows: pd.DataFrame
) -> dict[str, FeatureFile]:
    sources = rows["sha256"].tolist()
    return {
        space: FeatureFile(feature_file(folder.path, extractor, weight_folder(weight)), extractor.id, sources)
        for space, extractor in extractors.items()
    }


def _lacking(files: Mapping[str, FeatureFile]) -> list[str]:
    return [space for space, file in files.items() if not file.is_there()]


def _extract(
    folder: RunFolder, extractors: Mapping[str, ImageExtractor], rows: pd.DataFrame
) -> Iterator[dict[str, Features]]:
    """Yield the features of samples, batch by batch, from one pass over their images."""
    from imagen_bench.images import read_image
    from imagen_bench.metrics.feature_pass import FeaturePass

    decoders = [partial(read_image, folder.image(row)) for _, row in rows.iterrows()]
    yield from FeaturePass(extractors).features(decoders, READ_BATCH)


def _told(batches: Iterable[dict[str, Features]], tell: Callable[[int], object]) -> Iterator[dict[str, Features]]:
    for batch in batches:
        tell(len(next(iter(batch.values()))))
        yield batch


def _write_features(
    files: Mapping[str, FeatureFile], lacking: Sequence[str], batches: Iterable[dict[str, Features]]
) -> None:
    with ExitStack() as stack:
        writers: dict[str, Callable[[Features], None]] = {}
        for batch in batches:
            for space in lacking:
                if space not in writers:
                    writers[space] = stack.enter_context(files[space].writing(batch[space].shape[1]))
                writers[space](batch[space])
