"""`drawbench export`: arms from arguments, the study on disk, and messages in one line."""

from __future__ import annotations

import csv
import hashlib
import json
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from PIL import Image

from imagen_bench.assets import asset
from imagen_bench.cli.drawbench_export import parse_arms
from imagen_bench.cli.main import main
from imagen_bench.errors import InputError
from imagen_bench.human.arms import Arm

PROMPTS = [("p1", "a cat", "animals"), ("p2", "a dog", "animals"), ("p3", "a bus", "things")]


WriteSamples = Callable[[Path, Sequence[tuple[object, ...]]], None]
MakeRun = Callable[..., Path]


@pytest.fixture
def make_run(write_samples: WriteSamples) -> MakeRun:
    """Write a run folder with one image of each prompt at each weight."""

    def make(path: Path, weights: Sequence[float], size: int = 4, name: str | None = None) -> Path:
        rows: list[tuple[object, ...]] = []
        for weight in weights:
            for number, (prompt_id, prompt, category) in enumerate(PROMPTS):
                relative = f"images/w={weight:g}/0000/{prompt_id}_0.png"
                (path / relative).parent.mkdir(parents=True, exist_ok=True)
                picture = Image.new("RGB", (size, size), (number * 80, int(weight * 20), 0))
                picture.putpixel((0, 0), (255, 255, 255))
                picture.save(path / relative)
                digest = hashlib.sha256((path / relative).read_bytes()).hexdigest()
                rows.append((prompt_id, prompt, category, 0, 17, weight, relative, digest, 0.1))
        write_samples(path, rows)
        (path / "run.json").write_text(json.dumps({"schema": 1, "name": name or path.name}), encoding="utf-8")
        return path

    return make


@pytest.fixture
def sweep(make_run: MakeRun, tmp_path: Path) -> Path:
    return make_run(tmp_path / "sweep", [1, 3.5])


@pytest.fixture
def single(make_run: MakeRun, tmp_path: Path) -> Path:
    return make_run(tmp_path / "single", [2])


def export(*args: object) -> Result:
    return CliRunner().invoke(main, ["drawbench", "export", *map(str, args)])


