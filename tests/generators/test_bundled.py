from __future__ import annotations

import shutil

import pytest
import torch

from imagen_bench.config import ModelSection
from imagen_bench.errors import AssetError, ConfigError, InputError, ModelError
from imagen_bench.generators.base import StagedGenerator, SuperResolver, check_images, open_generator
from imagen_bench.imagen.checkpoint import save_stage
from imagen_bench.imagen.config import StageConfig, UNetConfig
from imagen_bench.imagen.efficient_unet import build_unet

STEPS = {"base": {"steps": 3}, "super_resolution": {"steps": 2}}
PROMPTS, SEEDS = ["a red apple", "three pears", "an octopus"], [3, 2**62 + 1, 5]


def write_stage(folder, name, size, low_res_size=None, patch_size=2, **more):
    unet = UNetConfig(
        kind="efficient", dim=8, channel_mult=(1, 2), blocks=(1, 1), attention=("none", "self+text"), text_dim=16,
        head_dim=8, low_res=low_res_size is not None, patch_size=patch_size,
    )  # fmt: skip
    torch.manual_seed(size)
    network = build_unet(unet)
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.abs().sum() == 0:
                parameter.normal_(std=0.3)
    stage = StageConfig(
        name=name,
        image_size=size,
        low_res_size=low_res_size,
        unet=unet,
        diffusion={"prediction": "v", "weighting": "v"},
        **more,
    )
    save_stage(folder / name, stage, network.state_dict())


@pytest.fixture(scope="module")
def model(t5_folder, tmp_path_factory):
    """A whole model folder of toy size: text encoder, 16x16 base, 16 -> 32 super-resolution."""
    folder = tmp_path_factory.mktemp("toy-imagen")
    shutil.copytree(t5_folder, folder / "text_encoder")
    write_stage(folder, "base", 16)
    write_stage(folder, "sr", 32, 16)
    (folder / "config.toml").write_text(
        '[model]\ntext_encoder = "text_encoder"\nbase = "base"\nsuper_resolution = ["sr"]\n'
    )
    return folder


def opened(folder, **options):
    return open_generator(ModelSection(name=str(folder), generator="bundled", options=STEPS | options))


def test_it_keeps_the_contract_of_generators(model):
    generator = opened(model)
    images = check_images(generator.generate(PROMPTS, SEEDS, 2.0), 3, "toy")
    assert images.shape == (3, 3, 16, 16)
    assert isinstance(generator, SuperResolver)
    assert generator.super_resolve(images, PROMPTS, SEEDS).shape == (3, 3, 32, 32)
    assert images.float().std() > 1
    assert not isinstance(opened(model, stage="cascade"), SuperResolver)


@pytest.mark.parametrize("weight", [1.0, 3.0])
def test_images_depend_on_prompt_seed_and_weight_and_not_on_the_batch(model, weight):
    generator = opened(model, stage="cascade")
    together = generator.generate(PROMPTS, SEEDS, weight)
    assert together.shape == (3, 3, 32, 32)
    for index in range(3):
        alone = generator.generate(PROMPTS[index : index + 1], SEEDS[index : index + 1], weight)
        assert (alone[0].int() - together[index].int()).abs().max() <= 1
    others = (
        generator.generate(PROMPTS, [1, 2, 3], weight),
        generator.generate(PROMPTS[::-1], SEEDS, weight),
        generator.generate(PROMPTS, SEEDS, weight + 2),
    )
    assert all((other.int() - together.int()).abs().max() > 1 for other in others)


