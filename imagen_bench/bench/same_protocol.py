"""Whether two runs may be compared: which of their scores were made alike, and what differs where they were not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from imagen_bench.bench.same_run import config_differences
from imagen_bench.errors import ProtocolError

_SECTIONS = ("prompts", "extractor", "extractors", "reference", "references")
"""Sections of run.json that enter a protocol."""


def protocol_differences(a: Mapping[str, Any], b: Mapping[str, Any], metrics: Sequence[str]) -> list[str]:
    """Say what differs between the protocols of two runs.

    Args:
        a: Content of the first run's run.json.
        b: That of the second.
        metrics: Metrics that both have.

    Returns:
        Sentences such as "prompts.n: 120 in A, 60 in B"; empty if every metric has one protocol.
    """
    old, new = (_protocols(run, metrics) for run in (a, b))
    if {name: of.get("id") for name, of in old.items()} == {name: of.get("id") for name, of in new.items()}:
        return []
    parts = [{key: run[key] for key in _SECTIONS if run.get(key) is not None} for run in (a, b)]
    places = ("in A", "in B")
    return config_differences(parts[0], parts[1], places) or config_differences(
        {"protocols": old}, {"protocols": new}, places
    )


def check_same_protocol(a: Mapping[str, Any], b: Mapping[str, Any], metrics: Sequence[str], force: bool) -> list[str]:
    """Refuse two runs whose scores were made differently, unless `force`.

    Returns:
        The differences that were forced.

    Raises:
        ProtocolError: Says what differs.
    """
    differences = protocol_differences(a, b, metrics)
    if differences and not force:
        raise ProtocolError(
            f"the runs were scored by different protocols ({'; '.join(differences)}), expected one: score them alike, "
            "or pass --force to compare them on the prompts that they share"
        )
    return differences


def _protocols(run: Mapping[str, Any], metrics: Sequence[str]) -> dict[str, dict[str, Any]]:
    stated = run.get("protocols")
    found = stated if isinstance(stated, dict) else {}
    return {name: dict(found.get(name) or {}) for name in metrics}
