"""Tables as Excel, LibreOffice and Google Sheets write them, and files that are none."""

from __future__ import annotations

import pytest

from imagen_bench.errors import InputError
from imagen_bench.human.importers import tables
from imagen_bench.human.importers.tables import decode, read_table

TEXT = "item_id;q_fidelity;comment\r\ni1;left;schön – naïve\r\ni2;;\r\n"


@pytest.mark.parametrize(
    ("encoding", "warned"),
    [
        ("utf-8", ""),
        ("utf-8-sig", ""),
        ("cp1252", "Windows-1252"),
        ("utf-16", "UTF-16"),
        ("utf-16-le", "UTF-16"),
        ("utf-16-be", "UTF-16"),
    ],
)
def test_encodings(encoding: str, warned: str) -> None:
    text, warnings = decode(TEXT.encode(encoding))
    assert text == TEXT
    assert warned in "".join(warnings)
    assert bool(warned) == bool(warnings)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"item_id,q_fidelity\r\ni1,\x00left", "NUL bytes"),
        (b"item_id,\x81\x8d\xff\x90", "no readable text"),
        (b"\xff\xfea", "no readable text"),
    ],
)
def test_what_is_no_text_is_refused(data: bytes, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        decode(data)


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("line_end", ["\r\n", "\n", "\r"])
def test_separators_and_line_ends(separator: str, line_end: str) -> None:
    text = TEXT.replace(";", separator).replace("\r\n", line_end)
    table = read_table(text)
    assert table.columns == ("item_id", "q_fidelity", "comment")
    assert [(row.line, row.cells["item_id"]) for row in table.rows] == [(2, "i1"), (3, "i2")]
    assert table.rows[0].cells["comment"] == "schön – naïve"


def test_another_separator_within_cells_does_not_count() -> None:
    table = read_table('item_id,"comment; a, b",q_fidelity\ni1,"x;y;z, u",left\n')
    assert table.columns == ("item_id", "comment;_a,_b", "q_fidelity")
    assert table.rows[0].cells["q_fidelity"] == "left"


def test_excels_hint_and_blank_lines_are_passed_over_and_lines_still_count() -> None:
    table = read_table('sep=;\n\nitem_id;comment\n;\ni1;"two\nlines"\n\ni2;x\n')
    assert [(row.line, row.cells["item_id"]) for row in table.rows] == [(5, "i1"), (8, "i2")]


def test_titles_are_made_uniform() -> None:
    table = read_table(" Item ID ,'Q_Fidelity',Rater-Id,,\ni1,left,me,,\n")
    assert table.columns == ("item_id", "q_fidelity", "rater_id")
    assert table.titles["q_fidelity"] == "'Q_Fidelity'"


def test_cells_beyond_the_header_are_told_but_blank_ones_are_not() -> None:
    table = read_table("item_id,a\ni1,x,,\ni2,x,y\ni3\n")
    assert [row.surplus for row in table.rows] == [(), ("y",), ()]
    assert table.rows[2].cells == {"item_id": "i3"}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("prompt;q_fidelity\na cat;left\n", r"no column item_id \(the first line holds 'prompt', 'q_fidelity'\)"),
        ("", "no column item_id"),
        ("item_id,a,A\ni1,x,y\n", "column 'a' twice"),
        ('item_id,comment\ni1,x\ni2,"open\ni3,y\n', "from line 3 on .*quotation mark is not paired"),
        ('item_id,comment\ni1,"a" b\n', "from line 2 on"),
        ("item_id," + ",".join(f"c{n}" for n in range(300_000)) + "\n", "has 300001 columns, expected at most 1000"),
        ("item_id,comment\ni1," + "x" * 10_000_000, "from line 2 on .*a cell is too long"),
    ],
    ids=["no items", "empty", "twice", "open quote", "stray quote", "wide", "10 MB cell"],
)
def test_what_is_no_sheet_is_refused(text: str, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        read_table(text)


def test_rows_are_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "MAX_ROWS", 3)
    assert len(read_table("item_id\n" + "i\n" * 3).rows) == 3
    with pytest.raises(InputError, match="more than 3 rows"):
        read_table("item_id\n" + "i\n" * 4)
