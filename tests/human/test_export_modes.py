"""Studies of every mode: blind to the byte, controls and repeats that look like all others, and exact balance."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from imagen_bench.errors import InputError
from imagen_bench.human.arms import Arm, ReferenceArm
from imagen_bench.human.export import Study, export_study
from imagen_bench.human.questions import ANSWERS, MODES, Mode
from imagen_bench.images import read_image

MakeRun = Callable[..., Path]
Arms = tuple[Arm, Arm]
Rows = list[dict[str, str]]


def export(mode: Mode, arms: Arms, photos: ReferenceArm, out: Path, **options: Any) -> Study:
    shown = [*arms, photos] if mode != "sxs" else arms
    return export_study(shown, out, mode=mode, controls=0.4, repeats=0.4, sheets=2, seed=29, **options)


@pytest.fixture(scope="module", params=MODES)
def study(
    request: pytest.FixtureRequest,
    shared_arms: Arms,
    photos: ReferenceArm,
    tmp_path_factory: pytest.TempPathFactory,
) -> Study:
    return export(request.param, shared_arms, photos, tmp_path_factory.mktemp("out") / "study")


def key_of(study: Study) -> Rows:
    with (study.folder / "private" / "key.csv").open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def sheet_of(study: Study, sheet: str) -> Rows:
    text = (study.folder / "public" / f"sheet_{sheet}.csv").read_bytes().decode("utf-8-sig")
    return list(csv.DictReader(io.StringIO(text, newline="")))


def record_of(study: Study) -> dict[str, Any]:
    record: dict[str, Any] = json.loads((study.folder / "private" / "study.json").read_text("utf-8"))
    return record


def pictures_of(row: dict[str, str]) -> list[str]:
    return [value for name, value in row.items() if name.startswith("image")]


def public_bytes(study: Study) -> Iterator[tuple[str, bytes]]:
    for path in sorted((study.folder / "public").rglob("*")):
        if path.is_file():
            data = path.read_bytes()
            yield path.name, path.name.encode() + data
            if path.suffix == ".zip":
                with zipfile.ZipFile(io.BytesIO(data)) as archive:
                    for member in archive.infolist():
                        head = member.filename.encode() + member.comment + member.extra + archive.comment
                        yield f"{path.name}:{member.filename}", head + archive.read(member)


def test_no_public_byte_tells_what_is_shown(study: Study, shared_arms: Arms) -> None:
    telling = {
        "alphamodel",
        "betamodel",
        "secretmodel",
        "secretphoto",
        "photoset",
        "SecretCamera",
        "3.625",
        "Kategorie",
    }
    telling |= {record_of(study)["secret"], *map(str, (arm.run for arm in shared_arms)), "3.625", "Kategorie"}
    telling |= {"degraded", "prompt:"}
    for row in key_of(study):
        telling |= {row["prompt_id"], row["category"]}
        for column in ("seeds_left", "seeds_right", "source_sha256_left", "source_sha256_right"):
            telling |= set(row[column].split())
    needles = [word.encode().lower() for word in telling]
    assert [(name, word) for name, data in public_bytes(study) for word in needles if word in data.lower()] == []


def test_controls_and_repeats_look_like_any_other_item(study: Study) -> None:
    known = {"study_id", "sheet_id", "sheet_hash", "item_id", "order", "prompt", "comment", "rater_id"}
    for sheet in study.sheets:
        rows = sheet_of(study, sheet)
        assert {name for name in rows[0] if not name.startswith(("q_", "image"))} == known
        assert all(re.fullmatch(r"i[a-z2-7]{12}", row["item_id"]) for row in rows)
        names = [name for row in rows for name in pictures_of(row)]
        assert all(re.fullmatch(r"images/m[a-z2-7]{16}\.png", name) for name in names)
        assert len(set(names)) == len(names)
        assert [int(row["order"]) for row in rows] == list(range(1, len(rows) + 1))
    shapes = {tuple(read_image(file).shape) for file in (study.folder / "public" / "images").iterdir()}
    assert len(shapes) == 1
    page = (study.folder / "public" / f"sheet_{study.sheets[0]}.html").read_text(encoding="utf-8")
    items = json.loads(page.split('id="data">')[1].split("</script>")[0])["items"]
    assert len({tuple(item) for item in items}) == 1
    assert set(items[0]) <= {"item_id", "order", "prompt", "image", "image_left", "image_right"}


def test_the_key_tells_kinds_and_expected_answers(study: Study) -> None:
    rows = key_of(study)
    by_id = {row["item_id"]: row for row in rows}
    real = {"sxs": 5, "photorealism": 10, "alignment": 15, "likert5": 15}[study.mode]
    share = round(0.4 * real)
    assert Counter(row["kind"] for row in rows) == {"real": 2 * real, "control": 2 * share, "repeat": 2 * share}
    for row in rows:
        assert bool(row["expected"]) == bool(row["control_question"]) == (row["kind"] == "control")
        assert row["expected"] in (*ANSWERS[study.mode], "")
        assert bool(row["repeat_of"]) == (row["kind"] == "repeat")
        if row["kind"] == "repeat":
            first = by_id[row["repeat_of"]]
            assert (first["kind"], first["sheet_id"]) == ("real", row["sheet_id"])
            swapped = ("left", "right") if study.mode in ("sxs", "photorealism") else ("left", "left")
            assert first[f"display_sha256_{swapped[0]}"] == row[f"display_sha256_{swapped[1]}"]
            assert int(row["order"]) - int(first["order"]) >= (real + share) / 3


def test_the_right_picture_of_a_control_is_the_one_that_is_expected(study: Study) -> None:
    for row in key_of(study):
        altered = {side: row[f"altered_{side}"] for side in ("left", "right")}
        if row["kind"] != "control":
            assert set(altered.values()) == {""}
        elif row["model_right"]:
            assert altered[row["expected"]] == ""
            wrong = altered["right" if row["expected"] == "left" else "left"]
            assert wrong.startswith("prompt:" if row["control_question"] == "alignment" else "degraded")
        else:
            assert altered["left"].startswith("prompt:")
            assert altered["left"] != f"prompt:{row['prompt_id']}"


def test_sides_are_balanced_by_pair_and_category_and_mirrored_between_two_raters(study: Study) -> None:
    if study.mode not in ("sxs", "photorealism"):
        assert {row["model_right"] + row["display_sha256_right"] for row in key_of(study)} == {""}
        return
    real = [row for row in key_of(study) if row["kind"] == "real"]
    for sheet in study.sheets:
        rows = [row for row in real if row["sheet_id"] == sheet]
        cells: dict[tuple[str, ...], list[str]] = {}
        for row in rows:
            pair = tuple(sorted((row["model_left"], row["model_right"])))
            cells.setdefault((*pair, row["category"]), []).append(row["model_left"])
        for (first, *_), lefts in cells.items():
            assert abs(2 * lefts.count(first) - len(lefts)) <= 1
    sides = Counter((row["prompt_id"], row["model_left"], row["model_right"]) for row in real)
    assert all(count == sides[prompt_id, right, left] for (prompt_id, left, right), count in sides.items())


def test_the_record_names_arms_rule_and_crossing(study: Study) -> None:
    config = record_of(study)["config"]
    assert config["mode"] == study.mode
    assert config["crossed"] is True
    assert config["exclusion"] == {"min_control_pass": 0.8, "min_answered": 0.5, "speed_fraction": 0.333}
    assert [arm["label"] for arm in config["arms"] if arm.get("reference")] == ["photoset"] * (study.mode != "sxs")
    assert config["instrument"]["questions"]


def test_a_study_is_reproducible_under_its_secret(
    study: Study, shared_arms: Arms, photos: ReferenceArm, tmp_path: Path
) -> None:
    before = {path: path.read_bytes() for path in study.folder.rglob("*") if path.is_file()}
    assert export(study.mode, shared_arms, photos, study.folder) == study
    assert before == {path: path.read_bytes() for path in study.folder.rglob("*") if path.is_file()}


def test_three_arms_meet_in_all_pairs_and_share_no_file(make_run: MakeRun, tmp_path: Path) -> None:
    arms = [Arm(name, make_run(name, tint=60 * number), 3.625) for number, name in enumerate("xyz")]
    study = export_study(arms, tmp_path / "study", sheets=1)
    rows = key_of(study)
    met = Counter(frozenset((row["model_left"], row["model_right"])) for row in rows)
    assert met == {frozenset(pair): 5 for pair in (("x", "y"), ("x", "z"), ("y", "z"))}
    assert len(list((study.folder / "public" / "images").iterdir())) == 30
    against = export_study(arms, tmp_path / "baseline", sheets=1, baseline="z")
    assert {"z" in (row["model_left"], row["model_right"]) for row in key_of(against)} == {True}


def test_parts_by_category_and_by_size(shared_arms: Arms, tmp_path: Path) -> None:
    study = export_study(shared_arms, tmp_path / "category", by_category=True, sheets=3)
    rows = key_of(study)
    categories = {sheet: {row["category"] for row in rows if row["sheet_id"] == sheet} for sheet in study.sheets}
    assert sorted(map(sorted, categories.values())) == [["Kategorie Eins"]] * 3 + [["Kategorie Zwei"]] * 3
    record = record_of(study)
    assert record["config"]["crossed"] is False
    assert {entry["sheet_id"]: {entry["part"]} for entry in record["sheets"]} == categories
    sized = export_study(shared_arms, tmp_path / "size", items_per_sheet=2, sheets=1)
    assert sorted(sized.items) == [1, 2, 2]
    assert len({row["prompt_id"] for row in key_of(sized)}) == 5


def test_a_control_of_fidelity_is_a_worse_copy_of_one_picture(shared_arms: Arms, tmp_path: Path) -> None:
    study = export_study(shared_arms, tmp_path / "study", controls=0.5, sheets=1)
    row = next(row for row in key_of(study) if row["control_question"] == "fidelity")
    assert row["source_sha256_left"] == row["source_sha256_right"]
    shown = {row["item_id"]: row for row in sheet_of(study, "S01")}[row["item_id"]]
    for side in ("left", "right"):
        data = (study.folder / "public" / shown[f"image_{side}"]).read_bytes()
        assert hashlib.sha256(data).hexdigest() == row[f"display_sha256_{side}"]
    assert row["display_sha256_left"] != row["display_sha256_right"]


def test_prompts_without_a_real_image_are_left_out_and_told(
    shared_arms: Arms, photos: ReferenceArm, tmp_path: Path
) -> None:
    folder = tmp_path / "few"
    folder.mkdir()
    for prompt_id in ("yak-01", "zebra-03"):
        Image.new("RGB", (20, 20), "green").save(folder / f"{prompt_id}.png")
    study = export_study([shared_arms[0], ReferenceArm(folder)], tmp_path / "study", mode="photorealism", controls=0)
    assert study.prompts == 2
    assert study.warnings[0] == "3 of 5 prompts have no real image and are left out"
    assert any("one flat colour" in warning for warning in study.warnings)


@pytest.mark.parametrize(
    ("mode", "options", "message"),
    [
        ("alignment", {"samples_per_side": 2}, "shows single images, found 2 samples per side"),
        ("likert5", {"baseline": "1"}, "one image at a time"),
        ("photorealism", {}, "give --reference"),
        ("sxs", {"by_category": True, "sheets": 501}, "2 parts of 501 sheets are 1002, expected at most 1000"),
        ("alignment", {"prompts": 1, "controls": 0.5, "items_per_sheet": 0}, "items_per_sheet is 0"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_written(
    shared_arms: Arms, tmp_path: Path, mode: Mode, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        export_study(shared_arms, tmp_path / "study", mode=mode, **options)
    assert not (tmp_path / "study").exists()


def test_arms_that_are_no_study_are_refused(shared_arms: Arms, photos: ReferenceArm, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="at least one run, found none"):
        export_study([photos], tmp_path / "study", mode="alignment")
    with pytest.raises(InputError, match="2 sets of real images"):
        export_study([shared_arms[0], photos, ReferenceArm(photos.images)], tmp_path / "study", mode="alignment")
