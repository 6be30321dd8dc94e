"""Pipelines with small random weights in diffusers' own format, loaded and called by the real code."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from imagen_bench.bench.run import run_benchmark
from imagen_bench.config import ModelSection, RunConfig, apply_overrides, dump_config, validate
from imagen_bench.errors import ConfigError, InputError, ModelError
from imagen_bench.generators.base import Reports, SampleRequest, StagedGenerator, SuperResolver, open_generator
from imagen_bench.imagen.cascade import stage_seed
from imagen_bench.images import from_pil, to_pil

diffusers = pytest.importorskip("diffusers")

# Of the libraries' own dealings with each other.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

PROMPTS = ["a red apple", "three pears, an octopus", "blue", "the apple", "on a pear", "red", "an apple of three", "a"]
SEEDS = [3, 2**62 + 1, 5, 7, 8, 9, 10, 11]


@pytest.fixture(scope="module")
def pipelines(tmp_path_factory: pytest.TempPathFactory, t5_folder: Path) -> Callable[[str], str]:
    """Name of a toy pipeline -> its folder, written when it is first asked for."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(Path(__file__).parents[1] / "toys"))
        import toy_pipelines as toys
    root = tmp_path_factory.mktemp("pipelines")
    writers: dict[str, Callable[[Path], None]] = {
        "sd": toys.write_sd,
        "sd-flagging": lambda folder: toys.write_sd(folder, flags_everything=True),
        "sdxl": toys.write_sdxl,
        "sd3": lambda folder: toys.write_sd3(folder, t5_folder),
        "flux": lambda folder: toys.write_flux(folder, t5_folder),
        "flux-dev": lambda folder: toys.write_flux(folder, t5_folder, guidance_embeds=True),
        "pixart": lambda folder: toys.write_pixart(folder, t5_folder),
        "if-1": lambda folder: toys.write_if(folder, t5_folder),
        "if-2": lambda folder: toys.write_if(folder, t5_folder, enlarges=True),
        "upscaler": toys.write_upscaler,
    }

    def folder_of(name: str) -> str:
        folder = root / name
        if not folder.is_dir():
            unfinished = root / f"unfinished-{name}"
            writers[name](unfinished)
            unfinished.rename(folder)
        return str(folder)

    return folder_of


def opened(folder: str, **options: Any) -> Any:
    return open_generator(ModelSection(name=folder, generator="diffusers", options={"steps": 2} | options))


def cascade(pipelines: Callable[[str], str], **options: Any) -> Any:
    later = [{"model": pipelines("if-2"), "steps": 2, "guidance_weight": 2.0, "call": {"noise_level": 50}}]
    later.append({"model": pipelines("upscaler"), "steps": 2})
    return opened(pipelines("if-1"), stages=later, **options)


def own_generators(seeds: list[int]) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(seed) for seed in seeds]


def directly(pipeline: Any, seeds: list[int], **arguments: Any) -> torch.Tensor:
    """What a user of diffusers gets, as PIL images."""
    pipeline.set_progress_bar_config(disable=True)
    output = pipeline(prompt=PROMPTS[: len(seeds)], generator=own_generators(seeds), num_inference_steps=2, **arguments)
    return torch.stack([from_pil(image) for image in output.images])


def test_images_are_those_of_diffusers_with_the_same_generators(pipelines: Callable[[str], str]) -> None:
    generator = opened(pipelines("sd"), negative_prompt="blue", scheduler="EulerAncestralDiscreteScheduler")
    pipeline = diffusers.StableDiffusionPipeline.from_pretrained(pipelines("sd"))
    pipeline.scheduler = diffusers.EulerAncestralDiscreteScheduler.from_config(pipeline.scheduler.config)
    for weight in (1.0, 4.0):
        expected = directly(pipeline, SEEDS[:3], guidance_scale=weight, negative_prompt=["blue"] * 3)
        assert torch.equal(generator.generate(PROMPTS[:3], SEEDS[:3], weight), expected)
    assert not torch.equal(expected, directly(pipeline, SEEDS[:3], guidance_scale=1.0))


