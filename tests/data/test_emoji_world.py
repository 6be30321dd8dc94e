from __future__ import annotations

import shutil

import numpy as np
import pytest
from scipy import ndimage

from imagen_bench.data.emoji import sprite_path
from imagen_bench.data.emoji_batches import contrastive_batches, emoji_batches
from imagen_bench.data.emoji_reference import write_reference
from imagen_bench.data.emoji_text import emoji_captions
from imagen_bench.data.emoji_world import COLOURS, EmojiWorld, WorldConfig
from imagen_bench.data.references import open_image_set
from imagen_bench.errors import ConfigError, InputError

from .conftest import TRAINED


@pytest.fixture(scope="module")
def world(emoji_root, world_config):
    return EmojiWorld(emoji_root, world_config)


def objects(picture):
    """Number of separate things on the background, and their centres (row, column)."""
    away = np.abs(picture.astype(int) - picture[0, 0].astype(int)).sum(-1) > 60
    labels, count = ndimage.label(away)
    return count, [ndimage.center_of_mass(labels == index + 1) for index in range(count)]


@pytest.mark.parametrize("seed", range(20))
def test_counting_scenes_show_as_many_things_as_they_say(world, seed):
    scene = world.scene(np.random.default_rng(seed), "counting")
    count, _ = objects(world.draw(scene))
    assert count == int(scene.truth["count"])


@pytest.mark.parametrize("seed", range(20))
def test_position_scenes_show_the_relation_that_they_say(world, seed):
    scene = world.scene(np.random.default_rng(seed), "position", ("pear", "octopus"))
    picture = world.draw(scene).astype(int)
    green = np.argwhere(picture[..., 1] > picture[..., 2] + 60).mean(0)
    purple = np.argwhere(picture[..., 2] > picture[..., 1] + 60).mean(0)
    down, right = green - purple
    assert {"above": down < -15, "below": down > 15, "left of": right < -15, "right of": right > 15}[
        scene.truth["relation"]
    ]


@pytest.mark.parametrize("seed", range(10))
def test_colour_and_background_are_the_ones_named(world, seed):
    rng = np.random.default_rng(seed)
    coloured = world.scene(rng, "colour")
    middle = world.draw(coloured)[32, 32].astype(float)
    nearest = min(COLOURS, key=lambda name: np.abs(np.array(COLOURS[name]) - middle).sum())
    assert nearest == coloured.truth["color"]
    grounded = world.scene(rng, "background")
    corner = world.draw(grounded)[0, 0].astype(int)
    assert np.abs(corner - COLOURS[grounded.truth["background"]]).max() <= 7


def test_the_small_picture_is_the_area_mean_of_the_large_one(world):
    rng = np.random.default_rng(0)
    for kind in ("single", "colour", "background") * 4:
        scene = world.scene(rng, kind)
        large = world.draw(scene, 256).reshape(64, 4, 64, 4, 3).mean((1, 3))
        assert np.abs(large - world.draw(scene, 64)).max() <= 1.01


def test_scenes_repeat_with_their_generator_and_stay_within_their_split(emoji_root, world_config, world):
    first, second = (world.scene(np.random.default_rng(5)) for _ in range(2))
    assert first == second
    unseen = EmojiWorld(emoji_root, world_config, "heldout")
    names = {item.concept for seed in range(40) for item in unseen.scene(np.random.default_rng(seed)).sprites}
    assert names == {"llama", "kite"}
    assert not names & set(TRAINED)


def test_the_digest_follows_the_sprites(emoji_root, world_config, world, tmp_path):
    assert world.digest == EmojiWorld(emoji_root, world_config).digest
    copy = tmp_path / "copy"
    shutil.copytree(emoji_root, copy)
    shutil.copyfile(sprite_path(copy, "twemoji", "bus"), sprite_path(copy, "twemoji", "pear"))
    assert EmojiWorld(copy, world_config).digest != world.digest


def test_siblings_keep_the_concepts(world):
    rng = np.random.default_rng(1)
    for _ in range(30):
        scene = world.scene(rng)
        other = world.sibling(scene, rng)
        assert {item.concept for item in other.sprites} == {item.concept for item in scene.sprites}


def test_batches_are_a_function_of_the_step(emoji_root, world_config):
    for make in (emoji_batches, contrastive_batches):
        images, captions = make(emoji_root, world_config, 4)(3)
        again, same = make(emoji_root, world_config, 4)(3)
        assert images.shape == (4, 3, 64, 64)
        assert (images == again).all()
        assert captions == same
        assert make(emoji_root, world_config, 4)(4)[1] != captions


def test_captions_hold_scenes_and_names(emoji_root, world_config):
    texts = emoji_captions(emoji_root, world_config)(200)
    assert len(texts) == 200
    assert any("background" in text for text in texts)
    assert any(text.endswith(("key", "word")) for text in texts)


def test_the_reference_set_is_readable_and_repeats(emoji_root, world_config, tmp_path):
    for name in ("a.parquet", "b.parquet"):
        write_reference(emoji_root, world_config, 12, 0, tmp_path / name)
    first, second = (open_image_set(tmp_path / name) for name in ("a.parquet", "b.parquet"))
    assert len(first) == 12
    assert first.digest == second.digest


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('styles=["crayon"]\nconcepts=[]\n[mix]\nsingle=1', "unknown style 'crayon'"),
        ('styles=[]\nconcepts=[]\n[mix]\nsingel=1', "unknown scene kind 'singel'"),
        ('styles=[]\nconcepts=[]\nstile_rate=1\n[mix]\nsingle=1', "unknown key 'stile_rate'"),
    ],
)  # fmt: skip
def test_wrong_worlds_are_refused(tmp_path, text, message):
    (tmp_path / "world.toml").write_text(text)
    with pytest.raises(ConfigError, match=message):
        WorldConfig.read(tmp_path / "world.toml")


def test_another_mix_draws_only_its_kinds(emoji_root, world_config):
    world = EmojiWorld(emoji_root, world_config.with_mix({"counting": 1.0}))
    kinds = {world.scene(np.random.default_rng(seed)).kind for seed in range(20)}
    assert kinds == {"counting"}
    assert world_config.mix["single"] == 1
    with pytest.raises(ConfigError, match=r"data\.mix: unknown scene kind 'cuonting'"):
        world_config.with_mix({"cuonting": 1.0})


def test_a_world_of_unknown_concepts_or_an_empty_folder_is_refused(emoji_root, world_config, tmp_path):
    with pytest.raises(InputError, match="no concept 'yeti'"):
        EmojiWorld(emoji_root, WorldConfig(("twemoji",), ("yeti",), {"single": 1.0}))
    with pytest.raises(InputError, match=r"no concepts\.csv"):
        EmojiWorld(tmp_path, world_config)
