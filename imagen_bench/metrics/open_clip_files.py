"""Finding the files of a CLIP model for open_clip, on this machine only; nothing here downloads.

A model is named in one of three ways: a folder in open_clip's own layout (`open_clip_config.json`, the
weights, tokenizer files), `ARCH/PRETRAINED` as open_clip names it (`ViT-B-32/openai`) with weights that an
earlier download left in the local cache, or `ARCH/path/to/file` with a weights file.

OpenAI's weights were trained with QuickGELU. open_clip knows this for its tags but not for the same weights
in a file, where `ViT-B-32` silently means GELU and gives wrong scores without any error. Here a tag brings
its own activation, and a file that is recognisably QuickGELU is refused unless the architecture says so
(`ViT-B-32-quickgelu`).
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from imagen_bench.errors import ModelError
from imagen_bench.files import digest_json, sha256_file
from imagen_bench.home import weights_folder
from imagen_bench.suggest import did_you_mean

CONFIG_FILE = "open_clip_config.json"
# The order in which open_clip itself looks, so that the digest is that of the file it loads.
WEIGHTS_FILES = (
    "open_clip_model.safetensors",
    "open_clip_pytorch_model.safetensors",
    "open_clip_pytorch_model.bin",
)
TOKENIZER_FILES = (
    "added_tokens.json",
    "merges.txt",
    "sentencepiece.bpe.model",
    "special_tokens_map.json",
    "spiece.model",
    "tokenizer.json",
    "tokenizer.model",
    "tokenizer_config.json",
    "vocab.json",
    "vocab.txt",
)
_SAFE_SUFFIXES = (".safetensors", ".bin", ".pt", ".pth")
_QUICKGELU = "-quickgelu"
_PREPROCESS_KEYS = ("mean", "std", "interpolation", "resize_mode")


@dataclass(frozen=True)
class OpenClipFiles:
    """What open_clip needs to build one model.

    Attributes:
        model_name: open_clip's name for the architecture, or `local-dir:<folder>`.
        weights: The weights file.
        sha256: Its SHA-256.
        architecture: Architecture and activation, for the extractor's id: `ViT-B-32-quickgelu`,
        `folder1f0c9a7e`.
        short_name: What people call the model.
        quick_gelu: Whether the activation is forced to QuickGELU.
        preprocess: Mean, std, interpolation and resize mode of the tag, where open_clip would not know them.
    """

    model_name: str
    weights: Path
    sha256: str
    architecture: str
    short_name: str
    quick_gelu: bool = False
    preprocess: dict[str, Any] = field(default_factory=dict)


def find_folder(folder: Path, short_name: str) -> OpenClipFiles:
    """Find the parts of a model in open_clip's folder layout.

    Raises:
        ModelError: A part is missing or broken.
    """
    config_path = folder / CONFIG_FILE
    try:
        config = json.loads(config_path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ModelError(f"{str(folder)!r} has no {CONFIG_FILE}: expected a folder that open_clip saved") from error
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ModelError(f"cannot read {str(config_path)!r}: {error}") from error
    model_cfg = config.get("model_cfg") if isinstance(config, dict) else None
    needed = ("embed_dim", "vision_cfg", "text_cfg")
    if not isinstance(model_cfg, dict) or any(key not in model_cfg for key in needed):
        raise ModelError(f"{str(config_path)!r} lacks model_cfg with {', '.join(needed)}: save the model again")
    weights = next((folder / name for name in WEIGHTS_FILES if (folder / name).is_file()), None)
    if weights is None:
        raise ModelError(f"{str(folder)!r} has no weights: expected {' or '.join(WEIGHTS_FILES)}")
    # Everything but the weights decides the features too: activation, resize, tokenizer.
    small = {name: sha256_file(folder / name) for name in TOKENIZER_FILES if (folder / name).is_file()}
    digest = digest_json({"config": [model_cfg, config.get("preprocess_cfg", {})], "files": small})[:8]
    return OpenClipFiles(f"local-dir:{folder}", weights, sha256_file(weights), f"folder{digest}", short_name)


def find_named(name: str, folder: Path | None = None) -> OpenClipFiles:
    """Find the parts of `ARCH/PRETRAINED` or `ARCH/path/to/file`.

    Args:
        name: The model.
        folder: Where to look for the weights of a tag before the user's data folder and open_clip's caches.

    Raises:
        ModelError: Unknown architecture or tag, weights not on this machine, or a file of another activation.
    """
    import open_clip
    from open_clip.pretrained import get_pretrained_cfg, list_pretrained_tags_by_model

    wanted, _, rest = name.partition("/")
    known = open_clip.list_models()
    architecture = wanted if wanted in known else wanted.removesuffix(_QUICKGELU)
    if architecture not in known:
        raise ModelError(f"unknown extractor {name!r}: no such folder or architecture; {did_you_mean(wanted, known)}")
    says_quick = wanted.endswith(_QUICKGELU)
    tag_cfg: dict[str, Any] = get_pretrained_cfg(architecture, rest)
    if says_quick and not tag_cfg.get("quick_gelu"):
        tag_cfg = {}
    path = Path(rest)
    if tag_cfg:
        weights, quick_gelu = _cached_weights(wanted, rest, tag_cfg, folder), bool(tag_cfg.get("quick_gelu"))
        short_name = name
    elif path.is_file():
        _refuse_silent_gelu(architecture, path, says_quick)
        weights, quick_gelu, short_name = path, says_quick, f"{wanted}/{path.name}"
    else:
        tags = list_pretrained_tags_by_model(architecture)
        raise ModelError(f"{rest!r} is no weights file and no open_clip tag of {wanted}: {did_you_mean(rest, tags)}")
    if weights.suffix not in _SAFE_SUFFIXES:
        raise ModelError(f"{str(weights)!r} is of an unknown kind: expected {', '.join(_SAFE_SUFFIXES)}")
    base = architecture.removesuffix(_QUICKGELU)
    native = bool(open_clip.get_model_config(architecture).get("quick_gelu"))
    return OpenClipFiles(
        model_name=architecture,
        weights=weights,
        sha256=sha256_file(weights),
        architecture=f"{base}{_QUICKGELU}" if quick_gelu or native else base,
        short_name=short_name,
        quick_gelu=quick_gelu,
        preprocess={key: tag_cfg[key] for key in _PREPROCESS_KEYS if key in tag_cfg},
    )


def _cached_weights(architecture: str, tag: str, cfg: dict[str, Any], folder: Path | None) -> Path:
    """Return the weights of a tag: pulled ones, else from the caches that open_clip's own downloads fill."""
    from huggingface_hub import try_to_load_from_cache

    for pulled in (*([folder] if folder is not None else []), weights_folder()):
        file = pulled / f"{architecture.removesuffix(_QUICKGELU)}-{tag}.safetensors"
        if file.is_file():
            return file

    repo, _, file_name = str(cfg.get("hf_hub", "")).rpartition("/")
    for candidate in _hub_file_names(file_name) if repo else ():
        found = try_to_load_from_cache(repo, candidate)
        if isinstance(found, str) and Path(found).is_file():
            return Path(found)
    # Where open_clip keeps what it downloads from plain addresses.
    url_file = PurePosixPath(str(cfg.get("url", ""))).name
    downloaded = Path.home() / ".cache" / "clip" / url_file
    if url_file and downloaded.is_file():
        return downloaded
    raise ModelError(
        f"weights of CLIP architecture {architecture}, pretrained tag {tag}, are not on this machine: "
        f"run `imagen-bench weights pull {architecture}/{tag}` once where there is a network, "
        f"or give a file as {architecture}/path/to/weights.safetensors"
    )


def _hub_file_names(file_name: str) -> tuple[str, ...]:
    if not file_name:
        return ("open_clip_model.safetensors", "open_clip_pytorch_model.bin")
    return (f"{PurePosixPath(file_name).stem}.safetensors", file_name)


def _refuse_silent_gelu(architecture: str, path: Path, says_quick: bool) -> None:
    """Refuse a file whose name tells of QuickGELU weights when the architecture would use GELU."""
    from open_clip.pretrained import get_pretrained_cfg, list_pretrained_tags_by_model

    quick_tags = {
        tag
        for tag in list_pretrained_tags_by_model(architecture)
        if get_pretrained_cfg(architecture, tag).get("quick_gelu")
    }
    telling = " ".join([path.name, path.parent.name, *(part for part in path.parts if part.startswith("models--"))])
    text = telling.lower().replace("-", "_")
    hint = next((word for word in sorted({"quickgelu", *quick_tags}) if word in text), None)
    if hint and not says_quick:
        raise ModelError(
            f"{path.name!r} looks like QuickGELU weights ({hint!r} in its path), but architecture "
            f"{architecture!r} would use GELU and score wrongly: write {architecture}{_QUICKGELU}/{path}"
        )
