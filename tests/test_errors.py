"""The error tree: one base, and a docstring that draws what exists."""

from __future__ import annotations

import inspect

import pytest

from imagen_bench import errors

CLASSES = [value for _, value in inspect.getmembers(errors, inspect.isclass)]


@pytest.mark.parametrize("error", CLASSES, ids=lambda error: error.__name__)
def test_every_error_is_below_the_base_and_in_the_drawing(error: type[Exception]) -> None:
    assert issubclass(error, errors.ImagenBenchError)
    assert errors.__doc__ is not None
    assert error.__name__ in errors.__doc__
    assert str(error("found 1, expected 2")) == "found 1, expected 2"


def test_drawing_names_no_class_that_is_gone() -> None:
    assert errors.__doc__ is not None
    drawn = {line.split()[1] for line in errors.__doc__.splitlines() if "──" in line}
    assert drawn == {error.__name__ for error in CLASSES} - {"ImagenBenchError"}


def test_what_a_file_holds_does_not_act_on_the_terminal() -> None:
    error = errors.InputError("no column \x1b[2J among \0, \u202e and \ud800: é 日 stay")
    assert str(error) == r"no column \x1b[2J among \x00, \u202e and \ud800: é 日 stay"
