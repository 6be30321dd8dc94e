"""Sets that are fetched once: any true copy is accepted and gives the same bytes, anything else stores nothing."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections import Counter
from pathlib import Path

import pytest

from imagen_bench.data import prompt_store
from imagen_bench.data.prompt_check import CopyDiffersError
from imagen_bench.data.prompt_store import MissingPromptSetError, add_copy, load_stored, status_of, stored_path
from imagen_bench.data.prompts import load_prompt_set
from imagen_bench.errors import ConfigError, InputError

COPIES = Path(__file__).parents[3] / "shared" / "data" / "prompts"
PUBLISHED = {
    "drawbench": COPIES / "drawbench.csv",
    "partiprompts": COPIES / "PartiPrompts.tsv",
    "geneval": COPIES / "geneval_evaluation_metadata.jsonl",
}
ROWS = [
    ("A cat's meow.", "Zoo", "Sound"),
    ("Two öxen, one red.", "Zoo", "Colour"),
    ('"Hello", in oil.', "Art", ""),
    ("A collection of nail is here.", "Art", "Style"),
    ("An etching of rain.", "Art", "Style"),
]
HEADER = ("Prompts", "Category", "Challenge")

needs_copies = pytest.mark.skipif(not COPIES.is_dir(), reason="needs copies of the published sets")


def table(
    rows: list[tuple[str, ...]], *, delimiter: str = ",", end: str = "\n", quoting: int = csv.QUOTE_MINIMAL
) -> str:
    stream = io.StringIO(newline="")
    quote = None if quoting == csv.QUOTE_NONE else '"'
    csv.writer(stream, delimiter=delimiter, lineterminator=end, quoting=quoting, quotechar=quote).writerows(rows)  # type: ignore[arg-type]
    return stream.getvalue()


def jsonl(rows: list[tuple[str, ...]]) -> str:
    return "".join(json.dumps(dict(zip(HEADER, row, strict=True))) + "\n" for row in rows)


VARIANTS = {
    "plain.csv": table([HEADER, *ROWS]),
    "singular header.csv": table([("Prompt", "category", "Challenge"), *ROWS]),
    "byte order mark.csv": "\ufeff" + table([HEADER, *ROWS]),
    "windows.csv": table([HEADER, *ROWS], end="\r\n"),
    "no end.csv": table([HEADER, *ROWS]).rstrip("\n"),
    "all quoted.csv": table([HEADER, *ROWS], quoting=csv.QUOTE_ALL),
    "blank after the category.csv": table([HEADER, *((a, f"{b} ", c) for a, b, c in ROWS)]),
    "column order.csv": table([HEADER[::-1], *(row[::-1] for row in ROWS)]),
    "further columns.csv": table([("n", *HEADER, "note"), *((str(n), *row, "") for n, row in enumerate(ROWS))]),
    "row order.csv": table([HEADER, *ROWS[::-1]]),
    "empty rows.csv": table([HEADER, *ROWS, ("", "", "")]) + "\n",
    "plain.tsv": table([HEADER, *ROWS], delimiter="\t", quoting=csv.QUOTE_NONE),
    "spreadsheet.tsv": table([HEADER, *ROWS], delimiter="\t"),
    "SHOUT.CSV": table([HEADER, *ROWS]),
    "plain.jsonl": jsonl(ROWS),
}


def write(path: Path, text: str) -> Path:
    path.write_bytes(text.encode("utf-8"))
    return path


@pytest.mark.usefixtures("fetched_set")
@pytest.mark.parametrize("name", VARIANTS)
def test_every_true_copy_stores_the_same_bytes(tmp_path: Path, name: str) -> None:
    found = add_copy("toy", write(tmp_path / name, VARIANTS[name]))
    expected = [
        {"prompt_id": "zoo-1", "prompt": "A cat's meow.", "category": "Zoo", "Challenge": "Sound"},
        {"prompt_id": "zoo-2", "prompt": "Two öxen, one red.", "category": "Zoo", "Challenge": "Colour"},
        {"prompt_id": "art-1", "prompt": '"Hello", in oil.', "category": "Art"},
        {"prompt_id": "art-2", "prompt": "A collection of nail is here.", "category": "Art", "Challenge": "Style"},
        {"prompt_id": "art-3", "prompt": "An etching of rain.", "category": "Art", "Challenge": "Style"},
    ]
    stored = (tmp_path / "home" / "prompts" / "toy.jsonl").read_text(encoding="utf-8")
    assert stored == "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in expected)
    assert load_prompt_set("toy") == found
    assert (found.id, found.version, len(found)) == ("toy", "1", 5)


@pytest.mark.usefixtures("fetched_set")
@pytest.mark.parametrize("suffix", [".csv", ".tsv"])
def test_a_false_copy_stores_nothing_and_names_its_row_alone(tmp_path: Path, suffix: str) -> None:
    rows = [*ROWS[:3], ("A collection of nails is here.", "Art", "Style"), ROWS[4]]
    quoting = csv.QUOTE_NONE if suffix == ".tsv" else csv.QUOTE_MINIMAL
    text = table([HEADER, *rows], delimiter="\t" if suffix == ".tsv" else ",", quoting=quoting)
    with pytest.raises(CopyDiffersError, match=r"4 of 5 rows agree .* prompts pull toy") as caught:
        add_copy("toy", write(tmp_path / f"a{suffix}", text))
    (line,) = caught.value.differences
    assert line == "row 4 (Art, art-2) is changed in line 5: found 'A collection of nails is here.' (Art)"
    assert not (tmp_path / "home").exists()


@pytest.mark.usefixtures("fetched_set")
def test_a_changed_further_column_is_a_difference(tmp_path: Path) -> None:
    text = table([HEADER, ("A cat's meow.", "Zoo", "Noise"), *ROWS[1:]])
    with pytest.raises(CopyDiffersError, match=r"row 1 \(Zoo, zoo-1\) is changed"):
        add_copy("toy", write(tmp_path / "a.csv", text))


@pytest.mark.usefixtures("fetched_set")
def test_a_false_copy_leaves_the_stored_one(tmp_path: Path) -> None:
    add_copy("toy", write(tmp_path / "a.csv", VARIANTS["plain.csv"]))
    with pytest.raises(CopyDiffersError):
        add_copy("toy", write(tmp_path / "a.csv", table([HEADER, *ROWS[1:]])))
    assert len(load_stored("toy")) == 5


@pytest.mark.usefixtures("fetched_set")
def test_a_missing_set_names_both_commands(tmp_path: Path) -> None:
    with pytest.raises(MissingPromptSetError) as caught:
        load_prompt_set("toy")
    for words in ("`imagen-bench prompts pull toy`", "`imagen-bench prompts add toy FILE`", str(tmp_path / "home")):
        assert words in str(caught.value)
    status = status_of("toy")
    assert (status.state, status.prompts, status.categories) == ("missing", 5, {"Zoo": 2, "Art": 3})


@pytest.mark.usefixtures("fetched_set")
def test_a_stored_set_is_checked_whenever_it_is_loaded(tmp_path: Path) -> None:
    add_copy("toy", write(tmp_path / "a.csv", VARIANTS["plain.csv"]))
    path = stored_path("toy")
    write(path, path.read_text(encoding="utf-8").replace("rain", "snow"))
    with pytest.raises(InputError, match=r"row 5 \(Art, art-3\) is changed .* fetch it again with"):
        load_prompt_set("toy")
    status = status_of("toy")
    assert (status.state, status.digest) == ("broken", None)
    write(path, "{")
    with pytest.raises(InputError, match=r"not valid JSON.*; fetch it again with"):
        load_prompt_set("toy")


def test_rows_that_fit_a_definition_with_a_wrong_digest_are_refused(tmp_path: Path, fetched_set: Path) -> None:
    definition = fetched_set / "definition.toml"
    text = definition.read_text(encoding="utf-8")
    digest = text.partition('digest = "')[2][:64]
    write(definition, text.replace(digest, "0" * 64))
    with pytest.raises(InputError, match=f"digest is {digest}, the definition of toy expects 0000"):
        add_copy("toy", write(tmp_path / "a.csv", VARIANTS["plain.csv"]))


@pytest.mark.usefixtures("fetched_set")
@pytest.mark.parametrize(
    ("name", "file", "error", "message"),
    [
        ("toy", "none.csv", InputError, "no file"),
        ("toy", "a.txt", InputError, r"ends in \.csv \.tsv \.jsonl \.parquet, found '\.txt'; rename it"),
        ("toy", "noending", InputError, "found 'no ending'"),
        ("ours", "a.csv", ConfigError, r"'ours' is here already and is never fetched; sets to fetch: toy"),
        ("toi", "a.csv", ConfigError, r"no prompt set 'toi' to fetch: did you mean 'toy'\?"),
        ("../toy", "a.csv", ConfigError, "no prompt set"),
    ],
)
def test_wrong_names_and_files_are_one_line(
    tmp_path: Path, name: str, file: str, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message) as caught:
        add_copy(name, tmp_path / file)
    assert "\n" not in str(caught.value)


@pytest.mark.usefixtures("fetched_set")
def test_a_data_folder_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    write(tmp_path / "home", "a file in its place")
    with pytest.raises(InputError, match=r"cannot keep toy in .*toy\.jsonl: .*; set IMAGEN_BENCH_HOME"):
        add_copy("toy", write(tmp_path / "a.csv", VARIANTS["plain.csv"]))


@pytest.mark.usefixtures("fetched_set")
def test_a_copy_without_a_column_of_the_set_is_refused(tmp_path: Path) -> None:
    text = table([HEADER[:2], *(row[:2] for row in ROWS)])
    with pytest.raises(InputError, match="no column 'Challenge'; use a copy of toy with the columns"):
        add_copy("toy", write(tmp_path / "a.csv", text))


@needs_copies
@pytest.mark.parametrize("name", PUBLISHED)
def test_the_published_file_is_accepted_and_kept(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IMAGEN_BENCH_HOME", str(tmp_path))
    assert status_of(name).state == "missing"
    found = add_copy(name, PUBLISHED[name])
    assert load_prompt_set(name) == found
    status = status_of(name)
    assert (status.state, status.prompts, status.digest) == ("ready", len(found), found.digest)
    assert found.categories() == prompt_store.outside_definition(name).categories


@needs_copies
def test_drawbench_is_verbatim_and_has_the_known_digest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Category and prompt joined by a tab, a line each: SHA-256 of the sheet, computed apart from this code."""
    monkeypatch.setenv("IMAGEN_BENCH_HOME", str(tmp_path))
    found = add_copy("drawbench", PUBLISHED["drawbench"])
    joined = "".join(f"{row.category}\t{row.prompt}\n" for row in found.rows)
    expected = "a2e054682be8d58a36c97efe760b29de3a274fcd0abeaf21cee015fe8106a605"
    assert hashlib.sha256(joined.encode("utf-8")).hexdigest() == expected
    with PUBLISHED["drawbench"].open(encoding="utf-8", newline="") as stream:
        assert [row.prompt for row in found.rows] == [row["Prompts"] for row in csv.DictReader(stream)]


