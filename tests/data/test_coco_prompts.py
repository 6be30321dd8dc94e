"""The draws: what the documented byte layout says, independent of the file's order, uniform, nested."""

from __future__ import annotations

import hashlib
import json
import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from imagen_bench.data.coco import CocoCaption
from imagen_bench.data.coco_prompts import DRAWS, draw_captions, load_coco_prompts
from imagen_bench.data.prompt_store import pull, status_of
from imagen_bench.data.prompts import MissingPromptSetError, built_in_names, load_prompt_set
from imagen_bench.errors import ConfigError, InputError

WriteCoco = Callable[..., Path]


def some_captions(images: int) -> list[CocoCaption]:
    return [
        CocoCaption(image, image * 10 + which, f"{image}.jpg", f"caption {which} of {image}")
        for image in range(images)
        for which in range(5 + image % 3)
    ]


def sha(*lines: object) -> bytes:
    return hashlib.sha256("\n".join(map(str, lines)).encode()).digest()


def test_the_draw_is_the_documented_one() -> None:
    rows = some_captions(20)
    drawn = draw_captions(rows, 8, per_image=True)
    images = sorted(range(20), key=lambda image: sha("coco-image", 0, image))[:8]
    assert [row.image_id for row in drawn] == images
    for row in drawn:
        own = [other.caption_id for other in rows if other.image_id == row.image_id]
        assert row.caption_id == min(own, key=lambda caption: sha("coco-caption", 0, row.image_id, caption))
    # printf 'coco-image\n0\n42' | sha256sum
    assert sha("coco-image", 0, 42).hex().startswith("df73f737ee2544c8")


def test_the_variant_draws_from_all_captions() -> None:
    rows = some_captions(20)
    ordered = sorted(rows, key=lambda row: sha("coco-caption", 0, row.image_id, row.caption_id))
    assert draw_captions(rows, 30, per_image=False) == ordered[:30]
    assert max(Counter(row.image_id for row in ordered[:30]).values()) > 1


@pytest.mark.parametrize("per_image", [True, False])
def test_the_order_of_the_file_does_not_matter_and_draws_are_nested(per_image: bool) -> None:
    rows = some_captions(50)
    drawn = draw_captions(rows, 30, per_image)
    shuffled = rows[:]
    random.Random(1).shuffle(shuffled)
    assert draw_captions(shuffled, 30, per_image) == drawn
    assert draw_captions(rows, 10, per_image) == drawn[:10]
    assert draw_captions(rows, 30, per_image, seed=1) != drawn


def test_every_image_and_every_caption_of_it_is_equally_likely() -> None:
    rows = some_captions(9)
    draws = [draw_captions(rows, 3, per_image=True, seed=seed) for seed in range(3000)]
    images = Counter(row.image_id for drawn in draws for row in drawn)
    # 1,000 expected each, standard deviation 26; images have five, six or seven captions.
    assert all(abs(images[image] - 1000) < 4 * 26 for image in range(9))
    of_image = Counter(row.caption_id for drawn in draws for row in drawn if row.image_id == 2)
    expected = images[2] / 7
    assert len(of_image) == 7
    assert all(abs(count - expected) < 4 * expected**0.5 for count in of_image.values())


def test_too_few_to_draw_from() -> None:
    with pytest.raises(InputError, match=r"found 4 images with captions, expected at least 5"):
        draw_captions(some_captions(4), 5, per_image=True)


@pytest.fixture(scope="module")
def full_size(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A caption file with the published numbers: 40,504 images, 202,654 captions."""
    root = tmp_path_factory.mktemp("coco")
    images = [{"id": 3 * n + 42, "file_name": f"COCO_val2014_{3 * n + 42:012d}.jpg"} for n in range(40_504)]
    notes = [{"id": n, "image_id": images[n % 40_504]["id"], "caption": f"Caption {n}."} for n in range(202_654)]
    (root / "annotations").mkdir()
    data = {"images": images, "annotations": notes}
    (root / "annotations" / "captions_val2014.json").write_text(json.dumps(data), encoding="utf-8")
    return root


def test_coco_30k_and_10k_of_a_full_copy(full_size: Path) -> None:
    large, small = (load_prompt_set(f"{name}:{full_size}") for name in ("coco-30k", "coco-10k"))
    assert (large.id, large.version, len(large)) == ("coco-30k", "1", 30_000)
    assert small.rows == large.rows[:10_000]
    assert len({row.meta["image_id"] for row in large.rows}) == 30_000
    row = large.rows[0]
    assert row.prompt_id == f"{int(row.meta['image_id']):012d}-{row.meta['caption_id']}"
    assert row.prompt == f"Caption {row.meta['caption_id']}."
    assert row.meta["file_name"] == f"COCO_val2014_{int(row.meta['image_id']):012d}.jpg"
    # Fixed for good: another draw would have another digest.
    assert large.digest == "05e17d4d53b6514c7846064b0ee7a773a95181394381d7e876a3caf2e3c5e952"
    every = load_prompt_set(f"coco-30k-captions:{full_size}")
    assert (every.id, len(every)) == ("coco-30k-captions", 30_000)
    assert len({row.meta["image_id"] for row in every.rows}) < 30_000


def test_a_subset_says_so_in_its_name(tmp_path: Path, write_coco: WriteCoco) -> None:
    root = write_coco(tmp_path / "coco")
    with pytest.raises(InputError, match="use coco-subset"):
        load_prompt_set(f"coco-10k:{root}")
    one_each = load_prompt_set(f"coco-subset:{root}")
    assert (one_each.id, len(one_each)) == ("coco-subset", 12)
    assert len(load_prompt_set(f"coco-subset-captions:{root}")) == 72
    assert all(row.prompt == row.prompt.strip() for row in one_each.rows)


def test_a_registered_copy_needs_no_path(full_size: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IMAGEN_BENCH_HOME", str(tmp_path / "home"))
    with pytest.raises(MissingPromptSetError, match=r"imagen-bench data coco --root DIR.*coco-30k:/path/to/coco"):
        load_prompt_set("coco-30k")
    missing = status_of("coco-30k")
    assert (missing.state, missing.prompts, missing.digest) == ("missing", 30_000, None)
    assert missing.get == ("imagen-bench data coco --root DIR",)
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "coco").symlink_to(full_size)
    found = status_of("coco-10k")
    assert (found.state, found.digest) == ("ready", load_coco_prompts("coco-10k", str(full_size)).digest)
    other = status_of("coco2017-5k")
    assert other.state == "missing"
    assert other.get == ("imagen-bench data coco --root DIR --reference coco-val2017",)
    assert "no captions of val2017 in" in other.problem


def test_names(tmp_path: Path) -> None:
    assert {"coco-30k", "coco-10k", "coco-30k-captions", "coco2017-5k"} <= set(built_in_names())
    assert {name for name, draw in DRAWS.items() if draw.subset} & set(built_in_names()) == set()
    with pytest.raises(ConfigError, match=r"unknown COCO prompt set 'coco-30': did you mean 'coco-30k'"):
        load_prompt_set("coco-30:/somewhere")
    with pytest.raises(InputError, match=r"no folder '/nowhere' for 'coco-30k'.*cocodataset\.org"):
        load_prompt_set("coco-30k:/nowhere")
    with pytest.raises(ConfigError, match=r"'coco-30k' is drawn from your copy of COCO"):
        pull("coco-30k")
    (tmp_path / "coco.txt").write_text("a cat\n")
    assert len(load_prompt_set(str(tmp_path / "coco.txt"))) == 1
