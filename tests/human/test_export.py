"""The exported study: blinding of every public byte, balance, reproducibility, and the key."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import os
import shutil
import stat
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from imagen_bench.errors import InputError, RunFolderError
from imagen_bench.human.arms import Arm
from imagen_bench.human.export import Study, export_study

MakeRun = Callable[..., Path]
Arms = tuple[Arm, Arm]


def tree(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()
    }


def public_bytes(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Yield every name and content below public/, zip members (names, comments, extra fields) included."""
    for name, data in tree(folder / "public").items():
        yield name, name.encode()
        yield name, data
        if name.endswith(".zip"):
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                yield name, archive.comment
                for member in archive.infolist():
                    yield (
                        f"{name}:{member.filename}",
                        member.filename.encode() + member.comment + member.extra,
                    )
                    yield f"{name}:{member.filename}", archive.read(member)


def read_sheet(folder: Path, sheet: str) -> list[dict[str, str]]:
    text = (folder / "public" / f"sheet_{sheet}.csv").read_bytes().decode("utf-8-sig")
    return list(csv.DictReader(io.StringIO(text, newline="")))


def read_key(folder: Path) -> list[dict[str, str]]:
    with (folder / "private" / "key.csv").open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


@pytest.fixture
def study(arms: Arms, tmp_path: Path) -> Study:
    return export_study(arms, tmp_path / "study", sheets=3, seed=41)


def test_no_public_byte_tells_what_is_compared(study: Study, arms: Arms) -> None:
    key, record = (
        read_key(study.folder),
        json.loads((study.folder / "private" / "study.json").read_text("utf-8")),
    )
    telling = {"alphamodel", "betamodel", "secretmodel", "3.625", "Kategorie", record["secret"]}
    telling |= {str(arm.run) for arm in arms} | {"guidance", "key.csv"}
    for row in key:
        telling |= {
            row["prompt_id"],
            row["category"],
            *row["seeds_left"].split(),
            *row["seeds_right"].split(),
        }
        telling |= {*row["source_sha256_left"].split(), *row["source_sha256_right"].split()}
    needles = [word.encode().lower() for word in telling]
    leaks = {
        (name, needle) for name, data in public_bytes(study.folder) for needle in needles if needle in data.lower()
    }
    assert leaks == set()


def test_public_holds_what_raters_need_and_nothing_else(study: Study) -> None:
    names = set(tree(study.folder / "public"))
    pictures = {name for name in names if name.startswith("images/")}
    sheets = {f"sheet_S0{number}.{ending}" for number in (1, 2, 3) for ending in ("csv", "html", "zip")}
    assert names - pictures == sheets | {"README.txt"}
    assert len(pictures) == 2 * 5
    with zipfile.ZipFile(study.folder / "public" / "sheet_S02.zip") as archive:
        members = set(archive.namelist())
    assert members == {f"sheet_S02/{name}" for name in ("sheet_S02.csv", "sheet_S02.html", "README.txt", *pictures)}


def test_sheets_hold_all_prompts_in_their_own_order_with_balanced_sides(study: Study) -> None:
    key = read_key(study.folder)
    orders = set()
    for sheet in study.sheets:
        rows = [row for row in key if row["sheet_id"] == sheet]
        assert len({row["prompt_id"] for row in rows}) == len(rows) == 5
        assert [int(row["order"]) for row in rows] == [1, 2, 3, 4, 5]
        for category, size in Counter(row["category"] for row in rows).items():
            left = sum(row["model_left"].startswith("alpha") for row in rows if row["category"] == category)
            assert abs(2 * left - size) <= 1
        orders.add(tuple(row["prompt_id"] for row in rows))
    assert len(orders) > 1
    assert len({row["item_id"] for row in key}) == len(key)


def test_the_key_un_blinds_the_pictures(study: Study, arms: Arms) -> None:
    """Follow an item from the sheet through the key to the source images by content alone."""
    import hashlib

    key = {row["item_id"]: row for row in read_key(study.folder)}
    labels = {arm.label: arm for arm in arms}
    for row in read_sheet(study.folder, "S01"):
        for side in ("left", "right"):
            entry = key[row["item_id"]]
            shown = (study.folder / "public" / row[f"image_{side}"]).read_bytes()
            assert hashlib.sha256(shown).hexdigest() == entry[f"display_sha256_{side}"]
            run = labels[entry[f"model_{side}"]].run
            for index, digest in zip(
                entry[f"samples_{side}"].split(), entry[f"source_sha256_{side}"].split(), strict=True
            ):
                source = run / f"images/w=3.625/0000/{entry['prompt_id']}_{index}.png"
                assert hashlib.sha256(source.read_bytes()).hexdigest() == digest


def test_the_csv_is_for_spreadsheet_programs(study: Study) -> None:
    data = (study.folder / "public" / "sheet_S01.csv").read_bytes()
    assert data.startswith(b"\xef\xbb\xbfstudy_id,sheet_id,sheet_hash,item_id,order,prompt,image_left,image_right,")
    assert data.count(b"\n") == data.count(b"\r\n") == 6
    rows = read_sheet(study.folder, "S01")
    assert list(rows[0])[-4:] == ["q_alignment", "q_fidelity", "comment", "rater_id"]
    prompts = {row["prompt"] for row in rows}
    assert "'=SUM(A1:A9)" in prompts
    assert 'three "owls", <b>flying</b>' in prompts
    assert not any(cell[:1] in "=+-@" for row in rows for cell in row.values() if cell)