@needs_copies
def test_other_copies_of_drawbench_give_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IMAGEN_BENCH_HOME", str(tmp_path / "home"))
    data = PUBLISHED["drawbench"].read_bytes()
    assert b"Gary Marcus et al. \n" in data
    expected = add_copy("drawbench", PUBLISHED["drawbench"])
    stripped = data.replace(b"et al. \n", b"et al.\n")
    with_mark = b"\xef\xbb\xbf" + stripped.replace(b"Prompts,", b"Prompt,", 1).replace(b"\n", b"\r\n")
    for number, copy in enumerate((stripped, with_mark)):
        (tmp_path / f"{number}.csv").write_bytes(copy)
        assert add_copy("drawbench", tmp_path / f"{number}.csv") == expected
    subset = [line for line in data.splitlines(keepends=True) if not line.rstrip().endswith((b",Reddit", b",Text"))]
    (tmp_path / "subset.csv").write_bytes(b"".join(subset))
    with pytest.raises(CopyDiffersError, match=r"141 of 200 rows agree \(59 missing") as caught:
        add_copy("drawbench", tmp_path / "subset.csv")
    assert caught.value.differences[0] == "row 142 (Reddit, reddit-01) is missing"


@needs_copies
def test_further_columns_become_metadata(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IMAGEN_BENCH_HOME", str(tmp_path))
    parti = add_copy("partiprompts", PUBLISHED["partiprompts"])
    challenges = Counter(row.meta["Challenge"] for row in parti.rows)
    assert (len(challenges), challenges["Writing & Symbols"]) == (11, 91)
    assert parti.rows[0].prompt_id == "parti-0001"
    geneval = add_copy("geneval", PUBLISHED["geneval"])
    lines = [json.loads(line) for line in PUBLISHED["geneval"].read_text(encoding="utf-8").splitlines()]
    for number, (row, line) in enumerate(zip(geneval.rows, lines, strict=True)):
        assert (row.prompt_id, row.category) == (f"geneval-{number:05d}", line["tag"])
        assert json.loads(row.meta["include"]) == line["include"]
        assert json.loads(row.meta.get("exclude", "null")) == line.get("exclude")
