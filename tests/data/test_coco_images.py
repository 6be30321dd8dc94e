"""The COCO reference: which images, which pixels, and every choice in name and digest."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pytest
import torch
from PIL import Image
from torchvision import transforms

from imagen_bench.data import references
from imagen_bench.data.coco_images import KERNELS, crop_and_resize, open_coco_reference, parse_coco_reference
from imagen_bench.data.coco_prompts import load_coco_prompts
from imagen_bench.data.hygiene import check_images
from imagen_bench.data.references import FolderImageSet, open_reference_images
from imagen_bench.errors import ConfigError, InputError

WriteCoco = Callable[..., Path]


def test_the_default_is_in_the_name() -> None:
    found = parse_coco_reference("coco-val2014")
    assert found.name == "coco-val2014-256px-lanczos"
    assert (found.split.images, found.choice) == (40_504, "")
    assert parse_coco_reference("coco-val2014-512px-30k-bicubic").name == "coco-val2014-30k-512px-bicubic"
    assert parse_coco_reference(found.name) == found
    assert parse_coco_reference("coco-val2017-subset").name == "coco-val2017-subset-256px-lanczos"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("coco-val2014-bicubik", r"'bicubik' is no choice of a COCO reference: did you mean 'bicubic'"),
        ("coco-val2014-0px", r"'0px' is no choice"),
        ("coco-val2014-box-bicubic", r"says its kernel twice: give one of box and bicubic"),
        ("coco-val2014-30k-subset", r"says its choice twice"),
        ("coco-val2017-30k", r"the images of coco-30k are drawn from val2014, not val2017"),
    ],
)
def test_wrong_names(name: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_coco_reference(name)


def test_names_that_are_not_ours(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"unknown COCO reference 'coco-vall2014': did you mean 'coco-val2014'"):
        open_reference_images("coco-vall2014:/data/coco")
    with pytest.raises(InputError, match="no folder 'coco-of-mine'"):
        open_reference_images("coco-of-mine")


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("size", [(64, 48), (48, 64), (51, 51), (200, 30), (32, 32)])
def test_pixels_are_those_of_torchvision(kernel: Any, size: tuple[int, int]) -> None:
    image = Image.fromarray(np.random.default_rng(1).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8))
    mode = transforms.InterpolationMode(kernel)
    expected = transforms.Compose([transforms.CenterCrop(min(size)), transforms.Resize(32, mode, antialias=True)])
    found = crop_and_resize(torch.from_numpy(np.array(image)).permute(2, 0, 1), 32, kernel)
    np.testing.assert_array_equal(found.permute(1, 2, 0).numpy(), np.array(expected(image)))


def test_an_odd_margin_is_cropped_to_the_left_and_to_the_top() -> None:
    image = torch.arange(5, dtype=torch.uint8).expand(3, 2, 5)
    assert crop_and_resize(image, 2, "box")[0, 0].tolist() == [1, 2]
    assert crop_and_resize(image.transpose(1, 2), 2, "box")[0, :, 0].tolist() == [1, 2]


def test_the_whole_set(tmp_path: Path, write_coco: WriteCoco, small_coco: None) -> None:
    root = write_coco(tmp_path / "coco")
    images = open_reference_images(f"coco-val2014-32px:{root}")
    assert (images.name, len(images)) == ("coco-val2014-32px-lanczos", 12)
    batches = list(images.batches(5))
    assert [len(batch) for batch in batches] == [5, 5, 2]
    assert {tuple(image.shape) for batch in batches for image in batch} == {(3, 32, 32)}
    assert images.names == FolderImageSet(root / "val2014").names
    assert images.preprocessing == "centre-crop-short-side,32x32,lanczos-antialias-pil"
    assert dict(images.files()).keys() == set(images.names)


def test_every_choice_enters_the_digest(tmp_path: Path, write_coco: WriteCoco, small_coco: None) -> None:
    root = write_coco(tmp_path / "coco")
    names = ["coco-val2014", "coco-val2014-bicubic", "coco-val2014-64px", "coco-val2014-30k"]
    digests = {name: open_coco_reference(f"{name}:{root}").digest for name in names}
    plain = FolderImageSet(root / "val2014").digest
    assert len({*digests.values(), plain}) == len(names) + 1
    moved = root.rename(tmp_path / "elsewhere")
    assert open_coco_reference(f"coco-val2014:{moved}").digest == digests["coco-val2014"]
    victim = next((moved / "val2014").iterdir())
    victim.write_bytes(victim.read_bytes()[:-1] + b"\0")
    assert open_coco_reference(f"coco-val2014:{moved}").digest != digests["coco-val2014"]


def test_30k_means_the_images_of_the_drawn_captions(tmp_path: Path, write_coco: WriteCoco, small_coco: None) -> None:
    root = write_coco(tmp_path / "coco")
    images = open_coco_reference(f"coco-val2014-30k:{root}")
    prompts = load_coco_prompts("coco-30k", str(root))
    assert set(images.names) == {row.meta["file_name"] for row in prompts.rows}
    assert len(images) == 5
    (root / "val2014" / images.names[3]).unlink()
    with pytest.raises(InputError, match=rf"lacks 1 of 5 images \({images.names[3]}\)"):
        open_coco_reference(f"coco-val2014-30k:{root}")


def test_names_from_the_caption_file_stay_in_the_folder(tmp_path: Path, write_coco: WriteCoco) -> None:
    root = write_coco(tmp_path / "coco")
    for name in ("../secret.jpg", "/etc/passwd", "a\\b.jpg", ".."):
        with pytest.raises(InputError, match="is no plain file name"):
            FolderImageSet(root / "val2014", [name])


def test_another_number_of_images_is_refused_or_said(tmp_path: Path, write_coco: WriteCoco) -> None:
    root = write_coco(tmp_path / "coco")
    with pytest.raises(InputError, match=r"has 12 images, val2014 has 40,504: .*or use coco-val2014-subset"):
        open_coco_reference(f"coco-val2014:{root}")
    assert open_coco_reference(f"coco-val2014-subset:{root}").name == "coco-val2014-subset-256px-lanczos"


def test_the_registered_copy(tmp_path: Path, write_coco: WriteCoco, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IMAGEN_BENCH_HOME", str(tmp_path / "home"))
    with pytest.raises(InputError, match=r"no copy of COCO is known for 'coco-val2014'.*imagen-bench data coco"):
        open_coco_reference("coco-val2014")
    write_coco(tmp_path / "home" / "coco")
    assert len(open_coco_reference("coco-val2014-subset")) == 12
    with pytest.raises(InputError, match="no folder '/nowhere' for 'coco-val2014'"):
        open_coco_reference("coco-val2014:/nowhere")


def as_dataset(root: Path, embed: bool = False) -> datasets.Dataset:
    paths = sorted((root / "val2014").iterdir())
    files = [{"bytes": path.read_bytes(), "path": path.name} for path in paths] if embed else list(map(str, paths))
    return datasets.Dataset.from_dict({"image": files, "label": list(range(len(files)))}).cast_column(
        "image", datasets.Image()
    )


def test_parquet_shards_of_the_images(tmp_path: Path, write_coco: WriteCoco, small_coco: None) -> None:
    root = write_coco(tmp_path / "coco")
    (tmp_path / "hub").mkdir()
    as_dataset(root, embed=True).to_parquet(str(tmp_path / "hub" / "val-00000.parquet"))
    shards = open_coco_reference(f"coco-val2014:{tmp_path / 'hub'}")
    assert shards.digest == open_coco_reference(f"coco-val2014:{root}").digest
    with pytest.raises(InputError, match="holds images alone"):
        open_coco_reference(f"coco-val2014-30k:{tmp_path / 'hub'}")


def test_a_dataset_id(tmp_path: Path, write_coco: WriteCoco, small_coco: None, monkeypatch: pytest.MonkeyPatch) -> None:
    root = write_coco(tmp_path / "coco")
    data = as_dataset(root)
    asked = []

    def load(builder: str, data_files: object, split: str) -> datasets.Dataset:
        asked.append((builder, split))
        return data

    monkeypatch.setattr(datasets, "load_dataset", load)
    images = open_coco_reference("coco-val2014:someone/coco2014@val")
    assert asked == [("someone/coco2014", "val")]
    assert images.digest == open_coco_reference(f"coco-val2014:{root}").digest
    assert [len(batch) for batch in images.batches(8)] == [8, 4]
    monkeypatch.setattr(datasets, "load_dataset", lambda *args, **kwargs: data.remove_columns("image"))
    with pytest.raises(InputError, match="has columns label; expected a column 'image'"):
        open_coco_reference("coco-val2014:someone/coco2014@val")


def test_a_dataset_that_is_not_in_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    with pytest.raises(InputError, match=r"dataset 'someone/nothing-like-it' cannot be read"):
        open_coco_reference("coco-val2014:someone/nothing-like-it@val")


def test_looking_it_over_as_a_reference_reads_its_files_once(
    tmp_path: Path, write_coco: WriteCoco, small_coco: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = write_coco(tmp_path / "coco")
    expected = open_coco_reference(f"coco-val2014:{root}").digest
    generated = tmp_path / "generated"
    generated.mkdir()
    copied = sorted((root / "val2014").iterdir())[0]
    Image.open(copied).save(generated / "copy.png")
    reference = open_coco_reference(f"coco-val2014:{root}")
    (finding,) = check_images(open_reference_images(str(generated)), reference).findings
    assert finding.names == (f"copy.png = {copied.name}",)
    monkeypatch.setattr(references, "hash_files", lambda paths: pytest.fail("read again"))
    assert reference.digest == expected
