"""Old MTurk batches, in both spellings of an option."""

from __future__ import annotations

import pytest

from imagen_bench.errors import InputError
from imagen_bench.human.importers.mturk import read_mturk
from imagen_bench.human.importers.rows import FilledFile, Problems
from imagen_bench.human.importers.tables import read_table

HEAD = (
    '"HITId","AssignmentId","WorkerId","AssignmentStatus","SubmitTime","RejectionTime","WorkTimeInSeconds",'
    '"Input.item_id"'
)
START = '"H1","A{n}","W{n}","{status}","Mon Mar 14 09:10:11 PDT 2022","{rejected}","30","i1"'


def batch(columns: str, *cells: str, status: str = "Approved", rejected: str = "") -> str:
    rows = [START.format(n=n, status=status, rejected=rejected) + "," + cell for n, cell in enumerate(cells, 1)]
    return "\n".join([f'{HEAD},{columns},"Approve","Reject"', *rows])


def read(text: str, question: str = "fidelity") -> tuple[FilledFile, Problems]:
    problems = Problems()
    return read_mturk("Batch_1_results.csv", read_table(text), [question], problems), problems


@pytest.mark.parametrize(
    ("columns", "cells"),
    [
        ('"Answer.q_fidelity"', '"left"'),
        ('"Answer.fidelity"', '"left"'),
        ('"Answer.q_fidelity.left","Answer.q_fidelity.right"', '"true","false"'),
        ('"Answer.q_fidelity.left.on","Answer.q_fidelity.right.on"', '"true","false"'),
        ('"Answer.fidelity.left.on","Answer.fidelity.right.on"', '"TRUE",""'),
    ],
)
def test_both_spellings(columns: str, cells: str) -> None:
    file, problems = read(batch(columns, cells))
    (row,) = file.rows
    (one,) = row.answers
    assert problems.count == 0
    assert (row.line, row.cell("rater_id"), row.cell("item_id")) == (2, "mturk:W1", "i1")
    assert (one.question, one.text, one.seconds) == ("fidelity", "left", "30.0")
    assert one.answered_at == "2022-03-14T16:10:11+00:00"


def test_numbers_as_options() -> None:
    file, _ = read(batch('"Answer.q.3","Answer.q.4"', '"false","true"'), "q")
    assert file.rows[0].answers[0].text == "4"
    file, _ = read(batch('"Answer.q.3.on","Answer.q.4.on"', '"true","false"'), "q")
    assert file.rows[0].answers[0].text == "3"


@pytest.mark.parametrize("mark", [{"status": "Rejected"}, {"rejected": "Tue Mar 15 09:10:11 PDT 2022"}])
def test_rejected_assignments_are_left_out_and_counted(mark: dict[str, str]) -> None:
    file, _ = read(batch('"Answer.q_fidelity"', '"left"', '"tie"', **mark))
    assert file.rows == ()
    assert file.warnings == ("2 rejected assignments were left out",)


def test_two_options_at_once_are_refused() -> None:
    file, problems = read(batch('"Answer.q_fidelity.left.on","Answer.q_fidelity.tie.on"', '"true","true"'))
    assert str(problems.listed[0]) == (
        "Batch_1_results.csv, line 2, column q_fidelity: chooses left and tie; expected one answer"
    )
    assert file.rows[0].answers == ()


def test_a_batch_without_our_questions_is_refused() -> None:
    with pytest.raises(InputError, match=r"expected columns Answer\.q_fidelity"):
        read(batch('"Answer.other"', '"left"'))
