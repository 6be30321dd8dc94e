"""Whole imports: export, fill as people and programs do, import, and what the study holds then."""

from __future__ import annotations

import base64
import csv
import hmac
import json
import stat
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from imagen_bench.bench.lock import locked
from imagen_bench.errors import RunFolderError
from imagen_bench.human import study as study_module
from imagen_bench.human.importing import Imported, import_files

Rows = list[dict[str, str]]
Fill = Callable[..., Rows]
Write = Callable[..., Path]
Answers = Callable[[], Rows]
FIDELITY = ["left", "tie", "right", "unable", "left"]


def private(study: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((study / "private").glob("*.csv"))}


def told(result: Imported) -> list[str]:
    return [str(problem) for problem in result.problems]


def test_a_sheet_filled_by_hand(study: Path, fill: Fill, write: Write, answers: Answers) -> None:
    rows = fill(q_fidelity=FIDELITY, q_alignment="tie", rater_id="anna", comment=["", "=1+1", "", "", ""])
    result = import_files(study, [write(rows)])
    assert (result.written, result.files, result.rows, result.counts.new, result.problem_count) == (True, 1, 5, 10, 0)
    found = answers()
    key = {row["item_id"]: row for row in csv.DictReader((study / "private/key.csv").read_text("utf-8").splitlines())}
    assert {(row["item_id"], row["answer"]) for row in found if row["question"] == "fidelity"} == {
        (row["item_id"], answer) for row, answer in zip(rows, FIDELITY, strict=True)
    }
    assert all(key[row["item_id"]]["sheet_id"] == row["sheet_id"] == "S01" for row in found)
    assert {(row["source"], row["seconds"], row["answered_at"]) for row in found} == {("filled.csv", "", "")}
    assert [row["line"] for row in found if row["question"] == "fidelity"] == ["2", "3", "4", "5", "6"]
    assert b",'=1+1,filled.csv,3\n" in private(study)["comments.csv"]
    assert [(one.sheet_id, one.answered, one.expected) for one in result.rated] == [("S01", 10, 10)]
    assert result.missing == ("S02",)


def test_raters_are_pseudonyms_under_the_secret_and_the_files_private(
    study: Path, fill: Fill, write: Write, answers: Answers
) -> None:
    import_files(study, [write(fill(q_fidelity="left", rater_id="PID-1234567890"))])
    secret = bytes.fromhex(json.loads((study / "private/study.json").read_text(encoding="utf-8"))["secret"])
    (rater,) = {row["rater"] for row in answers()}
    digest = hmac.digest(secret, b"r_\x1fPID-1234567890", "sha256")
    assert rater == "r_" + base64.b32encode(digest).decode("ascii").lower()[:8]
    files = private(study)
    assert b"PID-1234567890" in files["raters.csv"]
    assert all(b"PID-1234567890" not in data for name, data in files.items() if name != "raters.csv")
    for name in ("answers.csv", "raters.csv", "comments.csv"):
        assert stat.S_IMODE((study / "private" / name).stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("dialect", "warned"),
    [
        ({"separator": ";", "encoding": "cp1252"}, "Windows-1252"),
        ({"separator": ";", "encoding": "utf-8-sig"}, ""),
        ({"separator": "\t", "encoding": "utf-16"}, "UTF-16"),
        ({"separator": ",", "encoding": "utf-8", "line_end": "\n"}, ""),
        ({"separator": ",", "encoding": "utf-8", "quoting": csv.QUOTE_ALL}, ""),
    ],
    ids=["Excel, German", "Excel, CSV UTF-8", "Excel, Unicode text", "LibreOffice", "Google Sheets"],
)
def test_spreadsheet_programs_give_the_same_answers(
    study: Path, fill: Fill, write: Write, answers: Answers, dialect: dict[str, str], warned: str
) -> None:
    words = ["1", " A ", "prefer LEFT", "'left", "I prefer the left set"]
    rows = fill(q_fidelity=words, q_alignment=["0", "b", "2,0", "u", ""], rater_id="Jürgen", comment="schön")
    result = import_files(study, [write(rows, **dialect)])
    assert told(result) == []
    assert bool(warned) == bool(result.warnings)
    assert warned in "".join(result.warnings)
    found = answers()
    assert {row["answer"] for row in found if row["question"] == "fidelity"} == {"left"}
    assert sorted(row["answer"] for row in found if row["question"] == "alignment") == [
        "right",
        "right",
        "tie",
        "unable",
    ]
    assert "Jürgen" in private(study)["raters.csv"].decode("utf-8")
    assert private(study)["comments.csv"].decode("utf-8").count("schön") == 5


