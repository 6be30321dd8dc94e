"""The projected table of docs/scale.md is the stated arithmetic on the figures that stand above it."""

from __future__ import annotations

from pathlib import Path

import pytest

from imagen_bench.bench.plan import Costs, Load, project
from imagen_bench.config import GUIDANCE_WEIGHTS

GUIDE = Path(__file__).resolve().parents[1] / "docs" / "scale.md"
pytestmark = pytest.mark.skipif(not GUIDE.exists(), reason="needs the source checkout")

MEASURED = {
    "0.50 s an image; 0.26 s at w = 1": "image",
    "| 4.5 images/s |": "inception",
    "| 225 images/s |": "clip",
    "a reference set of 40,504 images; report 16 s + 3 ms an image": "others",
}
SWEEP = tuple(map(float, GUIDANCE_WEIGHTS["imagen-base"]))
JOBS = {"FID-30K": (30_000, (2.0,), 14.0), "13 weights x FID-10K": (10_000, SWEEP, 126.0)}
UNITS = {"s": 1, "min": 60, "h": 3600}
PARTS = ("images", "features", "reference", "scores", "outputs")


def rows() -> list[list[str]]:
    lines = [
        line
        for line in GUIDE.read_text(encoding="utf-8").splitlines()
        if line.startswith(tuple(f"| {job}," for job in JOBS))
    ]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_the_figures_are_those_that_are_calculated_with() -> None:
    text = " ".join(GUIDE.read_text(encoding="utf-8").split())
    assert [figure for figure in MEASURED if figure not in text] == []


def test_the_table_has_every_job_on_1_8_and_64_processes() -> None:
    said = [row[0] for row in rows()]
    assert said == [f"{job}, {n} process{'es' if n > 1 else ''}" for job in JOBS for n in (1, 8, 64)]


@pytest.mark.parametrize("row", rows() if GUIDE.exists() else [], ids=lambda row: row[0])
def test_each_row_follows(row: list[str]) -> None:
    job, _, processes = row[0].rpartition(", ")
    images, weights, scores = JOBS[job]
    load = Load(job, "bundled", images, 1, weights, 1, "coco")
    inception, clip = 1 / 4.5, 1 / 225
    costs = Costs(
        image=0.5, unguided=0.26, feature=inception + clip, reference_image=inception, reference_images=40_504,
        reference="coco", score=scores / len(weights), outputs=16 + 0.003 * load.images,
    )  # fmt: skip
    (found,) = project([load], costs, [int(processes.split()[0])])
    for said, seconds in zip(row[1:], [*(found.parts[part] for part in PARTS), found.total], strict=True):
        number, unit = said.split()
        digits = len(number.partition(".")[2])
        assert abs(float(number) - seconds / UNITS[unit]) <= 0.5 * 10**-digits + 1e-9, (said, seconds)
