from __future__ import annotations

import json
from pathlib import Path

import datasets
import pandas as pd
import pytest
import torch

from imagen_bench.data.picture_batches import picture_batches
from imagen_bench.data.picture_sources import DatasetSource, dataset_source, folder_source, parquet_source, table_source
from imagen_bench.errors import InputError
from imagen_bench.images import write_png

NAMES = ["a/0.png", "a/1.png", "b/2.png", "b/3.png"]
CAPTIONS = ["a red apple", "a blue crab", "three pears", "an owl"]


@pytest.fixture
def pictures(tmp_path, monkeypatch):
    """Four pictures in two folders; `datasets` keeps its cache beside them."""
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    for index, name in enumerate(NAMES):
        noise = torch.Generator().manual_seed(index)
        write_png(tmp_path / "set" / name, torch.randint(0, 256, (3, 12, 9), generator=noise, dtype=torch.uint8))
    return tmp_path / "set"


def write_table(path, separator=None):
    if path.suffix == ".jsonl":
        path.write_text(
            "".join(json.dumps({"file": n, "caption": c}) + "\n" for n, c in zip(NAMES, CAPTIONS, strict=True))
        )
    else:
        path.write_text("file,caption\n" + "".join(f"{n},{c}\n" for n, c in zip(NAMES, CAPTIONS, strict=True)))
    return path


def encoded(pictures):
    return [(pictures / name).read_bytes() for name in NAMES]


def from_folder(pictures):
    return folder_source(pictures, write_table(pictures.parent / "texts.csv"))


def from_folder_with_its_table(pictures):
    write_table(pictures / "metadata.jsonl")
    return folder_source(pictures)


def from_text_files(pictures):
    for name, caption in zip(NAMES, CAPTIONS, strict=True):
        (pictures / name).with_suffix(".txt").write_text(caption + "\n")
    return folder_source(pictures)


def from_csv(pictures):
    return table_source(write_table(pictures / "all.csv"))


def from_jsonl(pictures):
    return table_source(write_table(pictures / "all.jsonl"))


def from_parquet_of_bytes(pictures):
    path = pictures.parent / "set.parquet"
    pd.DataFrame({"image": encoded(pictures), "caption": CAPTIONS}).to_parquet(path)
    return parquet_source(path)


def from_parquet_folder_of_structs(pictures):
    folder = pictures.parent / "shards"
    folder.mkdir()
    content = [{"bytes": data, "path": None} for data in encoded(pictures)]
    for shard in (1, 0):
        rows = slice(2 * shard, 2 * shard + 2)
        frame = pd.DataFrame({"picture": content[rows], "words": [[caption] for caption in CAPTIONS[rows]]})
        frame.to_parquet(folder / f"{shard}.parquet")
    return parquet_source(folder, caption_column="words")


def from_parquet_of_paths(pictures):
    pd.DataFrame({"path": NAMES, "text": CAPTIONS}).to_parquet(pictures / "set.parquet")
    return parquet_source(pictures / "set.parquet")


def as_dataset(pictures):
    columns = {"image": [str(pictures / name) for name in NAMES], "text": CAPTIONS}
    return datasets.Dataset.from_dict(columns).cast_column("image", datasets.Image())


def from_saved_dataset(pictures):
    as_dataset(pictures).save_to_disk(pictures.parent / "saved")
    return dataset_source(str(pictures.parent / "saved"))


def from_saved_split(pictures):
    datasets.DatasetDict({"test": as_dataset(pictures)}).save_to_disk(pictures.parent / "saved")
    return dataset_source(str(pictures.parent / "saved"), "test")


