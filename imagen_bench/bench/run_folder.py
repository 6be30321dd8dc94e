"""The run folder: the product of a run, from which every later command works alone.

    run.json               resolved config, versions, digests, protocols, host, timing
    journal/<rank>.jsonl   one line for each finished image, in the order of making
    calls/<rank>.jsonl     one line for each batch: time, memory, cost, remarks on single images
    samples.parquet        the journal, compiled: one row a sample, sorted by (guidance weight, prompt id, index)
    images/w=<weight>/<shard>/<prompt id>_<index>.png
    features/<extractor>/  cached features
    scores.csv             tidy scores; category "all" is the whole prompt set
    samples_scores.parquet scores of single samples
    gallery/w=<weight>/<prompt id>_<index>.png
    sheets/ report/        blind rating sheets and the report
    stages.json            what each finished stage was made from

A file is whole or absent: all but the journal are written to a temporary name, synced and renamed. A sample
exists when the journal has its line and its image has the digest that the line says.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from imagen_bench.bench.journal import SAMPLE_COLUMNS, Sample, append_samples, read_samples
from imagen_bench.bench.lock import LOCK_NAME
from imagen_bench.bench.provenance import without_home
from imagen_bench.bench.same_run import refuse_other_run
from imagen_bench.bench.stages import Stages
from imagen_bench.errors import RunFolderError
from imagen_bench.files import atomic_write_bytes, atomic_write_text, digest_json, sha256_file

if TYPE_CHECKING:
    import pandas as pd

SCHEMA = 1
SCORE_COLUMNS = (
    "model",
    "prompt_set",
    "guidance_weight",
    "category",
    "metric",
    "value",
    "low",
    "high",
    "n",
    "protocol",
)
SCORE_FILES = ("scores.csv", "samples_scores.parquet")
SAMPLE_SCORE_COLUMNS = ("prompt_id", "index", "guidance_weight", "metric", "value")
_SHARD_SIZE = 1000
_SHOWN = 3
TEMPORARY_PREFIX = ".tmp-"
"""How `files.atomic_path` names what it has not finished."""


class RunFolder:
    """A run folder. `open` reads a run, finished or not; `create_or_resume` starts or continues one."""

    def __init__(self, path: Path, run: dict[str, Any]) -> None:
        """Wrap a folder whose run.json holds `run`; use `open` or `create_or_resume` instead."""
        self.path = path
        self.run = run

    @classmethod
    def open(cls, path: Path | str) -> RunFolder:
        """Open a folder for reading.

        Raises:
            RunFolderError: No readable run.json in it, or one of another schema.
        """
        path = Path(path)
        file = path / "run.json"
        if not file.is_file():
            raise RunFolderError(f"{path} holds no run.json, expected a run folder; give the --out of a `run` command")
        try:
            run = json.loads(file.read_text(encoding="utf-8"))
        except ValueError as error:
            raise RunFolderError(f"{file} is not JSON ({error}); restore it or start in a new folder") from None
        schema = run.get("schema") if isinstance(run, dict) else None
        if schema != SCHEMA:
            raise RunFolderError(
                f"{file} has schema {schema!r}, this version reads {SCHEMA}; use the version that made it"
            )
        return cls(path, run)

    @classmethod
    def create_or_resume(cls, path: Path | str, record: Mapping[str, Any]) -> RunFolder:
        """Start a run in `path`, or continue the one that is there.

        Continuing asks for the same config, model and prompts. Guidance weights may be added to the sweep,
        and the batch size may change: neither moves an image that is already there.

        Args:
            path: The folder; made if it is missing.
            record: What goes into run.json: config, model, prompts, versions, host...

        Raises:
            RunFolderError: The folder holds another run (the message lists the differing keys) or foreign
                files.
        """
        path = Path(path)
        record = without_home({"schema": SCHEMA, **record})
        if not (path / "run.json").is_file():
            refuse_foreign(path)
            folder = cls(path, dict(record))
            folder.write_run()
            return folder
        folder = cls.open(path)
        refuse_other_run(path, folder.run, record)
        folder.run["config"] = record["config"]
        made_with = [folder.run.get("versions"), *folder.run.get("continued_with", [])]
        if record.get("versions") not in made_with:
            folder.run.setdefault("continued_with", []).append(record["versions"])
        folder.write_run()
        return folder

    def write_run(self) -> None:
        """Write `self.run` to run.json."""
        atomic_write_text(self.path / "run.json", json.dumps(self.run, indent=2, ensure_ascii=False) + "\n")

    def samples(self) -> pd.DataFrame:
        """Return one row a sample (columns of `Sample`); of an unfinished run, what has been made so far.

        Raises:
            RunFolderError: samples.parquet is damaged.
        """
        file = self.path / "samples.parquet"
        if file.is_file():
            return frame_from_parquet(file)
        return samples_to_frame(read_samples(self.path / "journal"))

    def scores(self) -> pd.DataFrame:
        """Return scores.csv.

        Raises:
            RunFolderError: The run has no scores yet, or they were changed since they were made.
        """
        import pandas as pd

        file = self.path / "scores.csv"
        if not file.is_file():
            raise RunFolderError(f"{self.path} has no scores.csv yet; finish the run with the same `run` command")
        self._refuse_changed("scores.csv")
        text = ["model", "prompt_set", "category", "metric", "protocol"]
        numbers = {column: float for column in ("guidance_weight", "value", "low", "high")}
        frame = pd.read_csv(file, dtype=dict.fromkeys(text, str), na_filter=False)
        return frame.replace("", float("nan")).astype(numbers).astype(dict.fromkeys(text, str))

    def sample_scores(self) -> pd.DataFrame:
        """Return samples_scores.parquet, columns `SAMPLE_SCORE_COLUMNS`; empty before the evaluation.

        Raises:
            RunFolderError: The file is damaged or was changed since it was made.
        """
        import pandas as pd

        file = self.path / "samples_scores.parquet"
        if not file.is_file():
            return pd.DataFrame(columns=list(SAMPLE_SCORE_COLUMNS))
        self._refuse_changed("samples_scores.parquet")
        return frame_from_parquet(file)

    def _refuse_changed(self, name: str) -> None:
        if Stages(self.path).has_changed(name):
            raise RunFolderError(
                f"{self.path / name} was changed since the run made it: run the run's own command again to make it anew"
            )

    def image(self, row: Any) -> Path:
        """Return the image file of a sample: a row of `samples()` or anything else with `path`.

        Raises:
            RunFolderError: The path leads out of the folder.
        """
        relative = PurePosixPath(row.path if hasattr(row, "path") else row["path"])
        if relative.is_absolute() or ".." in relative.parts:
            raise RunFolderError(
                f"{self.path}: sample path '{relative}' leads out of the run folder; the samples are damaged"
            )
        return self.path / relative

    def image_files(self, guidance_weight: float, index: int) -> dict[str, Path]:
        """Return the image files of the samples with this weight and index, by prompt id."""
        samples = self.samples()
        chosen = samples[(samples["guidance_weight"] == guidance_weight) & (samples["index"] == index)]
        return {str(row["prompt_id"]): self.image(row) for _, row in chosen.iterrows()}

    def gallery_path(self, guidance_weight: float, prompt_id: str, index: int) -> Path:
        """Return where the enlarged image of a sample is, if the run has a gallery."""
        return self.path / "gallery" / weight_folder(guidance_weight) / f"{prompt_id}_{index}.png"

    def remove_temporary(self) -> None:
        """Remove what a killed process left half-written; the folder must be locked by this process."""
        for item in self.path.rglob(f"{TEMPORARY_PREFIX}*"):
            if item.is_file():
                item.unlink()

    def add_samples(self, samples: Sequence[Sample], rank: int = 0) -> None:
        """Append finished samples to the journal; their images must be on disk already."""
        append_samples(self.path / "journal", samples, rank)

    def finished_samples(self) -> dict[tuple[float, str, int], Sample]:
        """Return the samples whose image has the recorded digest, by (guidance weight, prompt id, index)."""
        return {key: sample for key, sample in self._journalled().items() if self._is_whole(sample)}

    def check_samples(self, repair: bool = False) -> dict[tuple[float, str, int], Sample]:
        """Return the finished samples as `finished_samples` does; images that were lost or changed are told.

        An image is synced to disk before the journal names it, so that only an outsider can spoil one.

        Args:
            repair: Leave such images out, so that they are made again.

        Raises:
            RunFolderError: Images are lost or changed, and `repair` is not given.
        """
        journalled = self._journalled()
        finished = {key: sample for key, sample in journalled.items() if self._is_whole(sample)}
        spoilt = [sample.path for key, sample in journalled.items() if key not in finished]
        if spoilt and not repair:
            more = f" and {len(spoilt) - _SHOWN} more" if len(spoilt) > _SHOWN else ""
            raise RunFolderError(
                f"{self.path}: {len(spoilt)} image(s) were lost or changed since they were made "
                f"({', '.join(spoilt[:_SHOWN])}{more}); bring them back, or run again with --repair to make them anew"
            )
        return finished

    def _journalled(self) -> dict[tuple[float, str, int], Sample]:
        return {sample.key: sample for sample in read_samples(self.path / "journal")}

    def compile_samples(self, samples: Iterable[Sample]) -> None:
        """Write samples.parquet from `samples`, sorted; two runs differ in the column `seconds` alone."""
        frame_to_parquet(samples_to_frame(samples), self.path / "samples.parquet")

    def _is_whole(self, sample: Sample) -> bool:
        file = self.image(sample)
        return file.is_file() and sha256_file(file) == sample.sha256


def samples_to_frame(samples: Iterable[Sample]) -> pd.DataFrame:
    """Return samples as rows, the last one of a key, sorted by (guidance weight, prompt id, index)."""
    import pandas as pd

    by_key = {sample.key: sample for sample in samples}
    rows = [[getattr(by_key[key], name) for name in SAMPLE_COLUMNS] for key in sorted(by_key)]
    return pd.DataFrame(rows, columns=list(SAMPLE_COLUMNS))


def frame_to_parquet(frame: pd.DataFrame, path: Path) -> None:
    """Write a table atomically, with checksums; equal tables give equal bytes."""
    buffer = io.BytesIO()
    frame.to_parquet(buffer, index=False, write_page_checksum=True)
    atomic_write_bytes(path, buffer.getvalue())


def frame_from_parquet(path: Path) -> pd.DataFrame:
    """Read a table, and verify its checksums where it has some.

    Raises:
        RunFolderError: The file is damaged.
    """
    import pandas as pd

    try:
        return pd.read_parquet(path, page_checksum_verification=True)
    except (OSError, ValueError, MemoryError, KeyError) as error:
        reason = " ".join(str(error).split())[:200]
        raise RunFolderError(
            f"{path} is damaged ({reason}): run the run's own command again to make it anew"
        ) from error


def samples_digest(samples: pd.DataFrame) -> str:
    """Return the digest of a table of samples' identities and images; times do not enter."""
    columns = [samples[name].tolist() for name in ("prompt_id", "index", "guidance_weight", "category", "sha256")]
    return digest_json(columns)


