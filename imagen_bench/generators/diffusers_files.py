"""Pipelines of `diffusers` on disk: found in a folder or the local hub cache, checked, digested and loaded.

Weights are read from safetensors alone, and a pipeline that brings Python code of its own is refused.
"""

from __future__ import annotations

import importlib
import inspect
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from imagen_bench.errors import ConfigError, ModelError
from imagen_bench.files import digest_json, sha256_file
from imagen_bench.generators.diffusers_options import PipelineOptions
from imagen_bench.generators.speed_options import torch_dtype
from imagen_bench.suggest import did_you_mean

INDEX = "model_index.json"
INSTALL = "pip install 'imagen-bench[diffusers]'"
FAILURES = (OSError, ValueError, ImportError, KeyError, TypeError, RuntimeError, AttributeError)


@dataclass(frozen=True)
class PipelineFiles:
    """A pipeline on disk.

    Attributes:
        source: What the user named.
        folder: Where its files lie.
        class_name: Its class in `diffusers`.
        components: Name -> (library, class) of its parts.
        variant: Which of the weight files are read.
    """

    source: str
    folder: Path
    class_name: str
    components: Mapping[str, tuple[str, str]]
    variant: str | None

    @property
    def pipeline_class(self) -> Any:
        """The class itself."""
        return getattr(import_diffusers(), self.class_name)

    def weights_sha256(self) -> str:
        """Digest of the digests of all files that are read, configurations and vocabularies included."""
        digests = {}
        for name in sorted(self.components):
            files = sorted(path for path in (self.folder / name).rglob("*") if path.is_file())
            for path in _files_read(files, self.variant):
                digests[path.relative_to(self.folder).as_posix()] = sha256_file(path)
        return digest_json({INDEX: sha256_file(self.folder / INDEX), **digests})


def import_diffusers() -> Any:
    """Return the library.

    Raises:
        ModelError: It is not installed.
    """
    try:
        return importlib.import_module("diffusers")
    except ImportError as error:
        raise ModelError(f"the generator 'diffusers' needs the library of that name ({error}): {INSTALL}") from error


def find_pipeline(source: str, options: PipelineOptions, download: bool) -> PipelineFiles:
    """Find a pipeline and read what it consists of; its weights stay on disk.

    Args:
        source: Folder in `diffusers` layout, or hub id.
        options: Which variant and revision.
        download: Fetch a hub id that is not in the local cache.

    Raises:
        ModelError: There is no such pipeline, it is broken, or it brings code of its own.
    """
    diffusers = import_diffusers()
    folder = Path(source) if Path(source).is_dir() else _hub_folder(diffusers, source, options, download)
    try:
        index = json.loads((folder / INDEX).read_text(encoding="utf-8"))
        class_name = index["_class_name"]
        parts = {name: part for name, part in index.items() if isinstance(part, list) and not name.startswith("_")}
        components = {name: (str(library), str(part)) for name, (library, part) in parts.items() if library is not None}
    except OSError as error:
        raise ModelError(f"{source!r} is no pipeline: expected {INDEX} in it, in diffusers' layout") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(f"{source!r} is no pipeline: its {INDEX} cannot be read ({error})") from error
    if not isinstance(class_name, str) or not inspect.isclass(getattr(diffusers, class_name, None)):
        raise ModelError(
            f"{source!r} is a {class_name}, which diffusers {diffusers.__version__} does not have: update it"
        )
    for name, (library, part) in components.items():
        if library not in ("diffusers", "transformers") and not hasattr(diffusers.pipelines, library):
            raise ModelError(
                f"{source!r} brings its own code ({name}: {library}.{part}), which is not run: use another model"
            )
    return PipelineFiles(source, folder, class_name, components, options.variant)


