"""Our CSV as raters send it back."""

from __future__ import annotations

from imagen_bench.human.importers.rows import FilledFile, Problems
from imagen_bench.human.importers.sheet_csv import read_sheet_csv
from imagen_bench.human.importers.tables import read_table

QUESTIONS = ["fidelity", "alignment"]


def read(text: str) -> tuple[FilledFile, Problems]:
    problems = Problems()
    return read_sheet_csv("s.csv", read_table(text), QUESTIONS, problems), problems


def test_columns_in_any_order_with_others_between() -> None:
    file, problems = read(
        "Notes,q_alignment,rater_id,item_id,STUDY_ID,seconds_alignment,q_fidelity,seconds,answered_at,comment\n"
        "x,tie,'-me,'i1,s1,3.5,left,9,2026-01-02,'=1+1\n"
    )
    (row,) = file.rows
    assert problems.count == 0
    assert [row.cell(name) for name in ("study_id", "item_id", "rater_id", "comment", "sheet_hash")] == [
        "s1",
        "i1",
        "-me",
        "=1+1",
        "",
    ]
    assert [(one.question, one.text, one.column, one.seconds, one.answered_at) for one in row.answers] == [
        ("fidelity", "left", "q_fidelity", "4.5", "2026-01-02"),
        ("alignment", "tie", "q_alignment", "3.5", "2026-01-02"),
    ]


def test_blank_cells_are_no_answers() -> None:
    file, _ = read("study_id,item_id,q_fidelity,q_alignment\ns1,i1, ,left\n")
    assert [one.question for one in file.rows[0].answers] == ["alignment"]


def test_a_column_of_an_unknown_question_is_refused_and_a_missing_one_told() -> None:

    file, problems = read("study_id,item_id,q_fidelity,q_alignmnt\ns1,i1,left,tie\n")
    assert str(problems.listed[0]) == (
        "s.csv, column 'q_alignmnt': is no question of this study; did you mean 'q_alignment'? "
        "(known: q_alignment, q_fidelity)"
    )
    assert file.warnings == ("has no column q_alignment; its answers count as missing",)


def test_a_rater_who_wrote_the_id_once_filled_the_whole_sheet() -> None:
    file, problems = read("study_id,item_id,q_fidelity,rater_id\ns,i1,left,me\ns,i2,tie,\ns,i3,,\n")
    assert [row.cell("rater_id") for row in file.rows] == ["me", "me", "me"]
    assert problems.count == 0


def test_a_blank_rater_among_several_is_refused() -> None:
    file, problems = read("study_id,item_id,q_fidelity,rater_id\ns,i1,left,me\ns,i1,tie,you\ns,i2,left,\ns,i3,,\n")
    assert [str(problem) for problem in problems.listed] == [
        "s.csv, line 4, column rater_id: is blank, while other lines name 2 raters; write who answered"
    ]
    assert len(file.rows) == 3
    assert file.warnings[-1].startswith("has no column q_alignment")


def test_ids_that_a_spreadsheet_counted_up_are_told() -> None:
    file, _ = read("study_id,item_id,q_fidelity,rater_id\ns,i1,left,p7\ns,i2,tie,p8\ns,i3,tie,p9\n")
    assert "a spreadsheet has counted the rater id up ('p7', 'p8', ...)" in file.warnings[-1]