def test_the_same_file_twice_changes_nothing_and_the_order_of_files_does_not_count(
    study: Path, fill: Fill, write: Write, tmp_path: Path
) -> None:
    one = write(fill("S01", q_fidelity=FIDELITY, rater_id="a"), "one.csv")
    two = write(list(reversed(fill("S02", q_fidelity=FIDELITY, rater_id="b"))), "two.csv")
    import_files(study, [one, two])
    before = private(study)
    times = {path.name: path.stat().st_mtime_ns for path in (study / "private").glob("*.csv")}
    result = import_files(study, [one])
    assert (result.counts.new, result.counts.unchanged) == (0, 5)
    assert private(study) == before
    assert {path.name: path.stat().st_mtime_ns for path in (study / "private").glob("*.csv")} == times
    for name in ("answers.csv", "raters.csv", "comments.csv"):
        (study / "private" / name).unlink()
    import_files(study, [two])
    import_files(study, [one])
    assert private(study) == before


def page_json(rows: Rows, rater: str, seconds: float, answered_at: str) -> str:
    answers = [
        {
            "item_id": row["item_id"],
            "question": name,
            "answer": row[f"q_{name}"],
            "seconds": seconds,
            "answered_at": answered_at,
        }
        for row in rows
        for name in ("fidelity", "alignment")
        if row[f"q_{name}"]
    ]
    common = {name: rows[0][name] for name in ("study_id", "sheet_id")}
    return json.dumps({**common, "rater_id": rater, "answers": answers, "comments": []})


def test_csv_and_json_of_one_page_are_one_set_of_answers_with_times(
    study: Path, fill: Fill, write: Write, answers: Answers, tmp_path: Path
) -> None:
    rows = fill(q_fidelity=FIDELITY, q_alignment="tie", rater_id="anna")
    sheet = write([{**row, "seconds": "9", "answered_at": "2026-11-01T10:00:01Z"} for row in rows])
    page = tmp_path / "answers.json"
    page.write_text(page_json(rows, "anna", 4.2504, "2026-11-01T11:00:00.25+01:00"), encoding="utf-8")
    result = import_files(study, [sheet, page])
    assert (result.counts.new, result.counts.unchanged, len(result.raters)) == (10, 10, 1)
    assert {(row["seconds"], row["answered_at"]) for row in answers()} == {("4.25", "2026-11-01T10:00:00.250Z")}
    before = private(study)
    assert import_files(study, [page, sheet]).counts.unchanged == 20
    assert private(study) == before


def test_times_are_added_to_answers_that_had_none(
    study: Path, fill: Fill, write: Write, answers: Answers, tmp_path: Path
) -> None:
    rows = fill(q_fidelity="left", rater_id="anna")
    import_files(study, [write(rows)])
    result = import_files(study, [write(fill(q_fidelity="left", rater_id="anna", seconds="3,5"), "timed.csv")])
    assert (result.counts.completed, result.counts.unchanged) == (5, 0)
    assert {row["seconds"] for row in answers()} == {"3.5"}


