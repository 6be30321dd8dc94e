"""Readers of prompt files: verbatim texts, and messages that name the line."""

from __future__ import annotations

import io
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from imagen_bench.data.prompt_files import read_csv, read_jsonl, read_parquet, read_quoted_tsv, read_tsv, read_txt
from imagen_bench.errors import InputError


def write(path: Path, data: str | bytes) -> Path:
    path.write_bytes(data if isinstance(data, bytes) else data.encode("utf-8"))
    return path


def test_txt_is_one_prompt_a_line_verbatim(tmp_path: Path) -> None:
    # U+2028, form feed and the like are no line ends of a text file.
    path = write(tmp_path / "a.txt", "\ufeffa cat \r\nwith\u2028separator\x0cand feed\nlast")
    assert [row.prompt for row in read_txt(path)] == ["a cat ", "with\u2028separator\x0cand feed", "last"]


def test_csv_of_drawbench_with_and_without_byte_order_mark(tmp_path: Path) -> None:
    body = 'Prompts,Category\r\n"A sign that says ""Hello, World"".",Gary Marcus et al. \r\n'
    for head in ("", "\ufeff"):
        (row,) = read_csv(write(tmp_path / "a.csv", head + body))
        assert row.prompt == 'A sign that says "Hello, World".'
        assert row.category == "Gary Marcus et al. "


def test_csv_keeps_further_columns_as_metadata_where_filled(tmp_path: Path) -> None:
    rows = read_csv(write(tmp_path / "a.csv", "prompt_id,prompt,count,color\na,x,3,\nb,y,,red\n"))
    assert [row.meta for row in rows] == [{"count": "3"}, {"color": "red"}]


def test_csv_lines_are_those_of_the_file_not_of_the_rows(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", 'prompt,category\n"two\nlines",x\n\nlast,y,z\n')
    with pytest.raises(InputError, match=r"line 5: 3 cells, but the header has 2"):
        read_csv(path)
    rows = read_csv(write(path, 'prompt,category\n"two\nlines",x\n\nlast,y\n'))
    assert [(row.where, row.prompt) for row in rows] == [("line 2", "two\nlines"), ("line 5", "last")]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("words,category\na,b\n", r"line 1: no column 'prompt': .*known: category, words"),
        ("promt\na\n", r"did you mean 'promt'\?"),
        ("prompt,Prompts\na,b\n", r"both 'prompt' and 'Prompts' could be the prompt"),
        ("prompt,x,x\na,b,c\n", r"a column name is given twice"),
        ('prompt\n"a" b\n', r"line 2: not valid CSV"),
    ],
)
def test_csv_messages(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_csv(write(tmp_path / "a.csv", text))


@pytest.mark.parametrize("name", ["a.csv", "a.txt", "a.jsonl"])
def test_bad_encoding_names_the_line(tmp_path: Path, name: str) -> None:
    reader = {"a.csv": read_csv, "a.txt": read_txt, "a.jsonl": read_jsonl}[name]
    with pytest.raises(InputError, match=r"line 3: not UTF-8 text; save the file as UTF-8"):
        reader(write(tmp_path / name, b"prompt\na cat\nSch\xf6n\n"))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"prompt": "a"', "not valid JSON"),
        ('["a"]', "found list, expected an object"),
        ('{"prompt": 3}', "the prompt is 3, expected text"),
        ('{"words": "a"}', "no column 'prompt'"),
        ("", "not valid JSON"),
    ],
)
def test_jsonl_messages_name_the_line(tmp_path: Path, line: str, message: str) -> None:
    path = write(tmp_path / "a.jsonl", '{"prompt": "ok"}\n' + line + "\n")
    with pytest.raises(InputError, match=f"line 2: {message}"):
        read_jsonl(path)


def test_jsonl_values_become_text(tmp_path: Path) -> None:
    line = '{"prompt": "a", "prompt_id": 7, "count": 3, "none": null, "list": [1, "b"], "yes": true}\n'
    (row,) = read_jsonl(write(tmp_path / "a.jsonl", line))
    assert row.prompt_id == "7"
    assert row.meta == {"count": "3", "list": '[1, "b"]', "yes": "true"}


def test_parquet_leaves_images_out_and_names_rows(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (2, 2)).save(buffer, "PNG")
    image = {"bytes": buffer.getvalue(), "path": "x.png"}
    table = pa.table({"prompt": ["a", "b"], "image": [image, image], "raw": [b"1", b"2"], "score": [0.5, float("nan")]})
    pq.write_table(table, tmp_path / "a.parquet")
    rows = read_parquet(tmp_path / "a.parquet")
    assert [(row.where, row.prompt, row.meta) for row in rows] == [
        ("row 1", "a", {"score": "0.5"}),
        ("row 2", "b", {}),
    ]


def test_parquet_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not a readable parquet file"):
        read_parquet(write(tmp_path / "a.parquet", b"PAR1 and then nothing"))


def test_tsv_takes_quotes_as_text_and_the_spreadsheet_kind_as_marks(tmp_path: Path) -> None:
    plain = write(tmp_path / "a.tsv", '\ufeffPrompt\tCategory\r\n"G I" painted, on a wall\tArts\r\n')
    (row,) = read_tsv(plain)
    assert (row.prompt, row.category, row.where) == ('"G I" painted, on a wall', "Arts", "line 2")
    quoted = write(tmp_path / "b.tsv", 'Prompt\tCategory\n"""G I"" painted, on a wall"\tArts\n')
    assert read_quoted_tsv(quoted)[0].prompt == row.prompt
    with pytest.raises(InputError, match=r"line 2: 3 cells, but the header has 2; no cell can hold a tab"):
        read_tsv(write(tmp_path / "c.tsv", "prompt\tcategory\na\tb\tc\n"))
