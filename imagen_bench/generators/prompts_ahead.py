"""Embedding the prompts of a run before its first image, so that the text encoder need not stay beside the networks.

A T5-XXL takes more memory than most networks that it serves. The workers of a run share the texts, write their
embeddings to a cache on disk that is found by content (`imagen.text_cache`), and drop the encoder.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from imagen_bench.home import text_cache_folder
from imagen_bench.metrics.feature_store import FeatureStore
from imagen_bench.workers import Workers

if TYPE_CHECKING:
    from imagen_bench.imagen.text import TextEncoder

# Texts that a worker claims at once: a batch of the encoder.
_CLAIM = 64


def usable_text_cache() -> Path | None:
    """Return where embeddings of prompts are kept; None where that cannot be written: the encoder then stays."""
    folder = text_cache_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return None
    return folder if os.access(folder, os.W_OK | os.X_OK) else None


def embed_ahead(encoder: TextEncoder, texts: Sequence[str], workers: Workers, tell: Callable[[int], object]) -> None:
    """Put the embeddings of texts on disk, shared among workers, then drop the encoder.

    Args:
        encoder: Opened with a cache.
        texts: The same in every worker; each is embedded once, however often it is there.
        workers: The processes that share the work; each calls this.
        tell: Told how many texts are done since it was last told.

    Raises:
        ModelError: The cache cannot be written, or the encoder cannot be read or overflows.
    """
    if workers.is_main:
        FeatureStore(text_cache_folder()).prune()
    wanted = sorted(dict.fromkeys(texts), key=lambda text: (len(text), text))
    for place in workers.claim(-(-len(wanted) // _CLAIM)):
        claimed = wanted[place * _CLAIM : (place + 1) * _CLAIM]
        encoder.keep(claimed)
        tell(len(claimed))
    workers.wait()
    if not workers.alone:
        encoder.keep(wanted)  # what others made is not here where nodes have disks of their own
    encoder.free()
