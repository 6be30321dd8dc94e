"""Every metric of the package has words, and they agree with it."""

from __future__ import annotations

import re

import pytest

from imagen_bench.metrics.base import metrics
from imagen_bench.report.metric_facts import FACTS


def test_every_metric_is_described() -> None:
    assert set(metrics.names()) <= FACTS.keys()


@pytest.mark.parametrize("name", FACTS)
def test_facts_are_whole_and_agree_with_the_metric(name: str) -> None:
    facts = FACTS[name]
    assert facts.what.endswith(".")
    assert re.search(r"20\d\d, arXiv:\d{4}\.\d{5}", facts.source)
    assert facts.range
    if name in metrics.names():
        assert metrics.get(name).higher_is_better == facts.higher_is_better


def test_published_directions() -> None:
    # Lower is better for distances alone (FID, KID, CMMD and kin), as their papers say.
    lower = {name for name, facts in FACTS.items() if not facts.higher_is_better}
    assert lower == {"fd", "fid", "fid_infinity", "kid", "fd_dinov2", "clip_fid", "cmmd"}


@pytest.mark.parametrize("name", metrics.names())
def test_every_metric_says_how_its_interval_is_made(name: str) -> None:
    words = metrics.get(name).interval_words
    assert words.endswith(".")
    # All resample or group prompts, never single images; what needs a reference set says that it is held fixed.
    assert "prompt" in words
    needs_reference = bool(metrics.get(name).needs & {"reference", "reference_features"})
    assert ("the reference set is held fixed" in words) == needs_reference
