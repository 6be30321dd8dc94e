"""Images are chosen by rule, stay inside the run folder, and a missing one leaves a gap."""

from __future__ import annotations

import base64
import io
import json
import re
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from imagen_bench.report.contact import strip_grid
from imagen_bench.report.data import load_runs
from imagen_bench.report.gallery import (
    data_uri,
    pick_gallery,
    pick_strips,
    read_picture,
    thinned,
)
from imagen_bench.report.image_figures import contact_figure, grid_figure
from imagen_bench.report.metric_words import metrics_of
from imagen_bench.report.page_images import run_images
from imagen_bench.report.style import drawing_to_bytes


def test_strips_are_the_first_prompt_of_each_category(make_run: Any) -> None:
    (run,) = load_runs([make_run()])
    strips = pick_strips(run, 1)
    assert [strip.prompt_id for strip in strips] == ["sin-00", "col-00", "cou-00", "pos-00", "bac-00"]
    assert all([tile.guidance_weight for tile in strip.tiles] == [1, 1.5, 2, 3, 5, 8] for strip in strips)
    assert all(len({tile.seed for tile in strip.tiles}) == 1 for strip in strips)


def test_gallery_images_know_their_prompt(make_run: Any) -> None:
    (run,) = load_runs([make_run(gallery=3)])
    assert [(tile.prompt_id, tile.guidance_weight) for tile in pick_gallery(run)] == [
        ("sin-00", 3.0),
        ("sin-01", 3.0),
        ("col-00", 3.0),
    ]


def test_paths_never_leave_the_run(make_run: Any) -> None:
    path = make_run()
    file = path / "samples.parquet"
    samples = pd.read_parquet(file)
    Image.new("RGB", (4, 4)).save(path.parent / "secret.png")
    (path / "link.png").symlink_to(path.parent / "secret.png")
    samples.loc[:29, "path"] = "../secret.png"
    samples.loc[30:, "path"] = "link.png"
    samples.to_parquet(file)
    (run,) = load_runs([path])
    assert {tile.file for strip in pick_strips(run, 2) for tile in strip.tiles} == {None}


def test_a_broken_image_is_a_gap_in_figures(make_run: Any) -> None:
    path = make_run()
    (run,) = load_runs([path])
    broken = pick_strips(run, 1)[0].tiles[0].file
    assert broken is not None
    broken.write_bytes(b"no image")
    assert read_picture(broken) is None
    assert drawing_to_bytes(grid_figure(strip_grid(pick_strips(run, 1, 1)), "strips"), "png").startswith(b"\x89PNG")


@pytest.mark.parametrize("suffix", ["png", "svg", "pdf"])
def test_image_figures_give_equal_bytes(make_run: Any, suffix: str) -> None:
    prompts = {"color": "a $5 <cat> 猫 " * 9}
    (run,) = load_runs([make_run(weights=(1.0, 2.0), categories=("color",), prompts_of=prompts, gallery=1)])
    first, second = (
        [grid_figure(strip_grid(pick_strips(run, 1)), "strips"), contact_figure(pick_gallery(run))] for _ in range(2)
    )
    for a, b in zip(first, second, strict=True):
        assert drawing_to_bytes(a, suffix) == drawing_to_bytes(b, suffix)


def test_pictures_are_embedded_in_svg(make_run: Any) -> None:
    (run,) = load_runs([make_run(weights=(1.0, 2.0), categories=("color",))])
    strips = pick_strips(run, 1)
    svg = drawing_to_bytes(grid_figure(strip_grid(strips), "strips"), "svg").decode()
    uris = re.findall(r'xlink:href="(data:image/png;base64,[^"]+)"', svg)
    assert len(uris) == 2
    assert not re.search(r'href="(?!data:|#)', svg)
    for uri, tile in zip(uris, strips[0].tiles, strict=True):
        shown = Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))).convert("RGB")
        picture = read_picture(tile.file)
        assert picture is not None
        expected = picture.resize(shown.size, Image.Resampling.LANCZOS)
        assert np.array_equal(np.asarray(shown), np.asarray(expected))


def test_thinned_keeps_both_ends() -> None:
    assert thinned([1, 2, 3], 8) == [1, 2, 3]
    assert thinned(list(range(13)), 5) == [0, 3, 6, 9, 12]


def test_thumbnail_is_a_small_jpeg() -> None:
    head, _, body = data_uri(Image.new("RGB", (300, 150), "red"), 96).partition(",")
    assert head == "data:image/jpeg;base64"
    assert Image.open(io.BytesIO(base64.b64decode(body))).size == (96, 48)


@pytest.mark.parametrize(
    ("configured", "said"),
    [(None, "w = 5, the weight of the best CLIP score"), (5.0, "w = 5, as the run's configuration says")],
)
def test_the_gallery_says_why_its_weight(make_run: Any, configured: float | None, said: str) -> None:
    path = make_run(weights=(1.0, 5.0))
    record = json.loads((path / "run.json").read_text())
    record["config"]["gallery"] = {"guidance_weight": configured}
    (path / "run.json").write_text(json.dumps(record))
    (run,) = load_runs([path])
    assert run_images(run, metrics_of([run]), several=False)["gallery_words"] == said
