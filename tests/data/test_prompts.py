"""Prompt sets: names, checks on rows, digests, and definitions that pin them."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from imagen_bench.data.prompts import (
    NO_CATEGORY,
    PromptSet,
    built_in_names,
    load_bench,
    load_prompt_set,
    prompt_sets,
    read_prompt_file,
)
from imagen_bench.errors import ConfigError, InputError
from imagen_bench.registry import Registry


def write(path: Path, text: str) -> Path:
    path.write_bytes(text.encode("utf-8"))
    return path


def test_digest_is_sha256_over_the_canonical_json_of_the_rows(tmp_path: Path) -> None:
    found = read_prompt_file(write(tmp_path / "a.csv", "prompt,Category,count\nÄ cat,Zoo ,3\na dog,Zoo,\n"))
    rows = [["p0001", "Ä cat", "Zoo"], ["p0002", "a dog", "Zoo"]]
    canonical = json.dumps(rows, ensure_ascii=False, separators=(",", ":")).encode("utf-8")
    assert found.digest == hashlib.sha256(canonical).hexdigest()


def test_every_format_gives_the_same_set(tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    rows = [
        {"prompt_id": "a", "prompt": 'He said "a, b".', "category": "x"},
        {"prompt_id": "b", "prompt": " ö", "category": "y"},
    ]
    pandas.DataFrame(rows).to_csv(tmp_path / "s.csv", index=False)
    pandas.DataFrame(rows).to_parquet(tmp_path / "s.parquet")
    write(tmp_path / "s.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    sets = [load_prompt_set(str(tmp_path / f"s.{ending}")) for ending in ("csv", "parquet", "jsonl")]
    assert sets[0] == sets[1] == sets[2]
    assert [row.prompt for row in sets[0].rows] == [row["prompt"] for row in rows]
    assert (sets[0].id, sets[0].version, len(sets[0])) == ("s", "file", 2)


def test_ids_are_numbered_where_the_file_has_none(tmp_path: Path) -> None:
    found = read_prompt_file(write(tmp_path / "a.txt", "one\ntwo\n"))
    assert [row.prompt_id for row in found.rows] == ["p0001", "p0002"]
    assert found.categories() == {NO_CATEGORY: 2}


@pytest.mark.parametrize("bad", ["a/b", "..", ".hidden", "-rf", "a b", "ä", "x" * 101, "a\\b", "a\nb"])
def test_ids_that_are_unsafe_as_file_names_are_refused(tmp_path: Path, bad: str) -> None:
    path = write(tmp_path / "a.jsonl", json.dumps({"prompt_id": bad, "prompt": "a cat"}))
    with pytest.raises(InputError, match=r"a\.jsonl, line 1: prompt_id .* cannot be part of a file name"):
        read_prompt_file(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("prompt_id,prompt\na,one\nA,two\n", r"line 3: prompt_id 'A' was given before, in line 2"),
        ("prompt_id,prompt\na,one\n,two\n", r"line 3: the prompt_id is empty"),
        ("prompt,category\none,x\n  ,x\n", r"line 3: the prompt is empty"),
        ("prompt,category\none,all\n", r"line 2: the category 'all' is taken"),
        ("prompt\n", r"no prompts found"),
        ("", r"no column 'prompt'"),
    ],
)
def test_wrong_rows_are_refused_with_file_and_line(tmp_path: Path, text: str, message: str) -> None:
    path = write(tmp_path / "mine.csv", text)
    with pytest.raises(InputError, match=message) as caught:
        read_prompt_file(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_half_a_character_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", '{"prompt": "a \\ud83d cat"}\n')
    with pytest.raises(InputError, match="lone surrogate"):
        read_prompt_file(path)


def test_names_are_those_of_the_registry() -> None:
    assert "emoji-bench" in built_in_names()
    with pytest.raises(ConfigError, match="did you mean 'emoji-bench'"):
        load_prompt_set("emoji-bensh")


def test_a_plug_in_is_found_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    registry: Registry[object] = Registry("prompt set")
    registry.register("mine")(lambda: PromptSet("mine", "3", "0" * 64, ()))
    monkeypatch.setattr("imagen_bench.data.prompts.prompt_sets", registry)
    assert load_prompt_set("mine").version == "3"


def test_the_built_in_set_cannot_be_shadowed_by_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "emoji-bench").mkdir()
    write(tmp_path / "emoji-bench" / "bench.toml", "nonsense")
    monkeypatch.chdir(tmp_path)
    assert load_prompt_set("emoji-bench") == prompt_sets.get("emoji-bench")()


def test_missing_and_foreign_files_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no prompt file"):
        load_prompt_set(str(tmp_path / "none.csv"))
    with pytest.raises(InputError, match=r"ends in \.txt \.csv \.jsonl \.parquet \.tsv, found '\.xlsx'"):
        load_prompt_set(str(write(tmp_path / "a.xlsx", "x")))
    with pytest.raises(InputError, match=r"holds no bench\.toml"):
        load_prompt_set(str(tmp_path))


def bench(folder: Path, digest: str, categories: str = "x = 1") -> Path:
    write(folder / "prompts.csv", "prompt,category\na cat,x\n")
    text = f"""id = "mine"\nversion = "2"\ntitle = "t"\nsummary = "s"\nlicence = "CC0-1.0"
prompts = "prompts.csv"\ndigest = "{digest}"\n[categories]\n{categories}\n"""
    write(folder / "bench.toml", text)
    return folder


def test_a_definition_pins_its_rows(tmp_path: Path) -> None:
    bench(tmp_path, "0" * 64)
    with pytest.raises(InputError, match="digest") as caught:
        load_bench(tmp_path)
    digest = read_prompt_file(tmp_path / "prompts.csv").digest
    assert digest in str(caught.value)
    found = load_prompt_set(str(bench(tmp_path, digest)))
    assert (found.id, found.version, found.digest) == ("mine", "2", digest)
    with pytest.raises(InputError, match="prompts per category"):
        load_bench(bench(tmp_path, digest, "x = 2"))


def test_a_definition_cannot_lead_out_of_its_folder(tmp_path: Path) -> None:
    bench(tmp_path, "0" * 64)
    text = (tmp_path / "bench.toml").read_text(encoding="utf-8")
    write(tmp_path / "bench.toml", text.replace("prompts.csv", "../prompts.csv"))
    with pytest.raises(ConfigError, match="prompts"):
        load_bench(tmp_path)