@pytest.mark.parametrize("name", ["sd", "if-1"])
def test_the_weight_is_imagens_w(pipelines: Callable[[str], str], name: str) -> None:
    """The network's output is read at its border, and what the scheduler gets is compared with eq. 2."""
    generator = opened(pipelines(name), steps=1)
    pipeline = generator._stages[0].pipeline
    outputs: list[torch.Tensor] = []
    guided: list[torch.Tensor] = []
    pipeline.unet.register_forward_hook(lambda module, inputs, output: outputs.append(output[0]))
    step = pipeline.scheduler.step

    def watched(model_output: torch.Tensor, *rest: Any, **named: Any) -> Any:
        guided.append(model_output)
        return step(model_output, *rest, **named)

    pipeline.scheduler.step = watched
    generator.generate(PROMPTS[:2], SEEDS[:2], 3.0)
    unconditional, conditional = outputs[0].chunk(2)
    channels = 4 if name == "sd" else 3
    expected = unconditional + 3.0 * (conditional - unconditional)
    assert torch.allclose(guided[0][:, :channels], expected[:, :channels], atol=1e-5)
    assert not torch.allclose(guided[0][:, :channels], conditional[:, :channels], atol=1e-3)
    generator.generate(PROMPTS[:2], SEEDS[:2], 1.0)
    assert len(outputs[1]) == 2
    assert torch.equal(guided[1][:, :channels], outputs[1][:, :channels])


STOCHASTIC = {"scheduler_options": {"stochastic_sampling": True}}
SMALL = {"height": 16, "width": 16, "call": {"max_sequence_length": 16}}


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("sd", {"scheduler": "DDPMScheduler"}),
        ("sdxl", {"steps": 1}),
        ("sd3", STOCHASTIC | {"call": {"max_sequence_length": 16}}),
        ("flux", SMALL | {"steps": 1}),
        ("pixart", {"steps": 2, "call": {"use_resolution_binning": False}}),
        ("if-1", {}),
    ],
)
def test_images_do_not_depend_on_the_batch(pipelines: Callable[[str], str], name: str, options: dict[str, Any]) -> None:
    generator = opened(pipelines(name), **options)
    together = generator.generate(PROMPTS, SEEDS, 3.0)
    assert together.shape == (8, 3, 16, 16)
    assert together.float().std() > 10
    generator = opened(pipelines(name), **options)
    for size in (1, 3):
        parts = [generator.generate(PROMPTS[at : at + size], SEEDS[at : at + size], 3.0) for at in range(0, 8, size)]
        assert (torch.cat(parts).int() - together.int()).abs().max() <= 1
    # The order of the samples moves nothing either.
    assert (generator.generate(PROMPTS[::-1], SEEDS[::-1], 3.0).flip(0).int() - together.int()).abs().max() <= 1


def test_the_state_of_torchs_own_generator_is_neither_used_nor_moved(pipelines: Callable[[str], str]) -> None:
    generator = opened(pipelines("sd3"), **STOCHASTIC)
    torch.manual_seed(1)
    first = generator.generate(PROMPTS[:2], SEEDS[:2], 2.0)
    after = torch.rand(1)
    torch.manual_seed(1)
    assert torch.equal(after, torch.rand(1))
    torch.manual_seed(2)
    assert torch.equal(generator.generate(PROMPTS[:2], SEEDS[:2], 2.0), first)
    assert not torch.equal(generator.generate(PROMPTS[:2], [4, 6], 2.0), first)
    assert generator.report().usage == {"drawn_alone": 2}


def test_deepfloyd_if_runs_as_a_cascade_of_three_stages(pipelines: Callable[[str], str]) -> None:
    generator = cascade(pipelines)
    assert isinstance(generator, StagedGenerator)
    assert not isinstance(generator, SuperResolver)
    drawn = dict(generator.generate_stages(PROMPTS[:2], SEEDS[:2], 3.0))
    assert {name: tuple(images.shape[2:]) for name, images in drawn.items()} == {
        "base": (16, 16),
        "sr1": (32, 32),
        "sr2": (128, 128),
    }
    base = diffusers.IFPipeline.from_pretrained(pipelines("if-1"))
    assert torch.equal(drawn["base"], directly(base, SEEDS[:2], guidance_scale=3.0, clean_caption=False))
    second = diffusers.IFSuperResolutionPipeline.from_pretrained(pipelines("if-2"), text_encoder=base.text_encoder)
    seeds = [stage_seed(seed, "sr1") for seed in SEEDS[:2]]
    images = [to_pil(image) for image in drawn["base"]]
    expected = directly(second, seeds, image=images, guidance_scale=2.0, noise_level=50, clean_caption=False)
    assert torch.equal(drawn["sr1"], expected)
    assert torch.equal(generator.generate(PROMPTS[:2], SEEDS[:2], 3.0), drawn["sr2"])
    for start in ("base", "sr1"):
        *_, (name, images) = generator.generate_stages(PROMPTS[:2], SEEDS[:2], 3.0, drawn[start])
        assert name == "sr2"
        assert torch.equal(images, drawn["sr2"])
    assert generator._stages[1].pipeline.text_encoder is generator._stages[0].pipeline.text_encoder


