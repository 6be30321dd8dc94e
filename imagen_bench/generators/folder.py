"""The `folder` generator: images that are finished already, as a model that needs no computing.

    [model]
    name = "my-model"
    generator = "folder"
    options = { folder = "images/my-model" }

One folder a guidance weight makes a sweep: `w=1.5/`, `w=2/` in it, or any names by `options.weights`, a table
weight -> folder. Images without such folders belong to the one weight of the run. An image is found by its name,
`<prompt id>_<index>.png` or `<prompt id>/<index>.png` (`<prompt id>.png` is sample 0), at any depth; or, with
`options.captions`, by its caption: the k-th image of a text is sample k of the prompt with that text.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from imagen_bench.config import Section, validate
from imagen_bench.errors import InputError
from imagen_bench.files import digest_json, sha256_file
from imagen_bench.generators.base import SampleRequest, generators
from imagen_bench.generators.folder_files import find_by_caption, find_by_name, weight_folders

if TYPE_CHECKING:
    import torch

_SHOWN = 5


class FolderOptions(Section):
    """Options of the generator.

    Attributes:
        folder: Folder of the images; the model's name where it is not given.
        weights: Guidance weight -> folder of its images, relative to `folder`.
        captions: Caption file (csv, jsonl, txt) in each weight's folder, or one for all in `folder`.
    """

    folder: str | None = None
    weights: dict[str, str] = Field(default_factory=dict)
    captions: str | None = None


class FolderGenerator:
    """Finished images, found by prompt id or caption.

    Args:
        name: What reports call the model.
        root: The folder.
        options: Where the weights' folders and captions are.

    Raises:
        InputError: No such folder, or a weight's folder or a caption file is missing.
        ConfigError: A key of `options.weights` is no number.
    """

    def __init__(self, name: str, root: Path, options: FolderOptions) -> None:
        from imagen_bench.images import list_images

        self.name, self._root, self._captions = name, root, options.captions
        self._folders = weight_folders(root, options.weights)
        self._images = {weight: list_images(folder) for weight, folder in self._folders.items()}
        self._files: dict[tuple[float, int, str], Path] = {}

    def describe(self) -> dict[str, Any]:
        """Digest of all images and captions: a changed folder does not continue an old run."""
        content: dict[str, dict[str, str]] = {}
        for weight, files in self._images.items():
            named = {path.relative_to(self._folders[weight]).as_posix(): sha256_file(path) for path in files}
            content["all" if weight is None else f"{weight:g}"] = named
        described: dict[str, Any] = {
            "generator": "folder",
            "images": {weight: len(files) for weight, files in content.items()},
            "images_sha256": digest_json(content),
        }
        if self._captions is not None:
            texts = dict.fromkeys(self._caption_file(weight) for weight in self._folders)
            described["captions_sha256"] = digest_json([sha256_file(file) for file in texts])
        return described

    def prepare(self, samples: Sequence[SampleRequest]) -> None:
        """Find the image of every sample of a run.

        Raises:
            InputError: Images are missing, or not all of one size; the message lists the first of them.
        """
        weights = dict.fromkeys(sample.guidance_weight for sample in samples)
        missing: list[str] = []
        for weight in weights:
            wanted = [sample for sample in samples if sample.guidance_weight == weight]
            found = self._find(self._weight_of(weight, len(weights)), wanted)
            missing += [_wanted_name(sample) for sample in wanted if sample not in found]
            self._files |= {(weight, sample.seed, sample.prompt): path for sample, path in found.items()}
        if missing:
            shown = ", ".join(missing[:_SHOWN]) + (", ..." if len(missing) > _SHOWN else "")
            how = f"a caption in {self._captions}" if self._captions else "<prompt id>_<index>.png"
            raise InputError(
                f"{str(self._root)!r} lacks {len(missing)} of {len(samples)} images: {shown}; add them (found by "
                f"{how}), or ask for fewer prompts, samples or weights"
            )
        _check_sizes(self._files.values())

    def generate(self, prompts: Sequence[str], seeds: Sequence[int], guidance_weight: float) -> torch.Tensor:
        """Read the images of the samples that `prepare` found.

        Outside a run there are no prompt ids: then the caption file decides, and a seed is a sample's index.

        Raises:
            InputError: A sample has no image, or an image is broken or of another size.
        """
        import torch

        from imagen_bench.images import read_image

        keys = [(guidance_weight, seed, text) for seed, text in zip(seeds, prompts, strict=True)]
        if not all(key in self._files for key in keys):
            self._prepare_by_seed(prompts, seeds, guidance_weight)
        return torch.stack([read_image(self._files[key]) for key in keys])

    def _prepare_by_seed(self, prompts: Sequence[str], seeds: Sequence[int], weight: float) -> None:
        if self._captions is None:
            raise InputError(
                f"{str(self._root)!r}: without a benchmark's prompt ids, images are found by captions; "
                "give options.captions, or use `run`"
            )
        self.prepare([SampleRequest("", text, seed, seed, weight) for text, seed in zip(prompts, seeds, strict=True)])

    def _find(self, weight: float | None, wanted: Sequence[SampleRequest]) -> dict[SampleRequest, Path]:
        """The images of one weight's samples, as far as they are there."""
        if weight not in self._images:
            return {}
        files, folder = self._images[weight], self._folders[weight]
        if self._captions is not None:
            return find_by_caption(files, folder, self._caption_file(weight), wanted)
        return find_by_name(files, folder, wanted)

    def _weight_of(self, weight: float, weights_asked: int) -> float | None:
        """The key of a weight's folder; None is the folder that is not divided by weights."""
        if None not in self._folders:
            return weight
        if weights_asked > 1:
            raise InputError(
                f"{str(self._root)!r} holds images of one guidance weight, the run asks for {weights_asked}: "
                "expected a folder w=<weight> for each, or options.weights"
            )
        return None

    def _caption_file(self, weight: float | None) -> Path:
        name = self._captions or ""
        places = [self._folders[weight] / name, self._root / name]
        file = next((place for place in places if place.is_file()), None)
        if file is None:
            raise InputError(f"no caption file {str(places[0])!r}: expected it there or in {str(self._root)!r}")
        return file


@generators.register("folder")
def open_folder(name: str, options: dict[str, Any]) -> FolderGenerator:
    """Open a folder of finished images.

    Raises:
        ConfigError: An unknown or wrong option.
        InputError: There is no such folder, or no image in it.
    """
    settings = validate(FolderOptions, options, "model.options")
    root = Path(settings.folder or name)
    if not root.is_dir():
        raise InputError(f"no folder {str(root)!r}: expected the finished images of the model; set options.folder")
    return FolderGenerator(Path(name).name, root, settings)


def _wanted_name(sample: SampleRequest) -> str:
    name = f"{sample.prompt_id}_{sample.index}" if sample.prompt_id else f"{sample.prompt[:40]!r} sample {sample.index}"
    return f"w={sample.guidance_weight:g} {name}"


def _check_sizes(files: Iterable[Path]) -> None:
    """Refuse images of several sizes, from their headers."""
    from imagen_bench.images import image_size

    first: tuple[Path, tuple[int, int]] | None = None
    for file in dict.fromkeys(files):
        size = image_size(file)
        first = first or (file, size)
        if size != first[1]:
            raise InputError(
                f"{str(file)!r} has {size[0]}x{size[1]} pixels, {str(first[0])!r} {first[1][0]}x{first[1][1]}: "
                "expected one size; resize them"
            )
