"""Which text encoders can be used, and how they are found and loaded: T5, and the paper's rivals CLIP and BERT.

Everything comes from `transformers`' own file layout: a folder, or a hub id whose files are in the local Hugging Face
cache. Nothing is fetched unless it is asked for. Figure A.5 of the Imagen paper compares T5 small to XXL, CLIP ViT-L/14
(its last text layer but one) and BERT base and large.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from imagen_bench.assets import asset
from imagen_bench.errors import ModelError
from imagen_bench.files import digest_json, sha256_file

HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")
SMALL_FILES = ("*.json", "*.model", "*.txt")
WEIGHTS = ("*.safetensors", "pytorch_model*.bin")
TOKENIZER_FILES = (
    "added_tokens.json", "merges.txt", "special_tokens_map.json", "spiece.model", "tokenizer.json",
    "tokenizer_config.json", "vocab.json", "vocab.txt",
)  # fmt: skip


@dataclass(frozen=True)
class Family:
    """A kind of encoder.

    Attributes:
        model: class in `transformers`.
        layer: which hidden state is the embedding; -1 is the encoder's own output, after its last normalisation.
        options: further arguments of the class.
    """

    model: str
    layer: int = -1
    options: tuple[tuple[str, bool], ...] = ()


FAMILIES = {
    "t5": Family("T5EncoderModel"),
    "clip": Family("CLIPTextModel", layer=-2),
    "clip_text_model": Family("CLIPTextModel", layer=-2),
    "bert": Family("BertModel", options=(("add_pooling_layer", False),)),
}


@dataclass(frozen=True)
class EncoderFiles:
    """An encoder on disk: its folder, its kind, the width of its embeddings and its longest text (None: any)."""

    folder: Path
    kind: str
    dim: int
    positions: int | None

    @property
    def weights_sha256(self) -> str:
        """SHA-256 of the weights file, or of the list of digests where the weights lie in several files."""
        digests = {path.name: _digest(path) for path in weight_files(self.folder)}
        return next(iter(digests.values())) if len(digests) == 1 else digest_json(digests)

    @property
    def fingerprint(self) -> str:
        """Digest of all that decides an embedding besides text, length and precision."""
        named = [self.folder / name for name in ("config.json", *TOKENIZER_FILES)]
        small = {path.name: sha256_file(path) for path in named if path.is_file()}
        return digest_json({"weights": self.weights_sha256, "layer": FAMILIES[self.kind].layer, **small})


def encoder_source(name: str, beside: Path = Path()) -> str | Path:
    """Where a configuration's text encoder is.

    Args:
        name: a folder, the name of one that ships ("models/imagen-emoji/text_encoder"), or a hub id.
        beside: folder that a relative path starts from.

    Returns:
        What `find_encoder` takes: the folder, or the hub id.
    """
    if (beside / name).is_dir():
        return beside / name
    if name.startswith("models/"):
        return asset(name)
    return name if HUB_ID.fullmatch(name) and "/" in name else beside / name


def find_encoder(source: str | Path, download: bool = False) -> EncoderFiles:
    """Finds an encoder and reads what it is; its weights stay on disk.

    Args:
        source: folder in `transformers` layout, or a hub id such as "google/t5-v1_1-xxl".
        download: fetch a hub id whose files are not in the local cache.

    Raises:
        ModelError: there is no such encoder, it is of another kind, or files of it are missing.
    """
    from transformers import AutoConfig

    folder = Path(source) if Path(source).is_dir() else _hub_folder(str(source), download)
    if not (folder / "config.json").is_file():
        raise ModelError(f"{source} is no text encoder: expected config.json in it, in transformers' layout")
    try:
        config = AutoConfig.from_pretrained(str(folder), local_files_only=True)
    except (OSError, ValueError, KeyError) as error:
        raise ModelError(f"{source} is no text encoder: its config.json cannot be read ({_first(error)})") from error
    if config.model_type not in FAMILIES:
        raise ModelError(f"{source} is a {config.model_type} model: expected a text encoder, one of t5, clip and bert")
    if not weight_files(folder):
        raise ModelError(f"{source} holds no weights: expected model.safetensors (or pytorch_model.bin) in it")
    text = getattr(config, "text_config", config)
    positions = None if config.model_type == "t5" else int(text.max_position_embeddings)
    return EncoderFiles(folder, config.model_type, int(text.hidden_size), positions)


def weight_files(folder: Path) -> list[Path]:
    """The files that `transformers` would read weights from: safetensors, or else PyTorch's."""
    found = (sorted(path for path in folder.glob(pattern) if path.is_file()) for pattern in WEIGHTS)
    return next((files for files in found if files), [])


