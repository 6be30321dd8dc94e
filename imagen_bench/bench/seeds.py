r"""Seed of a sample: a function of the run's seed, the prompt id and the sample index, and of nothing else.

Byte layout, fixed for good: the UTF-8 text

    <run seed in decimal> LF <prompt id> LF <sample index in decimal>

(no line end after it) is hashed with SHA-256; the first 8 bytes, read big-endian, with the top bit cleared,
are the seed. The first LF ends the run seed and the last one starts the index, so no two samples share a
text, whatever the prompt id holds. In a shell: `printf '0\nEB-001\n0' | sha256sum`.
"""

from __future__ import annotations

import hashlib

SEED_LIMIT = 2**63
"""Seeds lie in [0, 2**63): every torch and numpy generator takes them."""


def sample_seed(run_seed: int, prompt_id: str, index: int) -> int:
    """Return the seed of sample `index` (from 0) of a prompt, in [0, 2**63)."""
    digest = hashlib.sha256(f"{run_seed}\n{prompt_id}\n{index}".encode()).digest()
    return int.from_bytes(digest[:8], "big") % SEED_LIMIT
