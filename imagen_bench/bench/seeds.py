r"""Seed of a sample: a function of the run's seed, the prompt id and the sample index, and of nothing else.

The one exception is a prompt that brings its own seed, as published lists do: its first sample is made with that.

Byte layout, fixed for good: the UTF-8 text

    <run seed in decimal> LF <prompt id> LF <sample index in decimal>

(no line end after it) is hashed with SHA-256; the first 8 bytes, read big-endian, with the top bit cleared,
are the seed. The first LF ends the run seed and the last one starts the index, so no two samples share a
text, whatever the prompt id holds. In a shell: `printf '0\nEB-001\n0' | sha256sum`.
"""

from __future__ import annotations

import hashlib

from imagen_bench.data.prompts import SEED_LIMIT, Prompt


def sample_seed(run_seed: int, prompt_id: str, index: int) -> int:
    """Return the seed of sample `index` (from 0) of a prompt, in [0, 2**63)."""
    digest = hashlib.sha256(f"{run_seed}\n{prompt_id}\n{index}".encode()).digest()
    return int.from_bytes(digest[:8], "big") % SEED_LIMIT


def prompt_seed(run_seed: int, prompt: Prompt, index: int) -> int:
    """Return the seed of sample `index` (from 0) of a prompt: its own for the first one, if it has one."""
    own = prompt.meta.get("seed")
    return int(own) if own is not None and index == 0 else sample_seed(run_seed, prompt.prompt_id, index)