def test_a_contradiction_is_refused_unless_the_later_one_counts(
    study: Path, fill: Fill, write: Write, answers: Answers
) -> None:
    first = write(fill(q_fidelity="left", rater_id="a"), "first.csv")
    second = write(fill(q_fidelity=["right", "left", "left", "left", "left"], rater_id="a"), "second.csv")
    import_files(study, [first])
    before = private(study)
    result = import_files(study, [second])
    assert told(result) == [
        "second.csv, line 2, column q_fidelity: 'right' contradicts 'left' by the same rater (first.csv:2); "
        "remove one, or let the later count with --latest"
    ]
    assert private(study) == before
    result = import_files(study, [second], latest=True)
    assert (result.counts.replaced, result.counts.unchanged) == (1, 4)
    assert [row["answer"] for row in answers()].count("right") == 1


def test_the_later_one_by_its_time_counts_whatever_is_read_first(
    study: Path, fill: Fill, answers: Answers, tmp_path: Path
) -> None:
    paths = []
    for number, answer in ((1, "left"), (3, "tie"), (2, "right")):
        path = tmp_path / f"{number}.json"
        path.write_text(page_json(fill(q_fidelity=answer), "a", 1, f"2026-11-0{number}T10:00:00Z"), encoding="utf-8")
        paths.append(path)
    assert import_files(study, paths, latest=True).problem_count == 0
    assert {row["answer"] for row in answers()} == {"tie"}


def test_sheets_without_a_rater_count_as_one_each(study: Path, fill: Fill, write: Write) -> None:
    import_files(
        study, [write(fill("S01", q_fidelity="left"), "a.csv"), write(fill("S02", q_fidelity="left"), "b.csv")]
    )
    assert private(study)["raters.csv"].decode("utf-8").count("sheet:S0") == 2
    result = import_files(study, [write(fill("S01", q_fidelity="right"), "c.csv")])
    assert "sheets without rater_id count as one rater, so write who answered" in told(result)[0]


def test_every_mistake_is_named_and_nothing_written_until_the_rest_is_asked_for(
    study: Path, fill: Fill, write: Write, answers: Answers
) -> None:
    rows = fill(q_fidelity=["left", "maybe", "tie", "left", "left"], q_alignment="tie", rater_id="a")
    rows[2]["item_id"] = "i000"
    rows[3]["sheet_id"] = "S02"
    rows[4]["comment"] = "x" * 5001
    path = write(rows)
    result = import_files(study, [path])
    assert told(result) == [
        "filled.csv, line 3, column q_fidelity: 'maybe' is no answer; write one of left, tie, right, unable, "
        "or leave it blank",
        "filled.csv, line 4, column item_id: 'i000' is no item of this study; do not change this column",
        "filled.csv, line 5, column sheet_id: is 'S02', but the item stands on sheet S01; do not mix rows of sheets",
        "filled.csv, line 6, column comment: has 5001 characters; expected at most 5000, so shorten it",
    ]
    assert not result.written
    assert "answers.csv" not in private(study)
    assert import_files(study, [path], partial=True).written
    assert len(answers()) == 5


def test_many_mistakes_are_counted(study: Path, fill: Fill, write: Write) -> None:
    rows = [{**row, "q_fidelity": f"word {number}"} for number in range(30) for row in fill()]
    result = import_files(study, [write(rows)])
    assert (result.problem_count, len(result.problems)) == (150, 100)


@pytest.mark.parametrize(
    ("column", "value", "reason"),
    [
        ("study_id", "sother", "line 2, column study_id: 'sother' is another study"),
        ("sheet_hash", "0" * 64, "another version of sheet S01; have the exported one filled"),
    ],
)
def test_another_study_or_sheet_is_refused_in_one_line(
    study: Path, fill: Fill, write: Write, column: str, value: str, reason: str
) -> None:
    result = import_files(study, [write(fill(q_fidelity="left", **{column: value}))], partial=True)
    assert len(result.problems) == 1
    assert reason in told(result)[0]
    assert not result.written


