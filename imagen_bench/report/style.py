"""The look of every figure, and how a figure becomes the same bytes each time.

Colours are the palette of Okabe and Ito (2008, "Color Universal Design"), told apart by people with colour
vision deficiency; each series also has its own marker and line style, so a figure survives a grey printer. No
text is smaller than 8 pt at the printed width.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import matplotlib as mpl
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import findfont, get_font
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from imagen_bench.files import atomic_write_bytes, atomic_write_text
from imagen_bench.report.color import readable

Width = Literal["column", "full"]
LineStyle = Literal["-", "--", "-.", ":"] | tuple[float, Sequence[float]]
WIDTH_INCHES: dict[Width, float] = {"column": 3.4, "full": 7.0}
SUFFIXES = ("png", "svg", "pdf")
TEXT_POINTS = 8.0

INK = "#1c2127"
MUTED = "#58616b"
GRID = "#dde2e7"
PAPER = "#fefefe"
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
TEXT_COLORS = tuple(readable(color, PAPER) for color in PALETTE)
MARKERS = ("o", "s", "^", "D", "v", "P")
LINES: tuple[LineStyle, ...] = ("-", "--", "-.", ":", (0, (5, 1, 1, 1)), (0, (3, 2)))

_STYLE: dict[Any, Any] = {
    "font.family": ["DejaVu Sans"],
    "font.size": TEXT_POINTS,
    "axes.labelsize": TEXT_POINTS,
    "axes.titlesize": TEXT_POINTS,
    "axes.titleweight": "bold",
    "xtick.labelsize": TEXT_POINTS,
    "ytick.labelsize": TEXT_POINTS,
    "legend.fontsize": TEXT_POINTS,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "axes.edgecolor": MUTED,
    "axes.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.major.size": 3.0,
    "ytick.major.size": 3.0,
    "xtick.major.width": 0.7,
    "ytick.major.width": 0.7,
    "lines.linewidth": 1.3,
    "lines.markersize": 5.0,
    "legend.frameon": False,
    "legend.handlelength": 2.2,
    "figure.facecolor": PAPER,
    "axes.facecolor": "none",
    "savefig.facecolor": PAPER,
    "savefig.dpi": 300,
    "figure.dpi": 100,
    "svg.fonttype": "path",
    "svg.hashsalt": "imagen-bench",
    "pdf.fonttype": 42,
}


@dataclass(frozen=True)
class Series:
    """How one model looks in every figure of a report."""

    color: str
    text_color: str
    marker: str
    line: LineStyle


@dataclass(frozen=True)
class Drawing:
    """A finished figure with the words and the numbers that go with it.

    Attributes:
        name: File stem.
        title: Short title, for a reader who does not see the figure.
        desc: What the figure shows, in words and numbers.
        figure: Matplotlib figure, drawn in `paper_style`.
        numbers: Every plotted number, one row a point.
    """

    name: str
    title: str
    desc: str
    figure: Figure
    numbers: pd.DataFrame


def series_style(position: int) -> Series:
    """Look of the model at `position` in the report; colours repeat after six, with another line style."""
    lap, place = divmod(position, len(PALETTE))
    return Series(
        PALETTE[place],
        TEXT_COLORS[place],
        MARKERS[(place + 2 * lap) % len(MARKERS)],
        LINES[(place + lap) % len(LINES)],
    )


def drawing_name(stem: str, width: Width) -> str:
    """File stem of a figure at a width: the full width is the plain name."""
    return stem if width == "full" else f"{stem}_{width}"


def figure_dpi(axes: Axes) -> float:
    """Dots per inch in which the axes measure their pixels."""
    figure = axes.get_figure(root=True)
    return float(figure.dpi) if figure is not None else 100.0


def legend_above(figure: Figure, handles: Sequence[Line2D | Patch]) -> None:
    """A legend above the axes, where it covers no point, in as few rows as the width allows."""
    for columns in range(len(handles), 0, -1):
        legend = figure.legend(
            handles=list(handles), loc="outside upper left", ncols=columns, borderpad=0.1, handletextpad=0.5,
            columnspacing=1.2, borderaxespad=0.2,
        )  # fmt: skip
        if columns == 1 or legend.get_window_extent().width <= figure.bbox.width:
            return
        legend.remove()


def drawable(text: str, longest: int | None = None) -> str:
    """Text that matplotlib draws as it stands, for names and prompts that come from users.

    Characters that the shipped font lacks become "□", dollar signs start no mathematics, and an underscore at
    the front does not hide a legend entry.

    Args:
        text: Any text.
        longest: Characters kept, an ellipsis included; None for all.

    Returns:
        One line of text.
    """
    line = " ".join(text.split())
    if longest is not None and len(line) > longest:
        line = line[: longest - 1].rstrip() + "…"
    font = get_font(findfont("DejaVu Sans", fallback_to_default=True))
    shown = "".join(char if font.get_char_index(ord(char)) else "□" for char in line)
    return (" " if shown.startswith("_") else "") + shown.replace("$", r"\$")


def freeze_layout(figure: Figure) -> None:
    """Let the layout engine place the axes once: what is measured afterwards stays, and saving is quick."""
    figure.draw_without_rendering()
    figure.set_layout_engine("none")


@contextmanager
def paper_style() -> Iterator[None]:
    """Our style on top of matplotlib's own defaults, so that a user's matplotlibrc changes nothing."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(_STYLE)
        yield


def drawing_to_bytes(drawing: Drawing, suffix: str) -> bytes:
    """The figure as a PNG (300 dpi), SVG or PDF file, pictures embedded: equal figures give equal bytes.

    Args:
        drawing: What to save.
        suffix: "png", "svg" or "pdf".

    Returns:
        The whole file, without a date or the name of the program in it.
    """
    buffer = io.BytesIO()
    with paper_style():
        if suffix == "png":
            drawing.figure.savefig(buffer, format="png", metadata={"Software": None, "Title": drawing.title})
        elif suffix == "pdf":
            dated = {"CreationDate": None, "Creator": "imagen-bench", "Title": drawing.title}
            drawing.figure.savefig(buffer, format="pdf", metadata=dated)
        else:
            drawing.figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": "imagen-bench"})
    return buffer.getvalue()


def save_drawing(drawing: Drawing, folder: Path) -> list[Path]:
    """Write the figure in every format, and its numbers as CSV, into `folder`; returns the paths."""
    paths = []
    for suffix in SUFFIXES:
        path = folder / f"{drawing.name}.{suffix}"
        atomic_write_bytes(path, drawing_to_bytes(drawing, suffix))
        paths.append(path)
    numbers = folder / f"{drawing.name}.csv"
    atomic_write_text(numbers, drawing.numbers.to_csv(index=False, lineterminator="\n"))
    return [*paths, numbers]
