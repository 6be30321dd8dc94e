"""The weights of fixed feature spaces: what there is, where it comes from, where it lies on this machine.

Nothing here downloads; `weights_pull` does. A file is looked for under the name that the user gave for it, then in
`weights_dir`, then in `weights/` of the user's data folder (`IMAGEN_BENCH_HOME`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from imagen_bench.errors import ConfigError, ModelError
from imagen_bench.files import sha256_file
from imagen_bench.home import weights_folder
from imagen_bench.suggest import did_you_mean


@dataclass(frozen=True)
class Weights:
    """One file of published weights.

    Attributes:
        name: What users write.
        file: Its name on this machine.
        url: Where its authors publish it.
        used_by: Which metrics need it.
        licence: As its publisher states it.
        size: Bytes; None where no figure is pinned.
        sha256: Digest that the file must have; None where its publisher states none, and it is recorded at the
            first download.
    """

    name: str
    file: str
    url: str
    used_by: str
    licence: str
    size: int | None = None
    sha256: str | None = None


_HUB = "https://huggingface.co/timm/{}/resolve/main/open_clip_model.safetensors"
CATALOGUE = {
    entry.name: entry
    for entry in (
        Weights(
            "inception",
            "weights-inception-2015-12-05-6726825d.pth",
            "https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/"
            "weights-inception-2015-12-05-6726825d.pth",
            "FID, KID, Inception Score, precision and recall",
            "Apache-2.0",
            95_628_359,
            "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2",
        ),
        Weights(
            "dinov2-vitl14",
            "dinov2_vitl14_pretrain.pth",
            "https://dl.fbaipublicfiles.com/dinov2/dinov2_vitl14/dinov2_vitl14_pretrain.pth",
            "FD-DINOv2",
            "Apache-2.0",
        ),
        Weights(
            "clip-vitl14-336",
            "ViT-L-14-336-openai.safetensors",
            _HUB.format("vit_large_patch14_clip_336.openai"),
            "CMMD",
            "MIT",
        ),
        Weights(
            "clip-vitl14",
            "ViT-L-14-openai.safetensors",
            _HUB.format("vit_large_patch14_clip_224.openai"),
            "CLIP score with --extractor ViT-L-14/openai",
            "MIT",
        ),
        Weights(
            "clip-vitb32",
            "ViT-B-32-openai.safetensors",
            _HUB.format("vit_base_patch32_clip_224.openai"),
            "CLIP-FID and CLIPScore with --extractor ViT-B-32/openai",
            "MIT",
        ),
    )
}


@dataclass(frozen=True)
class WeightsPlaces:
    """Where weights are looked for.

    Attributes:
        files: Files that the user named, by the name of the weights.
        folder: A folder to look in before the user's data folder.
    """

    files: Mapping[str, str] = field(default_factory=dict)
    folder: Path | None = None

    def __post_init__(self) -> None:
        """Refuse names that no weights have.

        Raises:
            ConfigError: An unknown name.
        """
        for name in self.files:
            find_weights(name)


def find_weights(name: str) -> Weights:
    """Return an entry of the catalogue.

    Args:
        name: Its name, or for a CLIP model also open_clip's: "ViT-L-14/openai".

    Raises:
        ConfigError: There is none of this name.
    """
    if name in CATALOGUE:
        return CATALOGUE[name]
    file = name.replace("-quickgelu/", "/").replace("/", "-") + ".safetensors"
    for entry in CATALOGUE.values():
        if entry.file == file:
            return entry
    raise ConfigError(f"unknown weights {name!r}: {did_you_mean(name, CATALOGUE)}")


def locate_weights(name: str, places: WeightsPlaces | None = None) -> Path:
    """Return the file of some weights, verified where its digest is pinned.

    A file that the user names is taken whatever its digest, which then is in the extractor's id.

    Raises:
        ConfigError: An unknown name.
        ModelError: Not on this machine, or a file in a weights folder that is not the published one.
    """
    entry, places = find_weights(name), places or WeightsPlaces()
    if name in places.files:
        path = Path(places.files[name]).expanduser()
        if not path.is_file():
            raise ModelError(f"no weights file {str(path)!r} for {name}: give an existing file, or leave it out")
        return path
    folders = [places.folder] if places.folder is not None else []
    for folder in (*folders, weights_folder()):
        if (folder / entry.file).is_file():
            return _verified(folder / entry.file, entry)
    where = " and ".join(repr(str(folder)) for folder in (*folders, weights_folder()))
    raise ModelError(
        f"weights of {name} ({entry.used_by}) are not on this machine: run `imagen-bench weights pull {name}`, or "
        f"give a file with --weights {name}=FILE (looked for {entry.file} in {where})"
    )


def _verified(path: Path, entry: Weights) -> Path:
    if entry.sha256 is not None:
        found = sha256_file(path)
        if found != entry.sha256:
            raise ModelError(
                f"{str(path)!r} has SHA-256 {found[:16]}…, the published file {entry.sha256[:16]}…: remove it and run "
                f"`imagen-bench weights pull {entry.name}`, or name it with --weights {entry.name}=FILE"
            )
    return path