def test_the_description_holds_what_decides_the_images_and_no_device(model):
    described = opened(model).describe()
    assert described["options"]["base"]["steps"] == 3
    assert set(described["weights_sha256"]) == {"text_encoder", "base", "sr"}
    assert described["image_size"] == 16
    assert "device" not in str(described)
    assert opened(model, stage="cascade").describe()["image_size"] == 32


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"stagee": "base"}, "stagee"),
        ({"base": {"sampler": "euler"}}, r"base\.sampler"),
        ({"base": {"steps": 0}}, r"base\.steps"),
        ({"base": {"percentile": 120}}, r"base\.percentile"),
        ({"base": {"guidance_weight": 2.0}}, "sweep.guidance_weights in a run, or --guidance"),
        ({"sr2": {"steps": 2}}, "unknown key 'sr2': did you mean 'sr'"),
        ({"sr": {"stepz": 2}}, r"'sr\.stepz': did you mean 'steps'"),
        ({"stage": "sr2"}, "no stage 'sr2': did you mean 'sr'"),
        ({"sr": {"guidance_interval": [3, 1]}}, "the lower one first"),
        ({"device": "tpux"}, "model.options.device is 'tpux'"),
    ],
)
def test_wrong_options_are_refused_by_name(model, options, message):
    with pytest.raises(ConfigError, match=message):
        open_generator(ModelSection(name=str(model), generator="bundled", options=options))


def test_unknown_and_incomplete_models_are_refused(model, tmp_path):
    with pytest.raises(AssetError, match="did you mean 'imagen-emoji'"):
        open_generator(ModelSection(name="imagen-emojy", generator="bundled"))
    with pytest.raises(ModelError, match=r"expected a config\.toml"):
        open_generator(ModelSection(name=str(tmp_path), generator="bundled"))
    base_only = tmp_path / "base-only"
    shutil.copytree(model, base_only)
    (base_only / "config.toml").write_text('[model]\ntext_encoder = "text_encoder"\nbase = "base"\n')
    with pytest.raises(ModelError, match="no super-resolution stage"):
        opened(base_only, stage="cascade")
    (base_only / "base" / "model.safetensors").unlink()
    with pytest.raises(ModelError, match="cannot be read"):
        opened(base_only)


def test_images_of_another_size_are_not_enlarged(model):
    with pytest.raises(InputError, match=r"8x8 pixels: expected a shorter side of 16 \(sr\)"):
        opened(model).super_resolve(torch.zeros(1, 3, 8, 8, dtype=torch.uint8), PROMPTS[:1], SEEDS[:1])


@pytest.fixture(scope="module")
def three_stages(t5_folder, tmp_path_factory):
    """A cascade of the paper's sizes with micro networks: 64, 64 -> 256, 256 -> 1024."""
    folder = tmp_path_factory.mktemp("toy-cascade")
    shutil.copytree(t5_folder, folder / "text_encoder")
    write_stage(folder, "base", 64, patch_size=4)
    write_stage(folder, "sr256", 256, 64, patch_size=4)
    write_stage(folder, "sr1024", 1024, 256, patch_size=8, aug_level_max=0.5)
    (folder / "config.toml").write_text(
        '[model]\ntext_encoder = "text_encoder"\nbase = "base"\nsuper_resolution = ["sr256", "sr1024"]\n'
    )
    return folder


QUICK = {"base": {"steps": 2}, "super_resolution": {"steps": 1}, "sr1024": {"tile": 512, "chunk": 1}}


def quick(folder, **options):
    return open_generator(ModelSection(name=str(folder), generator="bundled", options=QUICK | options))


def test_a_cascade_of_three_stages_runs_from_text_to_1024(three_stages):
    generator = quick(three_stages, stage="cascade")
    assert isinstance(generator, StagedGenerator)
    drawn = dict(generator.generate_stages(PROMPTS[:2], SEEDS[:2], 2.0))
    assert {name: tuple(images.shape) for name, images in drawn.items()} == {
        "base": (2, 3, 64, 64),
        "sr256": (2, 3, 256, 256),
        "sr1024": (2, 3, 1024, 1024),
    }
    for start in ("base", "sr256"):
        continued = list(generator.generate_stages(PROMPTS[:2], SEEDS[:2], 2.0, drawn[start]))
        assert continued[-1][0] == "sr1024"
        assert torch.equal(continued[-1][1], drawn["sr1024"])
    assert generator.describe()["image_size"] == 1024


def test_a_cascade_stops_where_it_is_told_and_is_enlarged_from_there(three_stages):
    generator = quick(three_stages, stage="sr256")
    images = generator.generate(PROMPTS[:1], SEEDS[:1], 1.0)
    assert images.shape == (1, 3, 256, 256)
    assert generator.super_resolve(images, PROMPTS[:1], SEEDS[:1]).shape == (1, 3, 1024, 1024)
    assert not isinstance(quick(three_stages, stage="sr1024"), SuperResolver)