def load_tokenizer(files: EncoderFiles) -> Any:
    """The encoder's own tokenizer.

    Raises:
        ModelError: its files are missing or broken, or a library that reads them is.
    """
    from transformers import AutoTokenizer

    try:
        with _quiet():
            return AutoTokenizer.from_pretrained(str(files.folder), local_files_only=True)
    except (OSError, ValueError, KeyError, ImportError) as error:
        only_spiece = (files.folder / "spiece.model").is_file() and not (files.folder / "tokenizer.json").is_file()
        help_ = "`pip install sentencepiece protobuf` reads its spiece.model" if only_spiece else _first(error)
        raise ModelError(f"the tokenizer of {files.folder} cannot be loaded: {help_}") from error


def load_model(files: EncoderFiles, dtype: torch.dtype) -> Any:
    """The frozen encoder in evaluation mode, on the CPU.

    Raises:
        ModelError: the weights are broken, or do not fill every layer of the encoder.
    """
    import transformers

    family = FAMILIES[files.kind]
    try:
        with _quiet():
            model, report = getattr(transformers, family.model).from_pretrained(
                str(files.folder), local_files_only=True, dtype=dtype, output_loading_info=True, **dict(family.options)
            )
    except Exception as error:
        raise ModelError(f"the weights of {files.folder} cannot be loaded: {_first(error)}") from error
    missing = sorted(report["missing_keys"])
    if missing:
        # transformers fills them with random numbers and goes on.
        raise ModelError(
            f"{files.folder} holds no {family.model}: {len(missing)} of its layers have no weights, first {missing[0]}"
        )
    return model.eval().requires_grad_(False)


def _hub_folder(source: str, download: bool) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError

    if not HUB_ID.fullmatch(source):
        raise ModelError(f"{source} is no folder: expected a text encoder's folder, or a hub id")
    try:
        folder = Path(
            snapshot_download(source, local_files_only=not download, allow_patterns=[*SMALL_FILES, WEIGHTS[0]])
        )
        if download and not weight_files(folder):
            snapshot_download(source, allow_patterns=[WEIGHTS[1]])
    except (OSError, ValueError, HfHubHTTPError) as error:
        if download:
            raise ModelError(f"{source} cannot be downloaded: {_first(error)}") from error
        raise ModelError(
            f"{source} is no folder here and not in the local Hugging Face cache: check the path, or fetch it with "
            f"`hf download {source} --exclude '*.h5' '*.msgpack' '*.onnx'`"
        ) from error
    return folder


def _digest(path: Path) -> str:
    """SHA-256 of a file; the hub's cache has it in the name of the blob that a snapshot links to."""
    blob = path.resolve()
    known = blob.parent.name == "blobs" and re.fullmatch(r"[0-9a-f]{64}", blob.name)
    return blob.name if known else sha256_file(path)


def _first(error: BaseException) -> str:
    return next(iter(str(error).splitlines()), "") or type(error).__name__


@contextmanager
def _quiet() -> Iterator[None]:
    """Silences transformers' bars and warnings while it loads; what matters is checked and raised here."""
    from transformers.utils import logging

    level = logging.get_verbosity()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