def test_the_recorded_hash_is_accepted(study: Path, fill: Fill, write: Write) -> None:
    record = json.loads((study / "private/study.json").read_text(encoding="utf-8"))
    digest = {sheet["sheet_id"]: sheet["hash"] for sheet in record["sheets"]}["S02"]
    result = import_files(study, [write(fill("S02", q_fidelity="left", sheet_hash=digest))])
    assert (told(result), result.counts.new) == ([], 5)


def test_the_prompt_is_never_read_back(study: Path, fill: Fill, write: Write) -> None:
    rows = fill(q_fidelity="left", prompt="changed by a spreadsheet", image_left="#REF!", order="0")
    assert import_files(study, [write(rows)]).counts.new == 5


def test_a_dry_run_writes_nothing(study: Path, fill: Fill, write: Write) -> None:
    before = sorted((study / "private").iterdir())
    result = import_files(study, [write(fill(q_fidelity="left"))], dry_run=True)
    assert (result.counts.new, result.written) == (5, False)
    assert sorted((study / "private").iterdir()) == before


MODES = {
    "photorealism": ("left", "right", "unable"),
    "alignment": ("yes", "somewhat", "no", "unable"),
    "likert5": ("1", "2", "3", "4", "5", "unable"),
}


@pytest.mark.parametrize("mode", MODES)
def test_answers_of_every_mode(
    study: Path, fill: Fill, write: Write, answers: Answers, change_record: Callable[..., None], mode: str
) -> None:
    options = [{"value": value, "label": f"it is {value}", "key": value[0]} for value in MODES[mode]]
    question = {"name": "grade", "text": "?", "shows_caption": False, "answers": options}
    change_record({"instructions": [], "questions": [question], "answers": []})
    given = [MODES[mode][number % len(MODES[mode])] for number in range(5)]
    rows = [{name: row[name] for name in ("study_id", "item_id")} for row in fill()]
    for row, value in zip(rows, given, strict=True):
        row["q_grade"] = f"It is {value.upper()}"
    assert told(import_files(study, [write(rows)])) == []
    assert {row["item_id"]: row["answer"] for row in answers()} == {
        row["item_id"]: value for row, value in zip(rows, given, strict=True)
    }
    rows[0]["q_grade"] = "tie"
    expected = ", ".join(MODES[mode])
    assert f"write one of {expected}, or leave it blank" in told(import_files(study, [write(rows)]))[0]


def test_hostile_cells_end_up_as_text_or_are_refused(study: Path, fill: Fill, write: Write, answers: Answers) -> None:
    hostile = ["=cmd|'/c calc'!A1", "+1", "@SUM(A1)", "<script>alert(1)</script>", "-2"]
    rows = fill(q_fidelity="left", rater_id="=HYPERLINK(1)", comment=hostile)
    assert told(import_files(study, [write(rows, "=evil.csv")])) == []
    cells = [
        cell
        for data in private(study).values()
        for row in csv.reader(data.decode("utf-8").splitlines())
        for cell in row
    ]
    key = (study / "private/key.csv").read_text(encoding="utf-8")
    assert [cell for cell in cells if cell.startswith(("=", "+", "-", "@")) and cell not in key] == []
    assert "<script>alert(1)</script>" in cells
    rows = fill(q_fidelity=hostile, rater_id="b\x1b[31m")
    assert all("is no id" in problem for problem in told(import_files(study, [write(rows, "b.csv")])))


def test_a_quotation_mark_that_swallows_rows_is_told(study: Path, fill: Fill, write: Write) -> None:
    path = write(fill(q_fidelity="left", comment=["from here", "", "", "to there", ""]))
    text = path.read_text(encoding="utf-8").replace("from here", '"from here').replace("to there", 'to there"')
    path.write_text(text, encoding="utf-8", newline="")
    problems = told(import_files(study, [path]))
    assert len(problems) == 1
    assert "quotation mark is not paired" in problems[0]


