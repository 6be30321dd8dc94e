"""Reading two arms from run folders, and refusing pairs that are no comparison."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from imagen_bench.errors import InputError, ProtocolError, RunFolderError
from imagen_bench.human.arms import (
    Arm,
    check_pair,
    choose_prompts,
    keep,
    read_arm,
    run_weights,
    samples_digest,
    samples_per_side,
)

if TYPE_CHECKING:
    from collections.abc import Callable

PROMPTS = [(f"{category}-{number}", f"{category} {number}", category) for category in "ab" for number in range(4)]


def test_samples_come_in_the_order_of_their_index(make_run: Callable[..., Path]) -> None:
    run = make_run("one", weights=(1, 2.5), samples=3)
    rows = read_arm(Arm("x", run, 2.5))
    assert run_weights(run) == (1.0, 2.5)
    assert [sample.index for sample in rows["yak-02"].samples] == [0, 1, 2]
    assert rows["yak-02"].category == "Kategorie Zwei"
    assert all("w=2.5" in str(sample.path) and sample.path.is_file() for sample in rows["yak-02"].samples)


def test_a_weight_that_the_run_has_not_is_refused(make_run: Callable[..., Path]) -> None:
    run = make_run("one", weights=(1, 2.5))
    with pytest.raises(InputError, match=r"guidance weight 3; choose one of 1, 2\.5"):
        read_arm(Arm("x", run, 3))
    with pytest.raises(RunFolderError, match=r"no run\.json"):
        read_arm(Arm("x", run.parent, 1))


def test_runs_of_different_prompts_are_no_comparison(make_run: Callable[..., Path]) -> None:
    full = read_arm(Arm("x", make_run("full", prompts=PROMPTS), 3.625))
    part = read_arm(Arm("y", make_run("part", prompts=PROMPTS[:5]), 3.625))
    other = read_arm(Arm("z", make_run("other", prompts=[*PROMPTS[:-1], ("b-3", "another text", "b")]), 3.625))
    with pytest.raises(ProtocolError, match=r"y has no image of 3 prompts of the other run \(b-1 first\)"):
        check_pair(full, part, ("x", "y"))
    with pytest.raises(ProtocolError, match=r"prompt b-3 is 'b 3' \[b\] in x and 'another text' \[b\] in z"):
        check_pair(full, other, ("x", "z"))
    check_pair(full, full, ("x", "x"))


def test_samples_per_side_are_what_both_have_and_at_most_eight(make_run: Callable[..., Path]) -> None:
    few = read_arm(Arm("x", make_run("few", samples=2), 3.625))
    many = read_arm(Arm("y", make_run("many", samples=9), 3.625))
    assert samples_per_side((few, many), None) == 2
    assert samples_per_side((many, many), None) == 8
    assert samples_per_side((many, many), 9) == 9
    with pytest.raises(InputError, match="3 samples per side were asked for, but a prompt has only 2"):
        samples_per_side((few, many), 3)


def test_a_limit_is_spread_over_the_categories_and_keeps_the_order(make_run: Callable[..., Path]) -> None:
    rows = read_arm(Arm("x", make_run("run", prompts=PROMPTS), 3.625))
    assert choose_prompts(rows, None, 0) == list(rows)
    drawn = {seed: choose_prompts(rows, 5, seed) for seed in range(8)}
    for chosen in drawn.values():
        assert sorted(Counter(rows[prompt_id].category for prompt_id in chosen).values()) == [2, 3]
        assert chosen == [prompt_id for prompt_id in rows if prompt_id in set(chosen)]
    assert len({tuple(chosen) for chosen in drawn.values()}) > 1


def test_the_digest_is_of_what_is_shown(make_run: Callable[..., Path]) -> None:
    rows = read_arm(Arm("x", make_run("run", samples=3), 3.625))
    same = read_arm(Arm("y", make_run("copy", samples=3), 3.625))
    assert samples_digest(rows) == samples_digest(same)
    assert samples_digest(keep(rows, list(rows), 2)) != samples_digest(rows)