def load_pipeline(
    files: PipelineFiles, options: PipelineOptions, safety_checker: bool, shared: Mapping[str, Any] | None = None
) -> Any:
    """Load a pipeline to the CPU, with the scheduler that is asked for.

    Args:
        files: Where it is.
        options: Number format and scheduler.
        safety_checker: Whether to keep its safety checker.
        shared: Parts that are loaded already, by name.

    Raises:
        ModelError: A file is missing or broken, or a library that the pipeline needs is.
        ConfigError: An unknown scheduler or an option that it does not have.
    """
    diffusers = import_diffusers()
    accepted = inspect.signature(files.pipeline_class.__init__).parameters
    extra: dict[str, Any] = {name: part for name, part in (shared or {}).items() if name in accepted}
    if "add_watermarker" in accepted:
        # Otherwise the images depend on whether a further library is installed.
        extra["add_watermarker"] = False
    if not safety_checker and "safety_checker" in accepted:
        extra |= {"safety_checker": None, "requires_safety_checker": False}
    extra = {name: value for name, value in extra.items() if name in accepted}
    # Older versions of the library call it torch_dtype.
    number_format = "dtype" if hasattr(diffusers.utils, "_resolve_dtype") else "torch_dtype"
    try:
        with _without_bars(diffusers):
            pipeline = diffusers.DiffusionPipeline.from_pretrained(
                str(files.folder), variant=files.variant, use_safetensors=True, local_files_only=True,
                **{number_format: torch_dtype(options.dtype)}, **extra,
            )  # fmt: skip
    except FAILURES as error:
        raise ModelError(f"{files.source!r} cannot be loaded: {first_line(error)}") from error
    pipeline.set_progress_bar_config(disable=True)
    if options.scheduler or options.scheduler_options:
        pipeline.scheduler = _scheduler(pipeline.scheduler, options)
    return pipeline


def networks(pipeline: Any) -> list[Any]:
    """Return the denoising networks of a pipeline."""
    named = (getattr(pipeline, name, None) for name in ("unet", "transformer", "transformer_2", "prior", "decoder"))
    return [network for network in named if network is not None]


def scheduler_config(pipeline: Any) -> dict[str, Any]:
    """Return class and settings of a pipeline's scheduler as JSON-able values."""
    config = {key: value for key, value in dict(pipeline.scheduler.config).items() if not key.startswith("_")}
    plain: dict[str, Any] = json.loads(json.dumps(config, default=str))
    return {"class": type(pipeline.scheduler).__name__, **plain}


def first_line(error: BaseException) -> str:
    """Return the first line of an error's message, or its type where it has none."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0].rstrip(".:") if lines else type(error).__name__


def _hub_folder(diffusers: Any, source: str, options: PipelineOptions, download: bool) -> Path:
    if not re.fullmatch(r"[\w.-]+(/[\w.-]+)?", source) or Path(source).exists():
        raise ModelError(f"{source!r} is neither a folder nor a hub id such as 'stabilityai/sdxl-turbo'")
    try:
        return Path(
            diffusers.DiffusionPipeline.download(
                source, revision=options.revision, variant=options.variant, use_safetensors=True,
                local_files_only=not download,
            )
        )  # fmt: skip
    except FAILURES as error:
        if download:
            raise ModelError(f"{source!r} cannot be fetched from the hub: {first_line(error)}") from error
        raise ModelError(
            f"{source!r} is neither a folder nor in the local cache of the hub: fetch it with `hf download {source}`, "
            "or set model.options.download = true"
        ) from error


def _scheduler(current: Any, options: PipelineOptions) -> Any:
    name = options.scheduler or type(current).__name__
    known = {kind.__name__: kind for kind in (*getattr(current, "compatibles", []), type(current))}
    kind = known.get(name)
    if kind is None:
        raise ConfigError(f"the scheduler {name!r} does not fit {type(current).__name__}: {did_you_mean(name, known)}")
    settings = inspect.signature(kind.__init__).parameters
    for key in options.scheduler_options:
        if key not in settings or key == "self":
            raise ConfigError(
                f"scheduler_options: {name} has no setting {key!r}: {did_you_mean(key, set(settings) - {'self'})}"
            )
    try:
        return kind.from_config(current.config, **options.scheduler_options)
    except FAILURES as error:
        raise ConfigError(f"the scheduler {name} cannot be built: {first_line(error)}") from error


@contextmanager
def _without_bars(diffusers: Any) -> Iterator[None]:
    """Hide the libraries' own progress bars: several for each model, between the lines of ours."""
    from transformers.utils import logging as of_transformers

    logs = [log for log in (diffusers.utils.logging, of_transformers) if log.is_progress_bar_enabled()]
    for log in logs:
        log.disable_progress_bar()
    try:
        yield
    finally:
        for log in logs:
            log.enable_progress_bar()


def _files_read(files: Sequence[Path], variant: str | None) -> list[Path]:
    """The files of a component that are read: of weights, safetensors of the variant, or plain ones without it."""
    small = [path for path in files if path.suffix in (".json", ".txt", ".model")]
    weights = [path for path in files if path.suffix == ".safetensors"]
    plain = [path for path in weights if not path.name.split(".")[1:-1]]
    of_variant = [path for path in weights if variant in re.split(r"[.-]", path.name)[1:-1]]
    return [*small, *(of_variant or plain)]
