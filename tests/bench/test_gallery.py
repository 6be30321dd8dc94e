"""The gallery: a spread of prompts at one weight, enlarged from the samples, resumable."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from PIL import Image

from imagen_bench.bench.gallery import best_scored_weight, gallery_files, gallery_weight, make_gallery, spread_prompts
from imagen_bench.bench.generate import generate_samples
from imagen_bench.bench.run_folder import RunFolder
from imagen_bench.bench.seeds import sample_seed
from imagen_bench.config import RunConfig, apply_overrides, dump_config, validate
from imagen_bench.data.prompts import load_prompt_set
from imagen_bench.errors import RunFolderError
from imagen_bench.generators.base import open_generator

SCORES = """model,prompt_set,guidance_weight,category,metric,value,low,high,n,protocol
m,p,1.0,all,fd,3.0,,,20,x
m,p,1.5,all,fd,2.0,,,20,x
m,p,2.0,all,fd,,,,20,x
m,p,2.0,all,clip_score,0.1,,,20,x
"""


class Doubler:
    """Enlarges by repeating pixels and writes down the seeds."""

    def __init__(self) -> None:
        self.seeds: list[int] = []

    def super_resolve(self, images: torch.Tensor, prompts: Sequence[str], seeds: Sequence[int]) -> torch.Tensor:
        self.seeds += seeds
        return images.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)


def with_gallery(config: RunConfig, prompts: int = 5) -> RunConfig:
    return validate(RunConfig, apply_overrides(dump_config(config), [f"gallery={{prompts={prompts}}}"]), "test")


@pytest.fixture
def folder(toy: RunConfig, tmp_path: Path) -> RunFolder:
    record = {"config": dump_config(toy), "model": {"name": "toy"}, "prompts": {}, "versions": {}}
    folder = RunFolder.create_or_resume(tmp_path / "run", record)
    generate_samples(folder, open_generator(toy.model), toy, load_prompt_set(toy.prompts.set))
    return folder


def test_prompts_take_turns_through_categories(toy: RunConfig) -> None:
    rows = load_prompt_set(toy.prompts.set).rows
    assert [row.prompt_id for row in spread_prompts(rows, 4)] == ["p00", "p01", "p02", "p03"]
    same_first = sorted(rows, key=lambda row: row.category)
    assert len({row.category for row in spread_prompts(same_first, 3)}) == 3
    assert len(spread_prompts(rows, 99)) == 10
    assert spread_prompts([], 3) == []


def test_weight_of_the_best_clip_score_is_shown(toy: RunConfig, folder: RunFolder) -> None:
    (folder.path / "scores.csv").write_text(SCORES)
    assert gallery_weight(folder, with_gallery(toy)) == 2.0
    (folder.path / "scores.csv").write_text(
        SCORES + "m,p,1.5,all,clip_score,0.2,,,20,x\nm,p,1.0,all,clip_score,0.2,,,20,x\n"
    )
    assert best_scored_weight(folder.scores()) == ("clip_score", 1.0)
    (folder.path / "scores.csv").write_text(SCORES.replace("clip_score", "other"))
    assert gallery_weight(folder, with_gallery(toy)) == 1.5
    chosen = validate(RunConfig, apply_overrides(dump_config(toy), ["gallery={guidance_weight=2.0}"]), "test")
    assert gallery_weight(folder, chosen) == 2.0
    (folder.path / "scores.csv").write_text(SCORES.splitlines()[0] + "\n")
    assert gallery_weight(folder, with_gallery(toy)) == 2.0


def test_images_are_the_samples_enlarged_and_are_made_once(toy: RunConfig, folder: RunFolder) -> None:
    prompts, config = load_prompt_set(toy.prompts.set), with_gallery(toy)
    first = Doubler()
    assert make_gallery(folder, first, config, prompts, 1.5) == 5
    files = sorted(path.relative_to(folder.path).as_posix() for path in folder.path.glob("gallery/*/*"))
    assert files == sorted(gallery_files(folder, config, prompts, 1.5))
    assert first.seeds == [sample_seed(3, f"p0{number}", 0) for number in range(5)]
    with (
        Image.open(folder.gallery_path(1.5, "p03", 0)) as large,
        Image.open(folder.image_files(1.5, 0)["p03"]) as small,
    ):
        assert large.size == (16, 16)
        assert list(large.resize((8, 8), Image.Resampling.NEAREST).tobytes()) == list(small.tobytes())
    folder.gallery_path(1.5, "p02", 0).unlink()
    again = Doubler()
    make_gallery(folder, again, config, prompts, 1.5)
    assert again.seeds == [sample_seed(3, "p02", 0)]


def test_missing_sample_is_told(toy: RunConfig, folder: RunFolder) -> None:
    with pytest.raises(RunFolderError, match="has no sample of prompt 'p00' at w=9"):
        make_gallery(folder, Doubler(), with_gallery(toy), load_prompt_set(toy.prompts.set), 9.0)
