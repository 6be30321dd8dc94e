"""Pareto fronts against the definition written out as loops, and areas against counted unit squares."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imagen_bench.bench.pareto import best_index, hypervolume, knee_index, non_dominated
from imagen_bench.errors import InputError

small = st.integers(min_value=0, max_value=6)
flags2 = st.tuples(st.booleans(), st.booleans())


def front_by_definition(points: list[tuple[int, ...]], flags: tuple[bool, ...]) -> list[bool]:
    """The textbook definition, one comparison at a time."""

    def dominates(a: tuple[int, ...], b: tuple[int, ...]) -> bool:
        no_worse = all(x >= y if up else x <= y for x, y, up in zip(a, b, flags, strict=True))
        return no_worse and a != b

    return [not any(dominates(other, point) for other in points) for point in points]


@settings(deadline=None)
@given(st.lists(st.tuples(small, small), max_size=12), flags2)
def test_front_matches_the_definition(points: list[tuple[int, int]], flags: tuple[bool, bool]) -> None:
    assert non_dominated(points, flags).tolist() == front_by_definition(points, flags)


@settings(deadline=None)
@given(
    st.lists(st.tuples(small, small, small), max_size=10),
    st.tuples(st.booleans(), st.booleans(), st.booleans()),
)
def test_front_of_three_scores(points: list[tuple[int, int, int]], flags: tuple[bool, bool, bool]) -> None:
    assert non_dominated(points, flags).tolist() == front_by_definition(points, flags)


def test_front_of_a_guidance_sweep() -> None:
    # CLIP score up, FD down: w = 1 loses to w = 2 on both; the rest trade one for the other.
    clip_score, fd = [0.20, 0.25, 0.27, 0.28], [30.0, 20.0, 22.0, 40.0]
    assert non_dominated(list(zip(clip_score, fd, strict=True)), (True, False)).tolist() == [
        False,
        True,
        True,
        True,
    ]


def test_missing_scores_are_never_on_the_front() -> None:
    points = [(np.nan, 1.0), (1.0, 2.0), (np.inf, 0.0)]
    assert non_dominated(points, (True, False)).tolist() == [False, True, False]


def squares_covered(points: list[tuple[int, int]], flags: tuple[bool, bool], reference: tuple[int, int]) -> int:
    """Count unit squares between the reference corner and some point."""
    signs = [1 if up else -1 for up in flags]
    turned = [tuple(s * v for s, v in zip(signs, point, strict=True)) for point in points]
    x0, y0 = (s * v for s, v in zip(signs, reference, strict=True))
    cells = [(x, y) for x in range(-12, 12) for y in range(-12, 12) if x >= x0 and y >= y0]
    return sum(any(x + 1 <= px and y + 1 <= py for px, py in turned) for x, y in cells)


@settings(deadline=None)
@given(st.lists(st.tuples(small, small), max_size=8), flags2, st.tuples(small, small))
def test_area_counts_squares(
    points: list[tuple[int, int]], flags: tuple[bool, bool], reference: tuple[int, int]
) -> None:
    assert hypervolume(points, flags, reference) == pytest.approx(squares_covered(points, flags, reference))


def test_best_is_the_first_of_equals_and_skips_missing() -> None:
    assert best_index([np.nan, 3.0, 1.0, 1.0], higher_is_better=False) == 2
    assert best_index([np.nan, 3.0, 1.0], higher_is_better=True) == 1


def test_bad_input_is_refused_in_words() -> None:
    with pytest.raises(InputError, match="one direction flag a score"):
        non_dominated([(1.0, 2.0)], (True,))
    with pytest.raises(InputError, match="finite reference"):
        hypervolume([(1.0, 2.0)], (True, True), (np.nan, 0.0))
    with pytest.raises(InputError, match="no finite value"):
        best_index([np.nan], higher_is_better=True)


def knee_by_geometry(points: list[tuple[float, float]]) -> int | None:
    """Largest signed distance from the line through the front's ends, both scores scaled to the front's box."""
    front = [k for k, keep in enumerate(non_dominated(points, (True, False))) if keep]
    if len(front) < 3:
        return None
    scaled = np.array([points[k] for k in front], dtype=float) * [1, -1]
    box = scaled.max(axis=0) - scaled.min(axis=0)
    scaled = (scaled - scaled.min(axis=0)) / box
    left, right = scaled[scaled[:, 0].argmin()], scaled[scaled[:, 0].argmax()]
    along = right - left
    distances = [along[0] * (p[1] - left[1]) - along[1] * (p[0] - left[0]) for p in scaled]
    return front[int(np.argmax(distances))] if max(distances) > 1e-9 else None


@pytest.mark.parametrize("seed", range(30))
def test_knee_is_furthest_from_the_line(seed: int) -> None:
    points = np.random.default_rng(seed).random((8, 2)).tolist()
    assert knee_index(points, (True, False)) == knee_by_geometry(points)


def test_knee_does_not_depend_on_units() -> None:
    points = np.array([(0.20, 10.0), (0.26, 11.0), (0.28, 20.0), (0.29, 40.0)])
    assert knee_index(points, (True, False)) == 1
    assert knee_index(points * [100.0, 0.01] + [7.0, -3.0], (True, False)) == 1


def test_no_knee_without_a_bend() -> None:
    assert knee_index([(0.2, 10.0), (0.3, 20.0)], (True, False)) is None
    assert knee_index([(0.2, 10.0), (0.3, 20.0), (0.4, 30.0)], (True, False)) is None
    assert knee_index([(0.2, 10.0), (0.22, 29.0), (0.4, 30.0)], (True, False)) is None
    assert knee_index([], (True, False)) is None