def test_a_cascade_that_stops_early_is_enlarged_from_there(pipelines: Callable[[str], str]) -> None:
    generator = cascade(pipelines, stage="sr1")
    images = generator.generate(PROMPTS[:1], SEEDS[:1], 3.0)
    assert images.shape == (1, 3, 32, 32)
    assert isinstance(generator, SuperResolver)
    assert generator.super_resolve(images, PROMPTS[:1], SEEDS[:1]).shape == (1, 3, 128, 128)
    with pytest.raises(InputError, match="9x9 pixels: expected a shorter side of 16, 32"):
        generator.super_resolve(torch.zeros(1, 3, 9, 9, dtype=torch.uint8), PROMPTS[:1], SEEDS[:1])


def test_the_guidance_argument_is_found(pipelines: Callable[[str], str]) -> None:
    described = {
        name: opened(pipelines(name), **SMALL).describe()["stages"]["base"]["guidance"] for name in ("flux", "flux-dev")
    }
    assert described == {
        "flux": "true_cfg_scale, classifier-free",
        "flux-dev": "guidance_scale, embedded (distilled), not w",
    }
    with pytest.raises(ModelError, match=r"does not guide below w = 1 .* w = 0\.5"):
        opened(pipelines("flux"), **SMALL).generate(["a"], [1], 0.5)
    with pytest.raises(ModelError, match=r"does not guide below w = 1 .* w = 0\.5"):
        opened(pipelines("flux"), **SMALL).prepare([SampleRequest("a", "a", 0, 1, weight) for weight in (1.0, 0.5)])
    with pytest.raises(ConfigError, match="guidance_argument to one of"):
        opened(pipelines("flux"), guidance_argument="cfg")


def test_what_the_safety_checker_blacks_out_is_reported(pipelines: Callable[[str], str]) -> None:
    generator = opened(pipelines("sd-flagging"))
    assert isinstance(generator, Reports)
    assert generator.generate(PROMPTS[:2], SEEDS[:2], 2.0).max() == 0
    reason = "blacked out by the safety checker: not safe for work"
    assert generator.report().remarks == {0: reason, 1: reason}
    without = opened(pipelines("sd-flagging"), safety_checker=False)
    assert without.generate(PROMPTS[:2], SEEDS[:2], 2.0).float().std() > 10
    assert without.report().remarks == {}
    assert without.describe()["safety_checker"] is False


def test_the_description_holds_what_decides_the_images(pipelines: Callable[[str], str], tmp_path: Path) -> None:
    described = opened(pipelines("sd"), scheduler="DDIMScheduler").describe()
    json.dumps(described)
    stage = described["stages"]["base"]
    assert stage["model"] == "sd"
    assert stage["scheduler"]["class"] == "DDIMScheduler"
    assert stage["options"]["steps"] == 2
    assert "device" not in str(described)
    assert opened(pipelines("sd"), scheduler="DDIMScheduler", channels_last=True).describe() == described
    copy = tmp_path / "sd"
    shutil.copytree(pipelines("sd"), copy)
    assert opened(str(copy)).describe()["stages"]["base"]["weights_sha256"] == stage["weights_sha256"]
    config = json.loads((copy / "scheduler" / "scheduler_config.json").read_text())
    (copy / "scheduler" / "scheduler_config.json").write_text(json.dumps(config | {"steps_offset": 1}))
    assert opened(str(copy)).describe()["stages"]["base"]["weights_sha256"] != stage["weights_sha256"]


def test_number_format_and_layout_keep_the_picture(pipelines: Callable[[str], str]) -> None:
    exact = opened(pipelines("sd")).generate(PROMPTS[:2], SEEDS[:2], 2.0).int()
    same = opened(pipelines("sd"), channels_last=True).generate(PROMPTS[:2], SEEDS[:2], 2.0).int()
    assert (same - exact).abs().max() <= 1
    rough = opened(pipelines("sd"), dtype="bf16")
    assert rough._stages[0].pipeline.unet.dtype == torch.bfloat16
    difference = (rough.generate(PROMPTS[:2], SEEDS[:2], 2.0).int() - exact).abs().float().mean()
    assert 0 < difference < 8
    assert rough.describe()["stages"]["base"]["options"]["dtype"] == "bfloat16"