def sample_path(guidance_weight: float, row_number: int, prompt_id: str, index: int) -> str:
    """Return where a sample's image goes in the folder; `row_number` is the prompt's row in its set."""
    shard = f"{row_number // _SHARD_SIZE:04d}"
    return f"images/{weight_folder(guidance_weight)}/{shard}/{prompt_id}_{index}.png"


def weight_folder(guidance_weight: float) -> str:
    """Return the folder name of a guidance weight, such as "w=1.5"."""
    return f"w={guidance_weight:g}"


def refuse_foreign(path: Path) -> None:
    """Refuse a file, or a non-empty folder without run.json: a run never writes among foreign files.

    Raises:
        RunFolderError: Foreign files are there.
    """
    if path.exists() and not path.is_dir():
        raise RunFolderError(f"{path} is a file, expected a folder; give another --out")
    if not path.is_dir() or (path / "run.json").is_file():
        return
    foreign = sorted(item.name for item in path.iterdir() if item.name != LOCK_NAME and not _is_temporary(item))
    if foreign:
        raise RunFolderError(
            f"{path} is not empty and holds no run.json (found '{foreign[0]}'); give a new or empty folder as --out"
        )


def _is_temporary(item: Path) -> bool:
    return item.name.startswith(TEMPORARY_PREFIX)
