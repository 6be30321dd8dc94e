"""An exported study, and its sheets filled in and written the way other programs write them."""

from __future__ import annotations

import csv
import io
import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

from imagen_bench.human.arms import Arm
from imagen_bench.human.export import export_study

Rows = list[dict[str, str]]


@pytest.fixture(scope="session")
def exported(shared_arms: tuple[Arm, Arm], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study of two sheets with five items each; not to be changed."""
    out = tmp_path_factory.mktemp("exported") / "study"
    export_study(shared_arms, out, sheets=2)
    return out


@pytest.fixture
def study(exported: Path, tmp_path: Path) -> Path:
    """The same study, free to be changed."""
    return Path(shutil.copytree(exported, tmp_path / "study"))


@pytest.fixture
def fill(study: Path) -> Callable[..., Rows]:
    """Return a sheet's rows as exported, with cells of every row replaced; a sequence goes row by row."""

    def filled(sheet_id: str = "S01", **cells: str | Sequence[str]) -> Rows:
        text = (study / "public" / f"sheet_{sheet_id}.csv").read_text(encoding="utf-8-sig")
        rows = list(csv.DictReader(io.StringIO(text, newline="")))
        for number, row in enumerate(rows):
            for name, value in cells.items():
                row[name] = value if isinstance(value, str) else value[number]
        return rows

    return filled


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Write rows as a spreadsheet program would: any separator, encoding and line end."""

    def written(
        rows: Sequence[Mapping[str, str]],
        name: str = "filled.csv",
        separator: str = ",",
        encoding: str = "utf-8",
        line_end: str = "\r\n",
        quoting: int = csv.QUOTE_MINIMAL,
    ) -> Path:
        buffer = io.StringIO(newline="")
        columns = list(dict.fromkeys(column for row in rows for column in row))
        writer = csv.DictWriter(buffer, columns, delimiter=separator, lineterminator=line_end, quoting=quoting)
        writer.writeheader()
        writer.writerows(rows)
        path = tmp_path / name
        path.write_bytes(buffer.getvalue().encode(encoding))
        return path

    return written


@pytest.fixture
def answers(study: Path) -> Callable[[], Rows]:
    """Return the rows of the study's answers.csv."""

    def read() -> Rows:
        with (study / "private" / "answers.csv").open(encoding="utf-8", newline="") as stream:
            return list(csv.DictReader(stream))

    return read


@pytest.fixture
def change_record(study: Path) -> Callable[[Mapping[str, object]], None]:
    """Replace the instrument that the study records."""

    def change(instrument: Mapping[str, object]) -> None:
        file = study / "private" / "study.json"
        record = json.loads(file.read_text(encoding="utf-8"))
        record["config"]["instrument"] = instrument
        file.write_text(json.dumps(record), encoding="utf-8")

    return change
