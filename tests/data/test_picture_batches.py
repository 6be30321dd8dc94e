from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from imagen_bench.data.picture_batches import held_out_batches, picture_batches, split_rows, square
from imagen_bench.data.picture_sources import PictureFiles
from imagen_bench.errors import InputError
from imagen_bench.images import write_png


@pytest.fixture
def source(tmp_path):
    """Seven grey pictures, 10 times their place bright; the second has two captions."""
    paths = []
    for index in range(7):
        paths.append(tmp_path / f"{index}.png")
        write_png(paths[-1], torch.full((3, 6, 9), 10 * index, dtype=torch.uint8))
    captions = [(f"picture {index}",) for index in range(7)]
    captions[1] = ("picture 1", "one more")
    return PictureFiles(paths, captions)


def places(images):
    return (images[:, 0, 0, 0] // 10).tolist()


def test_every_picture_comes_once_an_epoch_with_its_caption(source):
    batch = picture_batches(source, 7, 4, seed=3)
    first, second = batch(0), batch(1)
    assert first[0].shape == (7, 3, 4, 4)
    assert first[0].dtype == torch.uint8
    assert sorted(places(first[0])) == sorted(places(second[0])) == list(range(7))
    assert places(first[0]) != places(second[0])
    for image, caption in zip(places(first[0]), first[1], strict=True):
        assert caption in source.captions(image)


def test_a_batch_depends_on_seed_and_step_alone(source):
    batch = picture_batches(source, 3, 4, seed=3)
    later = batch(5)
    again = picture_batches(source, 3, 4, seed=3)(5)
    assert torch.equal(later[0], again[0])
    assert later[1] == again[1]
    assert any(places(picture_batches(source, 3, 4, seed=4)(step)[0]) != places(batch(step)[0]) for step in range(3))


def test_all_captions_of_a_picture_are_used(source):
    batch = picture_batches(source, 1, 4, rows=[1])
    assert {batch(step)[1][0] for step in range(20)} == {"picture 1", "one more"}


def test_held_out_pictures_are_never_trained_on(source):
    rows, held_out = split_rows(7, 2, seed=1)
    assert sorted([*rows, *held_out]) == list(range(7))
    assert len(held_out) == 2
    batch = picture_batches(source, 5, 4, rows=rows)
    assert {place for step in range(4) for place in places(batch(step)[0])} == set(rows)
    validation = held_out_batches(source, 3, 4, held_out)
    assert places(validation(0)[0]) == [held_out[0], held_out[1], held_out[0]]
    assert places(validation(1)[0]) == [held_out[1], held_out[0], held_out[1]]
    assert any(split_rows(7, 2, seed)[1] != held_out for seed in range(2, 6))


def test_holding_out_everything_is_refused():
    with pytest.raises(InputError, match=r"7 of 7 pictures held out leave none to train on: lower data\.held_out"):
        split_rows(7, 7, seed=0)


def test_square_is_the_middle_resized_with_antialiasing():
    stripes = torch.zeros(3, 64, 96, dtype=torch.uint8)
    stripes[:, :, ::2] = 255
    stripes[:, :, :16] = stripes[:, :, 80:] = 77
    small = square(stripes, 16)
    assert small.shape == (3, 16, 16)
    assert (small[:, :, 2:-2].int() - 127).abs().max() <= 4  # neither stripe wins
    assert (small[:, :, [0, -1]].int() - 77).abs().min() > 20  # the margins are cut off
    picture = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (3, 8, 8), dtype=np.uint8))
    assert torch.equal(square(picture, 8), picture)
    expected = Image.fromarray(picture.permute(1, 2, 0).numpy()).resize((4, 4), Image.Resampling.BICUBIC)
    assert torch.equal(square(picture, 4), torch.from_numpy(np.array(expected)).permute(2, 0, 1))
