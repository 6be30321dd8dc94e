"""What a run keeps about its generator's calls: time, memory, usage over all starts, and remarks on images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from imagen_bench.bench.calls import Call, Remark, append_call, generation_notes, peak_memory, summarise_calls
from imagen_bench.bench.generate import generate_samples
from imagen_bench.bench.journal import Sample
from imagen_bench.bench.run_folder import RunFolder
from imagen_bench.config import RunConfig, apply_overrides, dump_config, validate
from imagen_bench.data.prompts import load_prompt_set
from imagen_bench.generators.base import CallReport, open_generator


def sample(prompt_id: str, sha256: str) -> Sample:
    return Sample(prompt_id, "text", "", 0, 1, 2.0, f"{prompt_id}.png", sha256, 0.1)


def call(images: int, peak: int, remarks: list[Remark], **usage: float) -> Call:
    return Call(2.0, images, 0.5, {"process": peak, "gpu": 10 - peak}, usage, remarks)


def test_sums_peaks_and_current_remarks(tmp_path: Path) -> None:
    append_call(tmp_path, call(3, 5, [Remark("a", 0, 2.0, "old", "refused: x")], requests=4, price_USD=0.1))
    append_call(tmp_path, call(1, 7, [Remark("b", 0, 2.0, "now", "refused: y")], requests=1), rank=1)
    with (tmp_path / "calls" / "1.jsonl").open("a") as file:
        file.write('{"images": 1, "torn')
    summary = summarise_calls(tmp_path, [sample("a", "redrawn"), sample("b", "now")])
    assert summary == {
        "calls": 2,
        "images": 4,
        "largest_batch": 3,
        "seconds": 1.0,
        "seconds_per_image": 0.25,
        "peak_bytes": {"gpu": 5, "process": 7},
        "usage": {"price_USD": 0.1, "requests": 5},
        "remarks": [{"prompt_id": "b", "index": 0, "guidance_weight": 2.0, "sha256": "now", "remark": "refused: y"}],
    }
    assert generation_notes(summary) == [
        "1 image(s) are blank and count as they are: 1 refused (prompts b); generation.remarks in run.json lists them"
    ]
    assert generation_notes({}) == []


@pytest.mark.skipif(not Path("/proc/self/status").is_file(), reason="asks Linux for the same number")
def test_peak_memory_is_the_kernels() -> None:
    (line,) = [row for row in Path("/proc/self/status").read_text().splitlines() if row.startswith("VmHWM")]
    assert peak_memory()["process"] == pytest.approx(int(line.split()[1]) * 1024, rel=0.02)


class Hungry:
    """The toy generator, with room for two images at once and a remark on every image of prompt p01."""

    name = "hungry"

    def __init__(self, config: RunConfig) -> None:
        self.inner = open_generator(config.model)
        self.prompts: list[str] = []

    def describe(self) -> dict[str, Any]:
        return {}

    def generate(self, prompts: Any, seeds: Any, guidance_weight: float) -> torch.Tensor:
        if len(prompts) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried")
        self.prompts = prompts
        return self.inner.generate(prompts, seeds, guidance_weight)

    def report(self) -> CallReport:
        rows = [row for row, text in enumerate(self.prompts) if text == "a toy of kind 1"]
        return CallReport(dict.fromkeys(rows, "blacked out: test"), {"requests": len(self.prompts)})


@pytest.mark.parametrize("batch_size", ["1", "16", "auto"])
def test_a_run_backs_off_and_its_images_stay_the_same(
    toy: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, batch_size: str
) -> None:
    prompts = load_prompt_set(toy.prompts.set)
    tables = []
    monkeypatch.setattr("imagen_bench.generators.batching.free_memory", lambda: None)
    for name, config in (("plain", toy), ("hungry", _with_batches(toy, batch_size))):
        folder = RunFolder.create_or_resume(tmp_path / name, {"config": dump_config(config), "versions": {}})
        generator = Hungry(config) if name == "hungry" else open_generator(config.model)
        generate_samples(folder, generator, config, prompts)
        tables.append(folder.samples().drop(columns="seconds"))
    assert tables[0].equals(tables[1])
    kept = RunFolder.open(tmp_path / "hungry").run["generation"]
    assert kept["largest_batch"] == (1 if batch_size == "1" else 2)
    assert kept["images"] == kept["usage"]["requests"] == 60
    assert kept["seconds_per_image"] > 0
    assert {(row["prompt_id"], row["remark"]) for row in kept["remarks"]} == {("p01", "blacked out: test")}
    assert len(kept["remarks"]) == 6


def _with_batches(config: RunConfig, batch_size: str) -> RunConfig:
    data = apply_overrides(dump_config(config), [f"model.options.batch_size={batch_size}"])
    return validate(RunConfig, data, "test")