@pytest.mark.slow
def test_compilation_keeps_the_picture(pipelines: Callable[[str], str]) -> None:
    exact = opened(pipelines("sd")).generate(PROMPTS[:2], SEEDS[:2], 2.0).int()
    compiled = opened(pipelines("sd"), compile="eager")
    assert (compiled.generate(PROMPTS[:2], SEEDS[:2], 2.0).int() - exact).abs().max() <= 1
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] > 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"stepz": 2}, "did you mean 'steps'"),
        ({"dtype": "float8"}, "unknown dtype 'float8': did you mean 'float"),
        ({"scheduler": "DDIMSchedular"}, "did you mean 'DDIMScheduler'"),
        ({"scheduler_options": {"no_such": 1}}, "DDIMScheduler has no setting 'no_such'"),
        ({"call": {"num_images_per_prompt": 2}}, "has no 'num_images_per_prompt' to set"),
        ({"call": {"clip_skipp": 2}}, "did you mean 'clip_skip'"),
        ({"offload": "model"}, "offload is 'model' on the CPU"),
        ({"compile": "inductr"}, "did you mean 'inductor'"),
        ({"stage": "sr1"}, "model.options.stage is 'sr1'"),
        ({"device": "tpux"}, "model.options.device is 'tpux'"),
    ],
)
def test_wrong_options_are_refused(pipelines: Callable[[str], str], options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        opened(pipelines("sd"), **options)


def test_models_that_cannot_be_used_are_refused(
    pipelines: Callable[[str], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "cache"))
    with pytest.raises(ModelError, match="nor in the local cache of the hub: fetch it with `hf download some/model`"):
        opened("some/model")
    with pytest.raises(ModelError, match="neither a folder nor a hub id"):
        opened("./no/such/folder")
    with pytest.raises(ModelError, match=r"expected model_index\.json in it"):
        opened(str(tmp_path))
    with pytest.raises(ModelError, match="starts from an image: name the model that draws from text"):
        opened(pipelines("if-2"))
    with pytest.raises(ModelError, match="enlarges no images"):
        opened(pipelines("if-1"), stages=[pipelines("sd")])


def test_pickles_and_foreign_code_are_refused(pipelines: Callable[[str], str], tmp_path: Path) -> None:
    pickled = tmp_path / "pickled"
    shutil.copytree(pipelines("sd"), pickled)
    weights = pickled / "unet" / "diffusion_pytorch_model.safetensors"
    canary = tmp_path / "canary"
    (pickled / "unet" / "diffusion_pytorch_model.bin").write_bytes(f"cos\nsystem\n(S'touch {canary}'\ntR.".encode())
    weights.unlink()
    with pytest.raises(ModelError, match="cannot be loaded"):
        opened(str(pickled))
    assert not canary.exists()
    foreign = tmp_path / "foreign"
    shutil.copytree(pipelines("sd"), foreign)
    index = json.loads((foreign / "model_index.json").read_text())
    (foreign / "model_index.json").write_text(json.dumps(index | {"unet": ["my_code", "MyUNet"]}))
    with pytest.raises(ModelError, match=r"brings its own code \(unet: my_code\.MyUNet\)"):
        opened(str(foreign))
    (foreign / "model_index.json").write_text(json.dumps(index | {"_class_name": ["pipe", "MyPipe"]}))
    with pytest.raises(ModelError, match=r"which diffusers .* does not have"):
        opened(str(foreign))


def test_a_run_with_a_pipeline(pipelines: Callable[[str], str], toy: RunConfig, tmp_path: Path) -> None:
    data = apply_overrides(dump_config(toy), ["sweep.guidance_weights=[1.0, 3.0]", "prompts.limit=2"])
    options = {"steps": 1, "batch_size": "auto"}
    data["model"] = {"name": pipelines("sd-flagging"), "generator": "diffusers", "options": options}
    folder = run_benchmark(validate(RunConfig, data, "test"), tmp_path / "run")
    assert len(folder.samples()) == 8
    assert folder.run["model"]["name"] == "sd-flagging"
    assert len(folder.run["generation"]["remarks"]) == 8
    assert any("8 image(s) are blank" in note for note in folder.run["notes"])
