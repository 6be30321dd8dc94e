"""Generation: every planned image once, from its own seed, however the work was cut."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from imagen_bench.bench.generate import generate_samples, plan_samples, used_prompts
from imagen_bench.bench.run_folder import RunFolder
from imagen_bench.bench.seeds import sample_seed
from imagen_bench.config import RunConfig, apply_overrides, dump_config, validate
from imagen_bench.data.prompts import PromptSet, load_prompt_set
from imagen_bench.errors import ConfigError, ModelError, RunFolderError
from imagen_bench.generators.base import Generator, open_generator


class Recorder:
    """The toy generator, writing down its calls; the `fail_at`-th call fails."""

    name = "recorder"

    def __init__(self, inner: Generator, fail_at: int = -1) -> None:
        self.inner = inner
        self.calls: list[tuple[int, float]] = []
        self.fail_at = fail_at

    def describe(self) -> dict[str, Any]:
        return {}

    def generate(self, prompts: Any, seeds: Any, guidance_weight: float) -> torch.Tensor:
        if len(self.calls) == self.fail_at:
            raise ModelError("out of order")
        self.calls.append((len(prompts), guidance_weight))
        return self.inner.generate(prompts, seeds, guidance_weight)


def started(config: RunConfig, path: Path) -> tuple[RunFolder, PromptSet, Generator]:
    record = {"config": dump_config(config), "model": {"name": "toy"}, "prompts": {}, "versions": {}}
    folder = RunFolder.create_or_resume(path, record)
    return folder, load_prompt_set(config.prompts.set), open_generator(config.model)


def with_overrides(config: RunConfig, *overrides: str) -> RunConfig:
    return validate(RunConfig, apply_overrides(dump_config(config), overrides), "test")


def test_plan_covers_the_sweep_in_order(toy: RunConfig) -> None:
    plan = plan_samples(toy, load_prompt_set(toy.prompts.set))
    assert len(plan) == 3 * 10 * 2
    assert [item.guidance_weight for item in plan[::20]] == [2.0, 1.0, 1.5]
    assert len({item.key for item in plan}) == len({item.path for item in plan}) == len(plan)
    assert plan[3].seed == sample_seed(3, "p01", 1)


def test_weights_of_one_folder_name_are_refused(toy: RunConfig) -> None:
    config = with_overrides(toy, "sweep.guidance_weights=[1.0, 1.0000001]")
    with pytest.raises(ConfigError, match="agree in their first 6 digits"):
        plan_samples(config, load_prompt_set(config.prompts.set))


def test_limit_takes_the_first_rows(toy: RunConfig) -> None:
    prompts = load_prompt_set(toy.prompts.set)
    assert [row.prompt_id for row in used_prompts(with_overrides(toy, "prompts.limit=2"), prompts)] == [
        "p00",
        "p01",
    ]
    assert len(used_prompts(with_overrides(toy, "prompts.limit=99"), prompts)) == 10


def test_batches_hold_one_weight_and_at_most_batch_size(toy: RunConfig, tmp_path: Path) -> None:
    folder, prompts, generator = started(toy, tmp_path / "run")
    recorder = Recorder(generator)
    assert generate_samples(folder, recorder, toy, prompts) == 60
    assert recorder.calls == [(4, weight) for weight in (2.0, 1.0, 1.5) for _ in range(5)]
    assert generate_samples(folder, recorder, toy, prompts) == 0
    assert len(recorder.calls) == 15


def test_images_and_table_do_not_depend_on_batch_or_interruption(toy: RunConfig, tmp_path: Path) -> None:
    folder, prompts, generator = started(toy, tmp_path / "straight")
    generate_samples(folder, generator, toy, prompts)
    expected = folder.samples().drop(columns="seconds")
    odd = with_overrides(toy, "model.options.batch_size=7")
    other, _, _ = started(odd, tmp_path / "interrupted")
    with pytest.raises(ModelError, match="out of order"):
        generate_samples(other, Recorder(generator, fail_at=2), odd, prompts)
    assert len(other.samples()) == 14
    assert generate_samples(other, Recorder(generator), odd, prompts) == 46
    assert other.samples().drop(columns="seconds").equals(expected)


def test_damaged_and_lost_images_are_made_again(toy: RunConfig, tmp_path: Path) -> None:
    folder, prompts, generator = started(toy, tmp_path / "run")
    generate_samples(folder, generator, toy, prompts)
    before = folder.samples()
    folder.image(before.iloc[5]).write_bytes(b"")
    folder.image(before.iloc[50]).unlink()
    with pytest.raises(RunFolderError, match=r"2 image\(s\) were lost or changed .*run again with --repair"):
        generate_samples(folder, generator, toy, prompts)
    assert folder.image(before.iloc[5]).read_bytes() == b""
    assert generate_samples(folder, generator, toy, prompts, repair=True) == 2
    assert folder.samples()["sha256"].equals(before["sha256"])


def test_added_weight_makes_its_own_images_only(toy: RunConfig, tmp_path: Path) -> None:
    folder, prompts, generator = started(toy, tmp_path / "run")
    generate_samples(folder, generator, toy, prompts)
    more = with_overrides(toy, "sweep.guidance_weights=[2.0, 3.0, 1.0, 1.5]")
    recorder = Recorder(generator)
    assert generate_samples(folder, recorder, more, prompts) == 20
    assert {weight for _, weight in recorder.calls} == {3.0}


def test_file_holds_the_generators_pixels(toy: RunConfig, tmp_path: Path) -> None:
    folder, prompts, generator = started(with_overrides(toy, "prompts.limit=1"), tmp_path / "run")
    generate_samples(folder, generator, with_overrides(toy, "prompts.limit=1"), prompts)
    row = folder.samples().iloc[1]
    expected = generator.generate([row["prompt"]], [int(row["seed"])], row["guidance_weight"])[0]
    with Image.open(folder.image(row)) as image:
        assert list(image.tobytes()) == expected.permute(1, 2, 0).flatten().tolist()
