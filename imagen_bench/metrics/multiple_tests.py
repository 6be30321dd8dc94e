"""Holm's correction for several tests at once."""

from __future__ import annotations

from collections.abc import Sequence


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Return p-values corrected by Holm (1979, Scandinavian Journal of Statistics 6), in the order given.

    The k-th smallest of m is multiplied by m - k + 1, and none is below a smaller one's. An entry that is None
    is no member of the family.
    """
    members = sorted((p, place) for place, p in enumerate(p_values) if p is not None)
    corrected: list[float | None] = [None] * len(p_values)
    highest = 0.0
    for rank, (p, place) in enumerate(members):
        highest = max(highest, min(1.0, (len(members) - rank) * p))
        corrected[place] = highest
    return corrected