def test_a_study_of_two_runs(sweep: Path, single: Path, tmp_path: Path) -> None:
    out = tmp_path / "study"
    result = export(f"{sweep}@3.5", single, "--out", out, "--sheets", 3, "--json")
    assert result.exit_code == 0, result.stderr
    answer = json.loads(result.stdout)
    assert answer["sheets"] == ["S01", "S02", "S03"]
    assert (answer["prompts"], answer["samples_per_side"], answer["warnings"]) == (3, 1, [])
    assert (Path(answer["public"]) / "sheet_S03.zip").is_file()
    with (Path(answer["private"]) / "key.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert {row["model_left"] for row in rows} == {"sweep@3.5", "single@2"}


def test_two_weights_of_one_run_and_the_text_output(sweep: Path, tmp_path: Path) -> None:
    result = export(f"{sweep}@1", f"{sweep}@3.5", "--out", tmp_path / "study", "--limit", 2)
    assert result.exit_code == 0, result.stderr
    assert "2 sheets of 2 comparisons, 1 image a side" in result.stdout
    assert "sheet_S01.zip, sheet_S02.zip" in result.stdout


def test_warnings_go_to_stderr(make_run: MakeRun, sweep: Path, tmp_path: Path) -> None:
    small = make_run(tmp_path / "small", [2], size=2)
    result = export(f"{sweep}@1", small, "--out", tmp_path / "study", "--json")
    assert "warning: the arms differ in image size" in result.stderr
    assert json.loads(result.stdout)["warnings"]


def test_a_missing_weight_lists_those_of_the_run(sweep: Path, single: Path, tmp_path: Path) -> None:
    result = export(sweep, single, "--out", tmp_path / "study")
    assert result.exit_code == 1
    assert "several guidance weights (1, 3.5); choose one" in result.stderr
    assert len(result.stderr.splitlines()) == 1
    result = export(f"{sweep}@2", single, "--out", tmp_path / "study")
    assert "no images at guidance weight 2; choose one of 1, 3.5" in result.stderr
    assert not (tmp_path / "study").exists()


@pytest.mark.parametrize("weight", ["two", "", "nan"])
def test_a_weight_that_is_no_number_is_refused(sweep: Path, single: Path, tmp_path: Path, weight: str) -> None:
    result = export(f"{sweep}@{weight}", single, "--out", tmp_path / "study")
    assert result.exit_code == 1
    assert f"{weight!r} is no guidance weight" in result.stderr


def test_exporting_again_with_other_settings_is_refused(sweep: Path, single: Path, tmp_path: Path) -> None:
    out = tmp_path / "study"
    assert export(f"{sweep}@1", single, "--out", out).exit_code == 0
    assert export(f"{sweep}@1", single, "--out", out).exit_code == 0
    result = export(f"{sweep}@3.5", single, "--out", out)
    assert result.exit_code == 1
    assert "holds another study" in result.stderr


def test_labels_differ_where_the_runs_have_one_name(make_run: MakeRun, tmp_path: Path) -> None:
    runs = [make_run(tmp_path / folder / "run", [2], name="same") for folder in ("a", "b")]
    labels = [arm.label for arm in parse_arms([str(run) for run in runs])]
    assert labels == [f"{run}@2" for run in runs]


def test_a_folder_with_an_at_sign_is_a_folder(make_run: MakeRun, tmp_path: Path) -> None:
    one = make_run(tmp_path / "run@5", [2])
    other = make_run(tmp_path / "other", [2])
    assert parse_arms([str(one), f"{other}@2"]) == [Arm("run@5@2", one, 2), Arm("other@2", other, 2)]
    with pytest.raises(InputError, match="several"):
        parse_arms([str(make_run(tmp_path / "x@1", [1, 2])), str(other)])


def test_wrong_usage_is_status_2(single: Path) -> None:
    assert export(single).exit_code == 2
    assert CliRunner().invoke(main, ["drawbench", "export", "--help"]).exit_code == 0


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for number, (_, prompt, _) in enumerate(PROMPTS):
        Image.effect_noise((16, 12), 50 + number).convert("RGB").save(folder / f"{number}.jpg")
        with (folder / "captions.txt").open("a", encoding="utf-8") as stream:
            stream.write(f"{prompt}\n")
    return folder


def rows_of_key(out: Path) -> list[dict[str, str]]:
    with (out / "private" / "key.csv").open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def test_photorealism_against_a_folder_with_captions(single: Path, photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "study"
    args = ("--mode", "photorealism", "--reference", photos, "--captions", photos / "captions.txt")
    result = export(single, "--out", out, *args, "--controls", 0.34, "--repeats", 0.34)
    assert result.exit_code == 0, result.stderr
    assert "2 sheets of 5 comparisons, 1 image a side" in result.stdout
    rows = rows_of_key(out)
    assert Counter(row["kind"] for row in rows) == {"real": 6, "control": 2, "repeat": 2}
    assert {row["model_left"] for row in rows if row["kind"] == "control"} == {"reference"}
    assert all(
        {row["model_left"], row["model_right"]} == {"single@2", "reference"} for row in rows if row["kind"] == "real"
    )


def test_one_image_modes_take_any_number_of_runs(sweep: Path, single: Path, tmp_path: Path) -> None:
    result = export(single, "--out", tmp_path / "a", "--mode", "likert5", "--sheets", 1)
    assert "1 sheet of 3 images\n" in result.stdout
    result = export(single, f"{sweep}@1", "--out", tmp_path / "b", "--mode", "alignment", "--by-category", "--json")
    answer = json.loads(result.stdout)
    # Three prompts in two categories, two arms; a control for each part.
    assert (answer["mode"], sorted(answer["items"])) == ("alignment", [3, 3, 5, 5])


def test_three_arms_in_chosen_pairs(sweep: Path, single: Path, tmp_path: Path) -> None:
    runs = (f"{sweep}@1", f"{sweep}@3.5", single)
    assert export(*runs, "--out", tmp_path / "a", "--pairs", "1:2, 3:sweep@1").exit_code == 0
    met = {frozenset((row["model_left"], row["model_right"])) for row in rows_of_key(tmp_path / "a")}
    assert met == {frozenset(("sweep@1", "sweep@3.5")), frozenset(("sweep@1", "single@2"))}
    result = export(*runs, "--out", tmp_path / "b", "--baseline", "4")
    assert (result.exit_code, len(result.stderr.splitlines())) == (1, 1)
    assert "no arm '4'; choose by label or number: 1 sweep@1, 2 sweep@3.5, 3 single@2" in result.stderr


def test_the_rule_of_exclusion_and_own_questions_are_recorded(sweep: Path, tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    text = asset("drawbench/questions.toml").read_text(encoding="utf-8")
    file.write_text(
        text.replace("Which set of images is of higher quality?", "Which set do you like?"), encoding="utf-8"
    )
    runs = (f"{sweep}@1", f"{sweep}@3.5")
    result = export(*runs, "--out", tmp_path / "study", "--questions", file, "--min-control-pass", 0.7)
    assert result.exit_code == 0, result.stderr
    config = json.loads((tmp_path / "study/private/study.json").read_text(encoding="utf-8"))["config"]
    assert config["exclusion"]["min_control_pass"] == 0.7
    assert config["instrument"]["questions"][0]["text"] == "Which set do you like?"


@pytest.mark.parametrize(
    ("args", "status", "message"),
    [
        (("--mode", "photorealism"), 1, "was scored against no reference set; give the real images with --reference"),
        (("--reference", "nowhere", "--mode", "photorealism"), 1, "nowhere"),
        (("--captions", "x.csv"), 2, "--captions belong to real images"),
        (("--pairs", "1-2"), 2, "expected pairs such as 1:2,1:3"),
        (("--controls", "2"), 2, "0<=x<=0.5"),
        (("--mode", "sxss"), 2, "sxss"),
        (("--questions", "nothing.toml"), 1, "nothing.toml"),
        ((), 1, "at least two arms, found 1; name another run"),
    ],
)
def test_what_does_not_fit_is_told_in_one_line(
    single: Path, tmp_path: Path, args: tuple[str, ...], status: int, message: str
) -> None:
    result = export(single, "--out", tmp_path / "study", *args)
    assert result.exit_code == status
    assert message in result.stderr
    assert status == 2 or len(result.stderr.splitlines()) == 1
    assert not (tmp_path / "study").exists()