def test_times_that_cannot_be_are_left_blank_with_a_warning(
    study: Path, fill: Fill, write: Write, answers: Answers
) -> None:
    rows = fill(q_fidelity="left", seconds=["3,5", "-1", "nan", "1e99", "soon"], answered_at="22.11.2026 21:05")
    result = import_files(study, [write(rows)])
    assert (
        result.warnings
        == (
            "filled.csv: has no column q_alignment; its answers count as missing",
            "filled.csv: 5 dates of answers could not be read and left blank",
            "filled.csv: 4 times in seconds could not be read and left blank",
        )[1:]
    )
    assert [row["seconds"] for row in answers()].count("3.5") == 1


def test_a_failing_write_leaves_the_old_answers(
    study: Path, fill: Fill, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    import_files(study, [write(fill(q_fidelity="left"))])
    before = private(study)["answers.csv"]

    def full(path: Path, data: bytes) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(study_module, "atomic_write_bytes", full)
    with pytest.raises(OSError, match="No space left"):
        import_files(study, [write(fill("S02", q_fidelity="left"))])
    assert private(study)["answers.csv"] == before


def test_two_imports_at_once_are_kept_apart(study: Path, fill: Fill, write: Write) -> None:
    with locked(study / "private"), pytest.raises(RunFolderError, match="in use"):
        import_files(study, [write(fill(q_fidelity="left"))])


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("answers.csv", b"a,b\n1,2\n", "has other columns"),
        ("answers.csv", b"\xff", "is broken"),
        ("key.csv", b"a,b\n1,2\n", "is broken"),
        ("key.csv", None, "cannot read"),
    ],
)
def test_a_broken_study_is_refused(
    study: Path, fill: Fill, write: Write, name: str, content: bytes | None, reason: str
) -> None:
    path = write(fill(q_fidelity="left"))
    file = study / "private" / name
    if content is None:
        file.unlink()
    else:
        file.write_bytes(content)
    with pytest.raises(RunFolderError, match=reason):
        import_files(study, [path])


def test_answers_of_another_study_are_not_mixed(study: Path, fill: Fill, write: Write) -> None:
    import_files(study, [write(fill(q_fidelity="left"))])
    file = study / "private" / "answers.csv"
    file.write_bytes(file.read_bytes().replace(fill()[0]["item_id"].encode(), b"iother"))
    with pytest.raises(RunFolderError, match="another study"):
        import_files(study, [write(fill(q_fidelity="left"))])


ANSWER = st.sampled_from(["", "left", "tie", "right", "unable"])
TEXT = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=30)
SHEET = st.lists(st.tuples(ANSWER, ANSWER, TEXT), min_size=5, max_size=5)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    sheet=SHEET,
    rater=st.text(st.characters(categories=("L", "N", "P", "S")), max_size=20),
    separator=st.sampled_from([",", ";", "\t"]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
    order=st.permutations(range(5)),
)
def test_whatever_is_filled_in_comes_back(
    study: Path,
    fill: Fill,
    write: Write,
    sheet: Sequence[tuple[str, str, str]],
    rater: str,
    separator: str,
    encoding: str,
    order: Sequence[int],
) -> None:
    for name in ("answers.csv", "raters.csv", "comments.csv"):
        (study / "private" / name).unlink(missing_ok=True)
    fidelity, alignment, comments = zip(*sheet, strict=True)
    rows = fill(q_fidelity=fidelity, q_alignment=alignment, comment=comments, rater_id=rater)
    result = import_files(study, [write([rows[number] for number in order], separator=separator, encoding=encoding)])
    assert told(result) == []
    found = list(csv.DictReader((study / "private/answers.csv").read_text(encoding="utf-8").splitlines()))
    assert {(row["item_id"], row["question"], row["answer"]) for row in found} == {
        (row["item_id"], question, row[f"q_{question}"])
        for row in rows
        for question in ("fidelity", "alignment")
        if row[f"q_{question}"]
    }
    assert len(found) == sum(bool(answer) for answer in (*fidelity, *alignment))
    assert len({row["rater"] for row in found}) <= 1
