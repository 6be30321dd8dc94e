"""The check of a copy against a definition: what is normalised, what is refused, and how it is told."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from imagen_bench.assets import asset
from imagen_bench.data.prompt_check import (
    CopyDiffersError,
    OutsideDefinition,
    RowPin,
    describe_differences,
    in_official_order,
    normalised,
    read_definition,
    row_digest,
)
from imagen_bench.data.prompt_files import RawPrompt
from imagen_bench.errors import ConfigError, InputError

TEXTS = ["A cat's nap.", "Two dogs.", "Three öxen.", "Four hens.", "A fifth."]
SETS = ("drawbench", "partiprompts", "geneval")


@pytest.fixture
def definition() -> OutsideDefinition:
    return OutsideDefinition(
        id="toy", version="1", title="t", summary="s", licence="l", source="s",
        url="https://toy.invalid/", format=".csv", digest="0" * 64,
        categories={"x": 3, "y": 2}, probes={"x": "", "y": ""},
    )  # fmt: skip


def raw(texts: list[str] = TEXTS) -> list[RawPrompt]:
    places = {text: index for index, text in enumerate(TEXTS)}
    return [
        RawPrompt(f"line {line}", text, category="x" if places.get(text, 0) < 3 else "y")
        for line, text in enumerate(texts, start=2)
    ]


PINS = [RowPin(f"r{n}", row.category, row_digest(row.category, row.prompt)) for n, row in enumerate(raw(), start=1)]


def told(definition: OutsideDefinition, rows: list[RawPrompt]) -> list[str]:
    return [line.text for line in describe_differences(definition, PINS, rows)]


def test_row_digest_is_the_documented_one() -> None:
    expected = hashlib.sha256('["Zoo","öx","a b",""]'.encode()).hexdigest()[:16]
    assert row_digest("Zoo", "öx", ["a b", ""]) == expected


def test_blanks_columns_and_empty_rows_do_not_count(definition: OutsideDefinition) -> None:
    rows = [RawPrompt("line 2", " a \t", "mine", "x ", {"extra": "1"}), RawPrompt("line 3", " ", None, "")]
    (row,) = normalised(definition, rows, "f")
    assert (row.prompt, row.category, row.meta) == ("a", "x", {})


def test_the_category_may_have_a_name_of_its_own(definition: OutsideDefinition) -> None:
    tagged = definition.model_copy(update={"category_column": "tag", "columns": ("include",)})
    (row,) = normalised(tagged, [RawPrompt("line 1", "a", meta={"tag": "x", "include": "[1]"})], "f")
    assert (row.category, row.meta) == ("x", {"include": "[1]"})
    with pytest.raises(
        InputError, match=r"f: no column 'tag'; use a copy of toy with the columns prompt, tag, include"
    ):
        normalised(tagged, [RawPrompt("line 1", "a", meta={"include": "[1]"})], "f")
    with pytest.raises(InputError, match="no column 'include'"):
        normalised(tagged, [RawPrompt("line 1", "a", category="x")], "f")


def test_rows_in_another_order_come_out_in_the_official_one(definition: OutsideDefinition) -> None:
    found = in_official_order(definition, PINS, raw(TEXTS[::-1]), "f", "stop")
    assert [row.prompt for row in found] == TEXTS
    assert [row.prompt_id for row in found] == ["r1", "r2", "r3", "r4", "r5"]


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (TEXTS[:1] + TEXTS[2:], ["row 2 (x, r2) is missing"]),
        ([*TEXTS[:2], "Noise.", *TEXTS[2:]], ["line 4 is extra: 'Noise.' (x) is no row of the set"]),
        ([*TEXTS, TEXTS[1]], ["line 7 is extra: 'Two dogs.' (x) stands there twice"]),
        ([*TEXTS[:1], "Two hogs.", *TEXTS[2:]], ["row 2 (x, r2) is changed in line 3: found 'Two hogs.' (x)"]),
        (["A cat’s nap.", *TEXTS[1:]], ["row 1 (x, r1) is changed in line 2: curly quotes or apostrophes"]),
        ([*TEXTS[:1], "Two  dogs.", *TEXTS[2:]], ["row 2 (x, r2) is changed in line 3: further blanks inside"]),
        ([*TEXTS[:1], "Two dogs", *TEXTS[2:]], ["row 2 (x, r2) is changed in line 3: no full stop at the end"]),
        (
            [*TEXTS[:2], "Three o\u0308xen.", *TEXTS[3:]],
            ["row 3 (x, r3) is changed in line 4: accents as characters of their own"],
        ),
    ],
)
def test_each_kind_of_difference_is_told(definition: OutsideDefinition, texts: list[str], expected: list[str]) -> None:
    assert told(definition, raw(texts)) == expected


def test_another_category_is_told(definition: OutsideDefinition) -> None:
    rows = raw()
    rows[4] = RawPrompt("line 6", TEXTS[4], category="Y")
    assert told(definition, rows) == ["row 5 (y, r5) is changed in line 6: its category is 'Y'"]


def test_differences_add_up_where_rows_shift(definition: OutsideDefinition) -> None:
    texts = ["New.", TEXTS[0], "Two hogs.", TEXTS[2], TEXTS[4]]
    with pytest.raises(CopyDiffersError) as caught:
        in_official_order(definition, PINS, raw(texts), "copy.csv", "use another")
    assert caught.value.differences == (
        "line 2 is extra: 'New.' (x) is no row of the set",
        "row 2 (x, r2) is changed in line 4: found 'Two hogs.' (x)",
        "row 4 (y, r4) is missing",
    )
    message = str(caught.value)
    assert message.startswith("copy.csv is not toy: 3 of 5 rows agree (1 missing, 1 extra, 1 changed; first: line 2")
    assert message.endswith("; use another")


@pytest.mark.parametrize("texts", [["Quite", "another", "file"], []])
def test_a_file_without_any_row_of_the_set_is_told_apart(definition: OutsideDefinition, texts: list[str]) -> None:
    with pytest.raises(CopyDiffersError, match=f"none of its {len(texts)} rows is one of the 5") as caught:
        in_official_order(definition, PINS, raw(texts), "f", "stop")
    assert caught.value.differences == ()


def test_a_long_text_is_cut(definition: OutsideDefinition) -> None:
    (line,) = told(definition, raw([*TEXTS, "long " * 40]))
    assert len(line) < 130
    assert "..." in line


@pytest.mark.parametrize("name", SETS)
def test_shipped_definitions_agree_with_their_rows(name: str) -> None:
    definition, pins = read_definition(asset(f"drawbench/{name}"))
    counts: dict[str, int] = {}
    for pin in pins:
        counts[pin.category] = counts.get(pin.category, 0) + 1
    assert counts == definition.categories
    assert list(counts) == list(definition.categories)
    assert set(definition.probes) == set(definition.categories)
    assert all(definition.probes.values())
    assert len({pin.digest for pin in pins}) == len({pin.prompt_id for pin in pins}) == len(pins)


def test_published_sizes() -> None:
    """Saharia et al. 2022, appendix C (and their sheet); Yu et al. 2022; Ghosh et al. 2023."""
    sizes = {name: read_definition(asset(f"drawbench/{name}"))[0] for name in SETS}
    assert {name: found.prompts for name, found in sizes.items()} == {
        "drawbench": 200, "partiprompts": 1632, "geneval": 553,
    }  # fmt: skip
    assert list(sizes["drawbench"].categories.values()) == [25, 10, 19, 20, 20, 10, 10, 20, 7, 38, 21]
    assert sizes["geneval"].categories["single_object"] == sizes["geneval"].categories["counting"] == 80


@pytest.mark.parametrize("name", SETS)
def test_no_text_ships(name: str) -> None:
    folder = asset(f"drawbench/{name}")
    assert sorted(path.name for path in folder.iterdir()) == ["definition.toml", "rows.csv"]
    header, *rows = (folder / "rows.csv").read_text(encoding="utf-8").splitlines()
    assert header == "prompt_id,category,digest"
    assert all(len(row.rsplit(",", 1)[1]) == 16 for row in rows)


def test_a_wrong_definition_names_file_and_key(tmp_path: Path) -> None:
    (tmp_path / "definition.toml").write_text('id = "x"\nlicense = "y"\n', encoding="utf-8")
    with pytest.raises(ConfigError, match=r"definition\.toml: .*"):
        read_definition(tmp_path)
