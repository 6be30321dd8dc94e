from __future__ import annotations

import shutil

import pytest
import torch

from imagen_bench.config import ModelSection
from imagen_bench.errors import AssetError, ConfigError, ModelError
from imagen_bench.generators.base import SuperResolver, check_images, open_generator
from imagen_bench.imagen.checkpoint import save_stage
from imagen_bench.imagen.config import StageConfig, UNetConfig
from imagen_bench.imagen.efficient_unet import build_unet

STEPS = {"base": {"steps": 3}, "super_resolution": {"steps": 2}}
PROMPTS, SEEDS = ["a red apple", "three pears", "an octopus"], [3, 2**62 + 1, 5]


def write_stage(folder, name, size, low_res_size=None):
    unet = UNetConfig(
        kind="efficient", dim=8, channel_mult=(1, 2), blocks=(1, 1), attention=("none", "self+text"), text_dim=16,
        head_dim=8, low_res=low_res_size is not None, patch_size=2,
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
    with pytest.raises(ModelError, match="16x16"):
        opened(model).super_resolve(torch.zeros(1, 3, 8, 8, dtype=torch.uint8), PROMPTS[:1], SEEDS[:1])
