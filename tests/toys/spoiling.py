"""Hypothesis strategies for files: texts that people write, and valid files that something has damaged."""

from __future__ import annotations

from hypothesis import strategies as st

# Everything that can be written as UTF-8, the characters that readers stumble over more often than chance has them.
ODD = st.sampled_from([*"\0\r\n\t\",;'\u2028\x85\x1c\ufeff\u202eé日😀", "\r\n", "=1+1"])
CHARACTERS = st.characters(codec="utf-8")
TEXTS = st.lists(st.one_of(CHARACTERS, ODD), max_size=12).map("".join)
PLAIN = st.text(st.characters(codec="utf-8", categories=["L", "N", "P", "S"]), min_size=1, max_size=20)
"""Texts in which every file format can hold every character as it is."""
JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), TEXTS),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(TEXTS, inner, max_size=3)),
    max_leaves=6,
)
JUNK = st.one_of(st.binary(max_size=60), TEXTS.map(str.encode))


@st.composite
def spoilt(draw: st.DrawFn, whole: bytes) -> bytes:
    """A file of these bytes after one to three mishaps: cut short, a piece lost, bytes changed, junk between."""
    data = whole
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(data)))
        kind = draw(st.sampled_from(["cut", "lose", "change", "insert", "double"]))
        if kind == "cut":
            data = data[:at]
        elif kind == "lose":
            data = data[:at] + data[at + draw(st.integers(1, 40)) :]
        elif kind == "change":
            data = data[:at] + bytes([draw(st.integers(0, 255))]) + data[at + 1 :]
        elif kind == "insert":
            data = data[:at] + draw(JUNK) + data[at:]
        else:
            data = data[:at] + data[max(0, at - draw(st.integers(1, 40))) :]
    return data