def from_image_folder(pictures):
    lines = [{"file_name": n, "text": c} for n, c in zip(NAMES, CAPTIONS, strict=True)]
    (pictures / "metadata.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return dataset_source(str(pictures))


SOURCES = [
    from_folder_with_its_table, from_text_files, from_csv, from_jsonl, from_parquet_of_bytes,
    from_parquet_folder_of_structs, from_parquet_of_paths, from_saved_dataset, from_saved_split, from_image_folder,
]  # fmt: skip


@pytest.mark.parametrize("make", SOURCES)
def test_all_sources_give_the_same_batches(pictures, make):
    source, expected = make(pictures), from_folder(pictures)
    assert len(source) == 4
    for step in range(2):
        images, captions = picture_batches(source, 3, 8, seed=5)(step)
        wanted, texts = picture_batches(expected, 3, 8, seed=5)(step)
        assert torch.equal(images, wanted)
        assert captions == texts


def test_rows_of_one_file_are_captions_of_one_picture(pictures):
    (pictures / "all.csv").write_text("image,text\na/0.png,an apple\nb/2.png,pears\na/0.png,a fruit\n")
    source = table_source(pictures / "all.csv")
    assert len(source) == 2
    assert source.captions(0) == ("an apple", "a fruit")


def broken_parquet(pictures):
    (pictures / "set.parquet").write_bytes(b"PAR1 and no more")
    return parquet_source(pictures / "set.parquet")


def table_of(text):
    def make(pictures):
        (pictures / "all.csv").write_text("file,caption\n" + text)
        return table_source(pictures / "all.csv")

    return make


def dataset_of(read=lambda source: source, **columns):
    def make(pictures):
        datasets.Dataset.from_dict(columns).save_to_disk(pictures.parent / "saved")
        return read(dataset_source(str(pictures.parent / "saved")))

    return make


def wrong_split(pictures):
    datasets.DatasetDict({"test": as_dataset(pictures)}).save_to_disk(pictures.parent / "saved")
    return dataset_source(str(pictures.parent / "saved"), "tset")


REFUSED = {
    "a table as a folder": (lambda p: folder_source(write_table(p / "all.csv")), 'set data.kind to "csv"'),
    "no folder": (lambda p: folder_source(p / "nowhere"), "no folder"),
    "no captions": (folder_source, r"no caption for .*0\.png'?: expected metadata\.csv, .*a text file 0\.txt"),
    "a folder as a table": (table_source, "is no table of pictures"),
    "a missing file": (table_of("a/9.png,nine\n"), r"no picture .*a/9\.png"),
    "a path outside": (table_of("../texts.png,out\n"), "leads out of"),
    "an absolute path": (table_of("/etc/passwd,out\n"), "leads out of"),
    "no parquet": (lambda p: parquet_source(p), "is no parquet file and no folder"),
    "broken parquet": (broken_parquet, r"set\.parquet' cannot be read: .*Parquet"),
    "no picture column": (dataset_of(x=["a"], text=["b"]), "picture column: found x, text; expected one of image"),
    "no caption column": (dataset_of(image=[b"a"], x=["b"]), "caption column: found image, x; expected one of caption"),
    "no rows": (lambda p: DatasetSource(datasets.Dataset.from_dict({"image": [], "text": []}), "it"), "it has no rows"),
    "no rows saved": (dataset_of(image=[], text=[]), "saved' cannot be read"),
    "no picture": (dataset_of(lambda s: s.picture(0), image=[3], text=["b"]), "row 1: 'image' holds int, expected an"),
    "broken picture": (dataset_of(lambda s: s.picture(0), image=[b"a"], text=["b"]), "row 1' is not an image"),
    "empty caption": (dataset_of(lambda s: s.captions(0), image=[b"a"], text=[" "]), "row 1: 'text' is ' ', expected"),
    "wrong split": (wrong_split, "no split 'tset': did you mean 'test'"),
    "column by name": (
        lambda p: parquet_source(from_parquet_of_bytes(p) and p.parent / "set.parquet", caption_column="captoin"),
        "caption column 'captoin' is not there: did you mean 'caption'",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_read_is_refused_in_one_line(pictures, case):
    make, message = REFUSED[case]
    with pytest.raises(InputError, match=message) as caught:
        make(pictures)
    assert "\n" not in str(caught.value)


def test_a_hub_id_that_is_not_in_the_cache_is_not_fetched(pictures, monkeypatch):
    import socket

    def refuse(*arguments):
        raise AssertionError("a connection was tried")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    offline = datasets.config.HF_HUB_OFFLINE
    with pytest.raises(InputError, match=r"'someone/pictures' cannot be read: .*allow the fetch with --download"):
        dataset_source("someone/pictures")
    assert offline == datasets.config.HF_HUB_OFFLINE
    assert Path(datasets.config.HF_DATASETS_CACHE).parent == pictures.parent
