"""Records of a training: tables as CSV that survive an interruption, and optionally TensorBoard."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from torch import Tensor

from imagen_bench.errors import ConfigError
from imagen_bench.files import atomic_path

LOSS_COLUMNS = (
    "step", "samples", "loss", "loss_low", "loss_mid", "loss_high", "learning_rate", "seconds", "gradient_norm",
)  # fmt: skip
VALIDATION_COLUMNS = ("step", "samples", "t_low", "t_high", "loss", "n")


class Board(Protocol):
    """Where numbers and pictures are shown beside the CSV files; TensorBoard's SummaryWriter is one."""

    def add_scalar(self, tag: str, scalar_value: float, global_step: int) -> object:
        """Shows a number."""
        ...

    def add_image(self, tag: str, img_tensor: Tensor, global_step: int) -> object:
        """Shows a picture, uint8 3HW."""
        ...

    def flush(self) -> None:
        """Writes out what it was given."""
        ...


def tensorboard(folder: Path, step: int) -> Board:
    """A TensorBoard writer that hides what an interrupted training wrote from `step` on.

    Raises:
        ConfigError: TensorBoard is not installed.
    """
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise ConfigError(
            "tensorboard = true needs TensorBoard, which is not installed: pip install 'imagen-bench[track]', "
            "or leave it out (loss.csv is written anyway)"
        ) from error
    board: Board = SummaryWriter(str(folder), purge_step=step + 1 if step else None)
    return board


class Table:
    """A CSV file with a column `step`, to which training adds rows.

    Args:
        path: the file.
        columns: its columns; a file of an older version may lack the last ones.
    """

    def __init__(self, path: Path, columns: Sequence[str]) -> None:
        self.path, self.columns = path, columns

    def add(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Adds rows, and the header before the first."""
        fresh = not self.path.exists()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a", encoding="utf-8", newline="") as stream:
            writer = csv.DictWriter(stream, self.columns, lineterminator="\n")
            if fresh:
                writer.writeheader()
            writer.writerows(rows)

    def drop_after(self, step: int) -> None:
        """Drops the rows behind a step, a half-written last row, and gives the file today's columns."""
        if not self.path.exists():
            return
        with self.path.open(encoding="utf-8", newline="") as stream:
            rows = [row for row in csv.DictReader(stream) if None not in row.values()]
        with atomic_path(self.path) as temporary, temporary.open("w", encoding="utf-8", newline="") as out:
            writer = csv.DictWriter(out, self.columns, restval="", lineterminator="\n")
            writer.writeheader()
            writer.writerows(row for row in rows if int(row["step"]) <= step)


def thirds(times: Tensor, losses: Tensor) -> dict[str, str]:
    """Mean loss, and the mean in each third of time, which tells detail, shape and layout apart.

    Args:
        times: t of each sample in [0, 1], shape (N,).
        losses: loss of each sample, shape (N,).
    """
    bounds = {"loss": (0.0, 2.0), "loss_low": (0.0, 1 / 3), "loss_mid": (1 / 3, 2 / 3), "loss_high": (2 / 3, 2.0)}
    chosen = {name: losses[(times >= low) & (times < high)].double() for name, (low, high) in bounds.items()}
    return {name: f"{part.sum().item() / max(len(part), 1):.5f}" for name, part in chosen.items()}
