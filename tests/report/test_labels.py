"""Labels keep clear of each other, of markers and border; crossings against a walk along the line."""

from __future__ import annotations

import itertools

from hypothesis import given, settings
from hypothesis import strategies as st

from imagen_bench.report.labels import Box, Point, crosses, place_labels

BOUNDS = (0.0, 0.0, 240.0, 180.0)
coordinate = st.floats(min_value=4, max_value=176)
points = st.lists(st.tuples(coordinate, coordinate), min_size=1, max_size=15)


def meet(a: Box, b: Box) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


@settings(max_examples=60, deadline=None)
@given(points)
def test_no_label_covers_another_or_a_marker(anchors: list[Point]) -> None:
    boxes = place_labels(anchors, [(22.0, 9.0)] * len(anchors), BOUNDS, lines=[anchors])
    placed = [box for box in boxes if box is not None]
    markers = [(x - 3.9, y - 3.9, x + 3.9, y + 3.9) for x, y in anchors]
    assert not any(meet(a, b) for a, b in itertools.combinations(placed, 2))
    assert not any(meet(box, marker) for box in placed for marker in markers)
    assert all(box[0] >= 0 and box[1] >= 0 and box[2] <= 240 and box[3] <= 180 for box in placed)


def test_every_label_of_a_clear_curve_finds_a_place() -> None:
    anchors = [(20.0 + 30 * step, 90.0) for step in range(6)]
    assert all(place_labels(anchors, [(22.0, 9.0)] * 6, BOUNDS))


def test_a_place_off_the_line_is_preferred() -> None:
    # A vertical line runs through the point: above and below are crossed, the sides are free.
    line = [(100.0, 10.0), (100.0, 90.0), (100.0, 170.0)]
    (box,) = place_labels([line[1]], [(20.0, 9.0)], BOUNDS, lines=[line])
    assert box is not None
    assert not box[0] <= 100.0 <= box[2]


@settings(max_examples=80, deadline=None)
@given(st.tuples(coordinate, coordinate), st.tuples(coordinate, coordinate))
def test_crossing_agrees_with_a_walk_along_the_segment(start: Point, end: Point) -> None:
    box = (60.0, 70.0, 110.0, 100.0)
    steps = [step / 2000 for step in range(2001)]
    walk = [(start[0] + (end[0] - start[0]) * t, start[1] + (end[1] - start[1]) * t) for t in steps]
    if any(box[0] <= x <= box[2] and box[1] <= y <= box[3] for x, y in walk):
        assert crosses(box, start, end)
    elif not any(59 < x < 111 and 69 < y < 101 for x, y in walk):
        assert not crosses(box, start, end)
