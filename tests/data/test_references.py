from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

from imagen_bench.data.references import open_image_set
from imagen_bench.errors import InputError


def png(value: int, size: tuple[int, int] = (5, 4)) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", size, (value, 10, 20)).save(stream, format="PNG")
    return stream.getvalue()


def write_folder(folder: Path, names: list[str]) -> Path:
    for value, name in enumerate(names):
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(png(value, (4 + value, 4)))
    return folder


def write_parquet(file: Path, images: Sequence[bytes | None], column: str = "image") -> Path:
    rows = [{"bytes": data, "path": f"{index}.png"} for index, data in enumerate(images)]
    file.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table({column: pa.array(rows, pa.struct([("bytes", pa.binary()), ("path", pa.string())]))}), file)
    return file


def test_folder_in_order_with_every_size(tmp_path: Path) -> None:
    images = open_image_set(write_folder(tmp_path / "set", ["b.png", "a/z.png", "c.png"]))
    assert images.name == "set"
    assert images.names == ("a/z.png", "b.png", "c.png")
    assert len(images) == 3
    batches = list(images.batches(2))
    assert [len(batch) for batch in batches] == [2, 1]
    assert batches[0][0].dtype == torch.uint8
    assert [tuple(image.shape) for batch in batches for image in batch] == [(3, 4, 5), (3, 4, 4), (3, 4, 6)]


def test_digest_follows_content_alone(tmp_path: Path) -> None:
    one = open_image_set(write_folder(tmp_path / "one", ["a.png", "b.png"]))
    other = open_image_set(write_folder(tmp_path / "two", ["x/q.png", "y.png"]))
    assert one.digest == other.digest
    (tmp_path / "two" / "y.png").write_bytes(png(99))
    assert open_image_set(tmp_path / "two").digest != one.digest
    (tmp_path / "one" / "copy.png").write_bytes((tmp_path / "one" / "a.png").read_bytes())
    assert open_image_set(tmp_path / "one").digest != one.digest


def test_parquet_as_hugging_face_datasets_writes_it(tmp_path: Path) -> None:
    arrays = [np.full((4, 6, 3), value, dtype=np.uint8) for value in (0, 100, 255)]
    features = datasets.Features({"image": datasets.Image(), "label": datasets.Value("int64")})
    made = datasets.Dataset.from_dict(
        {"image": [Image.fromarray(array) for array in arrays], "label": [0, 1, 2]}, features=features
    )
    made.to_parquet(str(tmp_path / "set.parquet"))
    images = open_image_set(tmp_path / "set.parquet")
    (batch,) = images.batches(8)
    np.testing.assert_array_equal(torch.stack(batch).permute(0, 2, 3, 1).numpy(), np.stack(arrays))
    assert len(set(images.names)) == 3


def test_parquet_shards_and_folder_are_one_set(tmp_path: Path) -> None:
    content = [png(value) for value in range(5)]
    write_parquet(tmp_path / "hub" / "data" / "train-00000-of-00002.parquet", content[:3])
    write_parquet(tmp_path / "hub" / "data" / "train-00001-of-00002.parquet", content[3:])
    shards = open_image_set(tmp_path / "hub")
    assert len(shards) == 5
    assert [len(batch) for batch in shards.batches(2)] == [2, 2, 1]
    for index, data in enumerate(content):
        file = tmp_path / "folder" / f"{index}.png"
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(data)
    assert open_image_set(tmp_path / "folder").digest == shards.digest


def test_unreadable_images_are_named(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "set", ["a.png", "b.png"])
    (folder / "b.png").write_bytes(png(1)[:40])
    with pytest.raises(InputError, match=r"b\.png"):
        list(open_image_set(folder).batches(2))
    with pytest.raises(InputError, match=r"'1\.png' is not an image"):
        list(open_image_set(write_parquet(tmp_path / "s.parquet", [png(0), b"nothing"])).batches(2))


def test_refusals(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected a folder"):
        open_image_set(tmp_path / "missing")
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(InputError, match="is no image set"):
        open_image_set(tmp_path / "notes.txt")
    with pytest.raises(InputError, match="columns picture; expected a column 'image'"):
        open_image_set(write_parquet(tmp_path / "p" / "a.parquet", [png(0)], column="picture"))
    with pytest.raises(InputError, match=r"row 1 of .* has no image bytes"):
        open_image_set(write_parquet(tmp_path / "q" / "a.parquet", [png(0), None]))
    with pytest.raises(InputError, match="holds no rows"):
        open_image_set(write_parquet(tmp_path / "r" / "a.parquet", []))
    pq.write_table(pa.table({"image": ["a.png"]}), tmp_path / "s.parquet")
    with pytest.raises(InputError, match="expected a struct of bytes and path"):
        open_image_set(tmp_path / "s.parquet")
    (tmp_path / "t.parquet").write_bytes(b"PAR1 not really")
    with pytest.raises(InputError, match="cannot read parquet"):
        open_image_set(tmp_path / "t.parquet")
    (tmp_path / "p" / "b.png").write_bytes(png(0))
    with pytest.raises(InputError, match="both images and parquet"):
        open_image_set(tmp_path / "p")