def test_a_stages_own_options_stand_over_those_of_all(three_stages):
    options = quick(three_stages, sr256={"steps": 3, "guidance": 8.0, "sampler": "heun"}).describe()["options"]
    assert options["sr256"]["steps"] == 3
    assert options["sr256"]["guidance_weight"] == 8.0
    assert options["sr1024"]["steps"] == 1
    assert options["sr1024"]["tile"] == 512
    assert "chunk" not in options["sr1024"]


def test_non_square_images_pass_through_the_cascade(three_stages):
    generator = quick(three_stages, stage="sr256", base={"steps": 1, "height": 64, "width": 96})
    assert generator.generate(PROMPTS[:1], SEEDS[:1], 1.0).shape == (1, 3, 256, 384)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sr1024": {"tile": 100}}, "tile is 100 pixels, expected a multiple of 16"),
        ({"sr1024": {"aug_level": 0.7}}, r"aug_level of stage sr1024 is 0\.7, expected at most 0\.5"),
        ({"base": {"width": 70}}, "stage base cannot draw 70x64 pixels, expected multiples of 8"),
    ],
)
def test_what_a_stage_cannot_do_is_refused_before_anything_is_drawn(three_stages, options, message):
    with pytest.raises(ModelError, match=message):
        quick(three_stages, **options)


@pytest.mark.parametrize(
    ("stages", "message"),
    [
        ('["sr1024", "sr256"]', "stage sr1024 takes 256 pixels, stage base before it draws 64"),
        ('["sr256", "sr256"]', "stage sr256 takes 64 pixels, stage sr256 before it draws 256"),
        ('["base"]', "stage base takes no image, stage base before it draws 64"),
    ],
)
def test_stages_that_do_not_follow_each_other_are_refused(three_stages, tmp_path, stages, message):
    broken = tmp_path / "broken"
    shutil.copytree(three_stages, broken)
    (broken / "config.toml").write_text(
        f'[model]\ntext_encoder = "text_encoder"\nbase = "base"\nsuper_resolution = {stages}\n'
    )
    with pytest.raises(ModelError, match=message):
        quick(broken)


def test_batches_of_1_3_and_8_give_the_same_images(model):
    prompts, seeds = [f"{word} {number}" for number in range(4) for word in ("a red", "three")], list(range(40, 48))
    generator = opened(model, stage="cascade")
    together = generator.generate(prompts, seeds, 2.0)
    for size in (1, 3):
        parts = [generator.generate(prompts[at : at + size], seeds[at : at + size], 2.0) for at in range(0, 8, size)]
        assert (torch.cat(parts).int() - together.int()).abs().max() <= 1


@pytest.mark.parametrize(
    "options", [{"channels_last": False}, pytest.param({"compile": "eager"}, marks=pytest.mark.slow)]
)
def test_layout_and_compilation_keep_the_image_and_its_description(model, options):
    exact, other = opened(model), opened(model, **options)
    assert (other.generate(PROMPTS, SEEDS, 2.0).int() - exact.generate(PROMPTS, SEEDS, 2.0).int()).abs().max() <= 1
    assert other.describe() == exact.describe()


def test_a_number_format_is_near_and_described(model):
    exact = opened(model).generate(PROMPTS, SEEDS, 2.0).int()
    rough = opened(model, dtype="bf16")
    difference = (rough.generate(PROMPTS, SEEDS, 2.0).int() - exact).abs().float().mean()
    assert 0 < difference < 16
    assert rough.describe()["options"]["dtype"] == "bfloat16"
    assert "dtype" not in opened(model).describe()["options"]
    stages = rough.generate_stages(PROMPTS[:1], SEEDS[:1], 1.0)
    next(stages)
    assert not torch.is_autocast_enabled("cpu")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dtype": "half"}, "unknown dtype 'half'"),
        ({"compile": "inductr"}, "did you mean 'inductor'"),
    ],
)
def test_unknown_formats_and_backends_are_refused(model, options, message):
    with pytest.raises(ConfigError, match=message):
        opened(model, **options)
