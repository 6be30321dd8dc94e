"""Where to write the labels of points so that none covers another label, a marker or, if it can, a line.

Pure geometry in points (1/72 inch), apart from the drawing: boxes are (left, bottom, right, top).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

Point = tuple[float, float]
Box = tuple[float, float, float, float]

_DIRECTIONS = tuple(math.radians(angle) for angle in (90, 45, 0, 135, 270, 315, 180, 225, 67, 22, 112, 157, 292, 337))
_DISTANCES = (3.0, 6.0, 10.0, 15.0, 21.0, 28.0)
_GAP = 1.0
_LINE_COST = 9.0


def place_labels(
    anchors: Sequence[Point],
    sizes: Sequence[Point],
    bounds: Box,
    *,
    radius: float = 4.0,
    lines: Sequence[Sequence[Point]] = (),
    taken: Sequence[Box] = (),
    order: Sequence[int] | None = None,
) -> list[Box | None]:
    """Choose a box for each label, greedily, nearest place first.

    Args:
        anchors: N points to be labelled, in pt.
        sizes: N (width, height) of the labels, in pt.
        bounds: Labels stay inside this box.
        radius: Size of a marker: labels keep that far from every anchor.
        lines: Polylines that a label should rather not cross.
        taken: Boxes that are already in use.
        order: Which label chooses first; default as given.

    Returns:
        N boxes; None where no free place within reach was found (the label is then left out).
    """
    markers = [(x - radius, y - radius, x + radius, y + radius) for x, y in anchors]
    used = [*markers, *taken]
    segments = [pair for line in lines for pair in itertools.pairwise(line)]
    placed: list[Box | None] = [None] * len(anchors)
    for place in order if order is not None else range(len(anchors)):
        best_cost, best = math.inf, None
        for cost, box in _candidates(anchors[place], sizes[place], radius):
            if cost >= best_cost or not inside(box, bounds) or any(overlap(box, other) for other in used):
                continue
            cost += _LINE_COST * sum(crosses(box, *segment) for segment in segments)
            if cost < best_cost:
                best_cost, best = cost, box
        if best is not None:
            placed[place] = best
            used.append(best)
    return placed


def spread(wanted: Sequence[float], pitch: float, low: float, high: float) -> list[float]:
    """Places on a line at least `pitch` apart, near the wanted ones and inside the bounds where they fit.

    Args:
        wanted: Ascending places.
        pitch: Least distance.
        low: Lower bound.
        high: Upper bound.

    Returns:
        Ascending places, one for each wanted one: groups of close ones are centred on their mean.
    """
    groups: list[list[float]] = []
    for place in wanted:
        groups.append([place])
        while len(groups) > 1 and _span(groups[-2], pitch)[1] + pitch > _span(groups[-1], pitch)[0]:
            groups[-2:] = [groups[-2] + groups[-1]]
    places = [_span(group, pitch)[0] + pitch * step for group in groups for step in range(len(group))]
    for step, place in enumerate(places):
        places[step] = max(place, low + pitch * step)
    for step in range(len(places)):
        places[-1 - step] = min(places[-1 - step], high - pitch * step)
    return places


def _span(group: Sequence[float], pitch: float) -> tuple[float, float]:
    centre, half = sum(group) / len(group), pitch * (len(group) - 1) / 2
    return centre - half, centre + half


def overlap(a: Box, b: Box, gap: float = _GAP) -> bool:
    """True if the boxes come nearer to each other than `gap`."""
    return a[0] < b[2] + gap and b[0] < a[2] + gap and a[1] < b[3] + gap and b[1] < a[3] + gap


def inside(box: Box, bounds: Box) -> bool:
    """True if `box` lies within `bounds`."""
    return box[0] >= bounds[0] and box[1] >= bounds[1] and box[2] <= bounds[2] and box[3] <= bounds[3]


def crosses(box: Box, start: Point, end: Point) -> bool:
    """True if the segment meets the box (Liang and Barsky 1984, parametric clipping)."""
    low, high = 0.0, 1.0
    for axis in (0, 1):
        step = end[axis] - start[axis]
        near, far = box[axis] - start[axis], box[axis + 2] - start[axis]
        if step == 0.0:
            if near > 0.0 or far < 0.0:
                return False
            continue
        first, last = sorted((near / step, far / step))
        low, high = max(low, first), min(high, last)
        if low > high:
            return False
    return True


def _candidates(anchor: Point, size: Point, radius: float) -> list[tuple[float, Box]]:
    """Boxes around the anchor with their cost, cheapest first: near beats far, above beats below."""
    found = []
    for rank, angle in enumerate(_DIRECTIONS):
        dx, dy = math.cos(angle), math.sin(angle)
        for distance in _DISTANCES:
            reach = radius + distance
            x = anchor[0] + dx * reach + (dx * size[0] - size[0]) / 2
            y = anchor[1] + dy * reach + (dy * size[1] - size[1]) / 2
            found.append((distance + 0.3 * rank, (x, y, x + size[0], y + size[1])))
    return sorted(found)