def test_the_page_holds_prompts_as_data_only(study: Study) -> None:
    page = (study.folder / "public" / "sheet_S01.html").read_text(encoding="utf-8")
    assert page.count("<script") == page.count("</script>") == 2
    assert "<b>flying" not in page
    start = page.index('id="data">') + len('id="data">')
    data = json.loads(page[start : page.index("</script>", start)])
    assert {item["prompt"] for item in data["items"]} >= {"a cat & a dog </script><script>alert(1)</script>"}
    assert "http" not in page.replace("http-equiv", "")


@pytest.mark.skipif(os.name != "posix", reason="file modes are those of POSIX systems")
def test_private_files_are_for_their_owner(study: Study) -> None:
    private = study.folder / "private"
    assert stat.S_IMODE(private.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in private.iterdir()} == {0o600}
    assert {path.name for path in private.iterdir()} == {"key.csv", "study.json"}


def test_the_secret_makes_a_study_reproducible_to_the_byte(study: Study, arms: Arms, tmp_path: Path) -> None:
    before = tree(study.folder)
    export_study(arms, study.folder, sheets=3, seed=41)
    assert tree(study.folder) == before
    other = tmp_path / "again"
    (other / "private").mkdir(parents=True)
    shutil.copy(study.folder / "private" / "study.json", other / "private")
    export_study(arms, other, sheets=3, seed=41)
    assert tree(other) == before


def test_another_secret_gives_other_names_and_sides(study: Study, arms: Arms, tmp_path: Path) -> None:
    other = export_study(arms, tmp_path / "other", sheets=3, seed=41)
    assert other.study_id != study.study_id
    assert not set(tree(other.folder / "public" / "images")) & set(tree(study.folder / "public" / "images"))
    sides = [[row["model_left"] for row in read_key(folder)] for folder in (study.folder, other.folder)]
    assert sides[0] != sides[1]


def test_an_interrupted_export_goes_on_under_the_same_names(study: Study, arms: Arms) -> None:
    before = tree(study.folder)
    shutil.rmtree(study.folder / "public")
    (study.folder / "private" / "key.csv").unlink()
    export_study(arms, study.folder, sheets=3, seed=41)
    assert tree(study.folder) == before


def test_a_folder_of_another_study_is_refused(study: Study, arms: Arms, make_run: MakeRun) -> None:
    with pytest.raises(RunFolderError, match=r"holds another study: seed: 41 in the folder, 42 asked"):
        export_study(arms, study.folder, sheets=3, seed=42)
    changed = dataclasses.replace(arms[1], run=make_run("betamodel", tint=99))
    with pytest.raises(RunFolderError, match="arms"):
        export_study((arms[0], changed), study.folder, sheets=3, seed=41)


def test_foreign_folders_and_broken_records_are_refused(arms: Arms, tmp_path: Path) -> None:
    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign" / "thesis.txt").write_text("x", encoding="utf-8")
    with pytest.raises(RunFolderError, match="holds no study"):
        export_study(arms, tmp_path / "foreign")
    broken = tmp_path / "broken" / "private"
    broken.mkdir(parents=True)
    for text, message in (
        ("{", "not JSON"),
        ('{"schema": 99}', "schema 99"),
        ('{"schema": 1, "secret": "x"}', "secret"),
    ):
        (broken / "study.json").write_text(text, encoding="utf-8")
        with pytest.raises(RunFolderError, match=message):
            export_study(arms, tmp_path / "broken")


def test_limits_and_defaults(arms: Arms, tmp_path: Path) -> None:
    small = export_study(arms, tmp_path / "small", sheets=1, samples_per_side=1, prompts=2)
    assert (small.prompts, small.samples_per_side, small.sheets) == (2, 1, ("S01",))
    categories = {row["category"] for row in read_key(small.folder)}
    assert categories == {"Kategorie Eins", "Kategorie Zwei"}
    assert export_study(arms, tmp_path / "full").samples_per_side == 2


@pytest.mark.parametrize(("options", "message"), [({"sheets": 0}, "sheets is 0"), ({"prompts": 0}, "prompts is 0")])
def test_wrong_numbers_are_refused(arms: Arms, tmp_path: Path, options: dict[str, int], message: str) -> None:
    with pytest.raises(InputError, match=message):
        export_study(arms, tmp_path / "study", **options)  # type: ignore[arg-type]


def test_arms_must_differ(arms: Arms, tmp_path: Path) -> None:
    one = arms[0]
    with pytest.raises(InputError, match="at least two arms, found 1"):
        export_study([one], tmp_path / "study")
    with pytest.raises(InputError, match="two arms are labelled"):
        export_study([one, dataclasses.replace(arms[1], label=one.label)], tmp_path / "study")
    with pytest.raises(InputError, match="two arms are"):
        export_study([one, dataclasses.replace(one, label="another")], tmp_path / "study")
    assert not (tmp_path / "study").exists()
