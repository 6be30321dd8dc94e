"""Readers of prompts, captions and lists, whatever the file holds: what was written comes back, or one clear line."""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from imagen_bench.bench.variants import load_study
from imagen_bench.config import apply_overrides, dump_config, load_config
from imagen_bench.data.captions import load_captions
from imagen_bench.data.coco_lists import read_list
from imagen_bench.data.prompts import read_prompt_file
from imagen_bench.errors import ImagenBenchError

sys.path.insert(0, str(Path(__file__).parent / "toys"))
from spoiling import JSON, JUNK, PLAIN, TEXTS, spoilt

often = settings(
    derandomize=True, deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
# One that spreadsheets, JSON and parquet can hold in every cell.
ROWS = st.lists(st.tuples(PLAIN, PLAIN), min_size=1, max_size=5)


def refused_in_a_line(read: Callable[[], Any]) -> Any:
    """Return what was read, or None where it was refused as it should be; anything else raised fails the test."""
    try:
        return read()
    except ImagenBenchError as error:
        said = str(error)
        assert said.strip()
        assert not set(said) & {"\n", "\r", "\0"}, said
        assert len(said) < 2000
        return None


def write(folder: Path, name: str, data: bytes) -> Path:
    (folder / name).write_bytes(data)
    return folder / name


def as_csv(rows: list[dict[str, Any]], separator: str = ",") -> bytes:
    text = io.StringIO(newline="")
    table = csv.DictWriter(text, list(rows[0]), delimiter=separator, lineterminator="\n")
    table.writeheader()
    table.writerows(rows)
    return text.getvalue().encode()


def as_jsonl(rows: list[dict[str, Any]]) -> bytes:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()


def as_parquet(rows: list[dict[str, Any]]) -> bytes:
    import pandas as pd

    buffer = io.BytesIO()
    pd.DataFrame(rows).to_parquet(buffer, index=False)
    return buffer.getvalue()


def as_tsv(rows: list[dict[str, Any]]) -> bytes:
    return "\n".join("\t".join(map(str, row)) for row in [rows[0].keys(), *(row.values() for row in rows)]).encode()


WRITERS: dict[str, Callable[[list[dict[str, Any]]], bytes]] = {
    ".csv": as_csv,
    ".tsv": as_tsv,
    ".jsonl": as_jsonl,
    ".parquet": as_parquet,
}
each_table = pytest.mark.parametrize("ending", WRITERS)


@each_table
@often
@given(rows=ROWS)
def test_prompts_come_back(tmp_path: Path, ending: str, rows: list[tuple[str, str]]) -> None:
    records = [{"prompt": text, "category": f"c{category}"} for text, category in rows]
    found = read_prompt_file(write(tmp_path, f"a{ending}", WRITERS[ending](records)))
    assert [(row.prompt, row.category) for row in found.rows] == [(text, f"c{category}") for text, category in rows]
    assert found.digest == read_prompt_file(write(tmp_path, f"b{ending}", WRITERS[ending](records))).digest


@often
@given(lines=st.lists(PLAIN, min_size=1, max_size=6), end=st.sampled_from(["\n", "\r\n"]), last=st.booleans())
def test_prompts_of_a_text_file_come_back(tmp_path: Path, lines: list[str], end: str, last: bool) -> None:
    text = end.join(lines) + (end if last else "")
    assert [row.prompt for row in read_prompt_file(write(tmp_path, "a.txt", text.encode())).rows] == lines


@often
@given(
    rows=st.lists(st.dictionaries(st.sampled_from(["prompt", "prompt_id", "category", "seed", "x"]), JSON), max_size=3)
)
def test_any_json_lines_are_read_or_refused(tmp_path: Path, rows: list[dict[str, Any]]) -> None:
    file = write(tmp_path, "a.jsonl", as_jsonl(rows))
    found = refused_in_a_line(lambda: read_prompt_file(file))
    if found is not None:
        assert [row.prompt for row in found.rows] == [row["prompt"] for row in rows]
        assert len({row.prompt_id.casefold() for row in found.rows}) == len(rows)


@pytest.mark.parametrize("ending", [".txt", *WRITERS])
@often
@given(data=st.data())
def test_damaged_prompt_files_are_read_or_refused(tmp_path: Path, ending: str, data: st.DataObject) -> None:
    records = [{"prompt_id": f"p{n}", "prompt": f'a "red" apple, {n}', "category": "ü", "seed": n} for n in range(3)]
    whole = WRITERS[ending](records) if ending in WRITERS else b"a red apple\nthree pears\n"
    spoilt_file = write(tmp_path, f"a{ending}", data.draw(st.one_of(spoilt(whole), JUNK)))
    found = refused_in_a_line(lambda: read_prompt_file(spoilt_file))
    if found is not None:
        assert all(row.prompt.strip() and "\0" not in row.prompt for row in found.rows)
        assert all("/" not in row.prompt_id and not row.prompt_id.startswith(".") for row in found.rows)


@pytest.mark.parametrize("ending", [".csv", ".jsonl"])
@often
@given(rows=ROWS)
def test_captions_come_back(tmp_path: Path, ending: str, rows: list[tuple[str, str]]) -> None:
    records = [{"file": f"{n}.png", "caption": text, "category": other} for n, (text, other) in enumerate(rows)]
    found = load_captions(write(tmp_path, f"a{ending}", WRITERS[ending](records)))
    assert [(row.file, row.text, row.category) for row in found.rows] == [
        (f"{n}.png", text, other) for n, (text, other) in enumerate(rows)
    ]


COCO = {
    "images": [{"id": number, "file_name": f"{number:012d}.jpg"} for number in (7, 8)],
    "annotations": [{"id": 10 + n, "image_id": 7 + n % 2, "caption": f"caption {n}"} for n in range(4)],
}


@pytest.mark.parametrize("ending", [".csv", ".jsonl", ".txt", ".json"])
@often
@given(data=st.data())
def test_damaged_captions_are_read_or_refused(tmp_path: Path, ending: str, data: st.DataObject) -> None:
    records = [{"file": f"{n}.png", "caption": f'a "red" apple, {n}', "category": "ü"} for n in range(3)]
    plain = {".json": json.dumps(COCO).encode(), ".txt": "one\ntwo é\n".encode()}
    whole = plain[ending] if ending in plain else WRITERS[ending](records)
    file = write(tmp_path, f"a{ending}", data.draw(st.one_of(spoilt(whole), JUNK)))
    found = refused_in_a_line(lambda: load_captions(file))
    if found is not None:
        assert found.rows
        assert all(row.text.strip() for row in found.rows)


ENTRY = st.one_of(st.dictionaries(st.sampled_from(["id", "file_name", "image_id", "caption"]), JSON, max_size=4), JSON)


@often
@given(images=st.one_of(st.lists(ENTRY, max_size=3), JSON), notes=st.one_of(st.lists(ENTRY, max_size=3), JSON))
def test_any_json_in_the_place_of_coco_is_read_or_refused(tmp_path: Path, images: Any, notes: Any) -> None:
    text = json.dumps({"images": images, "annotations": notes})
    refused_in_a_line(lambda: load_captions(write(tmp_path, "a.json", text.encode())))


@pytest.mark.parametrize("ending", WRITERS)
@often
@given(rows=st.lists(st.tuples(st.integers(0, 10**6), PLAIN), min_size=1, max_size=4))
def test_lists_of_images_come_back(tmp_path: Path, ending: str, rows: list[tuple[int, str]]) -> None:
    records = [{"image_id": number, "prompt": text, "seed": number} for number, text in rows]
    found = read_list(write(tmp_path, f"a{ending}", WRITERS[ending](records)), len(rows))
    assert [(int(row.meta["image_id"]), row.prompt) for row in found] == rows
    assert len({row.prompt_id for row in found}) == len(rows)


@pytest.mark.parametrize("ending", WRITERS)
@often
@given(data=st.data())
def test_damaged_lists_of_images_are_read_or_refused(tmp_path: Path, ending: str, data: st.DataObject) -> None:
    whole = WRITERS[ending](
        [{"image_id": 391895, "prompt": "a man", "seed": 3}, {"image_id": 7, "prompt": "é", "seed": 4}]
    )
    file = write(tmp_path, f"a{ending}", data.draw(st.one_of(spoilt(whole), JUNK)))
    found = refused_in_a_line(lambda: read_list(file, None))
    if found is not None:
        assert all(row.meta["image_id"].isdecimal() for row in found)


@often
@given(rows=st.lists(st.fixed_dictionaries({"image_id": JSON, "prompt": TEXTS, "seed": JSON}), min_size=1, max_size=3))
def test_any_ids_of_images_are_read_or_refused(tmp_path: Path, rows: list[dict[str, Any]]) -> None:
    file = write(tmp_path, "a.jsonl", as_jsonl(rows))
    refused_in_a_line(lambda: read_list(file, None))


CONFIG = b"""name = "toy"
seed = 3
[model]
name = "imagen-emoji"
options = { batch_size = 4, base = { steps = 2 } }
[prompts]
set = "emoji-bench"
samples_per_prompt = 2
[sweep]
guidance_weights = [1.0, 2.5]
[scores]
metrics = ["clip_score"]
[variants.short]
"model.options.base.steps" = 1
"""
KEYS = st.sampled_from(
    ["name", "seed", "model", "model.name", "model.options", "prompts.set", "prompts.limit", "sweep", "scores.metrics",
     "sweep.guidance_weights", "sweep.preset", "scores.options.kid", "gallery.prompts", "sheets", "", ".", "a..b"]
)  # fmt: skip
VALUES = st.one_of(
    TEXTS, JSON.map(json.dumps), st.sampled_from(["[1.0, nan]", "[]", "[1e400]", "inf", "1979-05-27", "{ a = 1 }"])
)


@often
@given(data=st.data())
def test_damaged_configurations_are_read_or_refused(tmp_path: Path, data: st.DataObject) -> None:
    run, study = CONFIG.split(b"[variants")[0], CONFIG
    file = write(tmp_path, "a.toml", data.draw(st.one_of(spoilt(run), JUNK)))
    config = refused_in_a_line(lambda: load_config(file))
    if config is not None:
        record = write(tmp_path, "run.json", json.dumps({"config": dump_config(config)}).encode())
        assert load_config(record) == config
    damaged = write(tmp_path, "b.toml", data.draw(spoilt(study)))
    refused_in_a_line(lambda: load_study(damaged))


@often
@given(overrides=st.lists(st.tuples(KEYS, VALUES).map("=".join), max_size=3))
def test_any_overrides_are_taken_or_refused(tmp_path: Path, overrides: list[str]) -> None:
    file = write(tmp_path, "a.toml", CONFIG.split(b"[variants")[0])
    config = refused_in_a_line(lambda: load_config(file, overrides))
    if config is not None:
        record = write(tmp_path, "run.json", json.dumps({"config": dump_config(config)}).encode())
        assert load_config(record) == config
    refused_in_a_line(lambda: apply_overrides({"model": {"name": "a"}}, overrides))


@often
@given(record=JSON, config=JSON)
def test_any_record_of_a_run_is_read_or_refused(tmp_path: Path, record: Any, config: Any) -> None:
    for content in (record, {"config": config}, {"config": {"name": "toy", "model": config, "sweep": config}}):
        file = write(tmp_path, "run.json", json.dumps(content).encode())
        refused_in_a_line(partial(load_config, file))
