"""Protocol of a score: all that has to be equal before two values may stand in one table.

A protocol id is readable words plus a digest, as in `fd-emoji-bench-240x2-1f0c9a7e`. The digest covers the
metric and its options, the prompt set, the samples a prompt, the extractor, the reference set and the number of
images. The guidance weight and the model are not part of it: they are what is compared. Nor is the interval's
method, which does not move the value.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from imagen_bench.files import digest_json


def prompt_set_key(set_id: str, version: str, digest: str) -> str:
    """Return `<id>@<version>:<digest>`, the form in which a prompt set enters a protocol."""
    return f"{set_id}@{version}:{digest[:16]}"


def protocol_id(
    metric: str,
    prompt_set: str,
    samples_per_prompt: int,
    extractor_id: str,
    reference_digest: str | None,
    n: int,
    options: Mapping[str, Any] | None = None,
) -> str:
    """Return the id of a protocol, `<metric>-<prompt set>-<n>x<samples a prompt>-<8 hex digits>`.

    Args:
        metric: Registry name, such as "fd".
        prompt_set: `prompt_set_key(...)`, or any name that identifies the texts.
        samples_per_prompt: Images made for each prompt.
        extractor_id: Id of the feature extractor: architecture, layer, resize mode and digest of the weights.
        reference_digest: Digest of the reference set, None for a metric without one.
        n: Number of images scored.
        options: The metric's own options, as `Metric.options` returns them; none and no options are the same.
    """
    parts = {
        "metric": metric,
        "prompt_set": prompt_set,
        "samples_per_prompt": samples_per_prompt,
        "extractor": extractor_id,
        "reference": reference_digest,
        "n": n,
        **({"options": dict(options)} if options else {}),
    }
    readable = re.sub(r"[^A-Za-z0-9._]+", "-", prompt_set.partition("@")[0]).strip("-.") or "prompts"
    return f"{metric}-{readable}-{n}x{samples_per_prompt}-{digest_json(parts)[:8]}"


def protocol_words(
    label: str,
    prompt_set: str,
    samples_per_prompt: int,
    extractor_id: str,
    reference: str | None,
    n: int,
    options: Mapping[str, Any] | None = None,
) -> str:
    """Say a protocol in one sentence for people; `reference` names the reference set, if there is one."""
    each = "1 sample" if samples_per_prompt == 1 else f"{samples_per_prompt} samples"
    against = f", against {reference}" if reference else ""
    name = prompt_set.partition("@")[0]
    chosen = "".join(f"; {key.replace('_', ' ')} {value}" for key, value in (options or {}).items())
    return f"{label} of {n:,} images ({each} a prompt of {name}){against}{chosen}; features: {extractor_id}."
