"""The seed of a sample is fixed for good; expected values come from coreutils' sha256sum."""

from __future__ import annotations

import hashlib

import pytest
import torch

from imagen_bench.bench.seeds import prompt_seed, sample_seed
from imagen_bench.data.prompts import SEED_LIMIT, Prompt

# printf '0\nEB-001\n0' | sha256sum, first 16 digits; printf '7\nein Hügel\n3' | sha256sum, first 16 digits.
GOLDEN = [((0, "EB-001", 0), "bea106a77137494c"), ((7, "ein Hügel", 3), "06f0d2bc7247393b")]


@pytest.mark.parametrize(("sample", "first_16_digits"), GOLDEN)
def test_golden_seed(sample: tuple[int, str, int], first_16_digits: str) -> None:
    assert sample_seed(*sample) == int(first_16_digits, 16) & (2**63 - 1)


def test_same_as_hashlib_by_hand() -> None:
    digest = hashlib.sha256(b"3\na\n\n1").digest()
    assert sample_seed(3, "a\n", 1) == int.from_bytes(digest[:8], "big") % 2**63


def test_range_fits_torch() -> None:
    seeds = [sample_seed(seed, f"p{number}", 0) for seed in (0, 2**63 - 1) for number in range(200)]
    assert all(0 <= seed < SEED_LIMIT for seed in seeds)
    assert len(set(seeds)) == len(seeds)
    torch.Generator().manual_seed(max(seeds))


def test_fields_do_not_run_into_each_other() -> None:
    samples = [
        (1, "1", 1),
        (11, "", 1),
        (1, "", 11),
        (1, "\n1", 1),
        (1, "1\n", 1),
        (1, "1\n1", 1),
        (1, "1", 11),
    ]
    assert len({sample_seed(*sample) for sample in samples}) == len(samples)


def test_a_prompts_own_seed_makes_its_first_sample() -> None:
    plain, own = (Prompt("a", "A cat.", "x", meta) for meta in ({}, {"seed": "82429"}))
    assert [prompt_seed(3, plain, index) for index in (0, 1)] == [sample_seed(3, "a", index) for index in (0, 1)]
    assert [prompt_seed(3, own, index) for index in (0, 1)] == [82429, sample_seed(3, "a", 1)]
